"""Requests made from the OpenAPI description, valid and not: no failure of the server, whatever comes."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from tests.serve.conftest import source_of

from sidkit.serve.http import ServerSettings, create_app

pytest.importorskip("schemathesis")

import schemathesis

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def operations(client):
    """Every operation of the description."""
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    found = [result.ok() for result in schema.get_all_operations()]
    return {f"{each.method.upper()} {each.path}": each for each in found}


@pytest.fixture(scope="module")
def playground(shop):
    """A client of an application that requests may change."""
    app = create_app(ServerSettings(source=source_of(shop), access_log=False, store_events=True))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


QUICK = settings(
    max_examples=5,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
)


@pytest.mark.parametrize(
    "name",
    [
        "POST /recommend",
        "POST /similar",
        "GET /items",
        "GET /items/{item_id}",
        "PUT /items",
        "DELETE /items",
        "GET /prefixes",
        "GET /prefixes/{prefix}",
        "POST /events",
    ],
)
@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
def test_no_request_fails_the_server(operations, playground, name, mode, caplog):
    operation = operations[name]
    caplog.set_level(logging.CRITICAL)
    modes = [getattr(schemathesis.GenerationMode, mode)]
    strategy = operation.as_strategy(generation_mode=modes[0])

    @QUICK
    @given(case=strategy)
    def run(case):
        arguments = case.as_transport_kwargs(base_url="http://testserver")
        if isinstance(arguments.get("data"), bytes):
            arguments["content"] = arguments.pop("data")
        answer = playground.request(**{key: value for key, value in arguments.items() if key != "cookies"})
        assert answer.status_code < 500, (answer.status_code, answer.text, arguments)
        if answer.status_code >= 400:
            assert answer.json()["detail"]

    run()


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "histories",
    "users",
    "k",
    "where",
    "exclude",
    "allow",
    "rerank",
    "candidates",
    "fields",
    "item_ids",
    "items",
]


@settings(
    max_examples=40, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
@given(
    body=st.dictionaries(st.sampled_from(FIELDS), VALUE, max_size=3),
    path=st.sampled_from(["recommend", "similar"]),
)
def test_values_of_any_type(client, body, path):
    base = {"histories": [[100]]} if path == "recommend" else {"item_ids": [100]}
    text = json.dumps(base | body).encode("utf-8", "surrogatepass")
    answer = client.post(f"/{path}", content=text, headers=JSON)
    assert answer.status_code < 500, answer.text


WORDS = [
    *("price", "title", "brand", "stock", "item_id", "nothing", "1", "0.5", "'red'", "''", "NULL", "true"),
    *("(", ")", ",", "+", "-", "*", "/", "%", "=", "<", ">", "!=", "||", "::", "[", "]", "{", "}", ";", "--"),
    *(
        "AND",
        "OR",
        "NOT",
        "IN",
        "LIKE",
        "IS",
        "BETWEEN",
        "CASE",
        "WHEN",
        "THEN",
        "END",
        "SELECT",
        "*",
        "lower(",
    ),
    *(
        "length(",
        "repeat(",
        "sum(",
        "array_contains(",
        "CAST(",
        "OVER (",
        '"price"',
        "$1",
        "?",
        "@x",
        "\\",
        "'",
    ),
]


@settings(
    max_examples=80, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
@given(words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=12))
def test_conditions_of_any_words(client, words):
    body = {"histories": [[100]], "where": " ".join(words)}
    answer = client.post("/recommend", json=body)
    assert answer.status_code in (200, 422), answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/items/%ff%fe",
        "/items/" + "x" * 5000,
        "/items/%00",
        "/items/..%2f..%2fetc%2fpasswd",
        "/prefixes/" + "-".join(["0"] * 500),
        "/items?query=" + "%" * 3,
        "/items?limit=1e9",
        "/items?offset=99999999999999999999",
        "/items?offset=2147483648",
        "/prefixes?offset=2147483648&limit=100",
    ],
)
def test_addresses(client, path):
    assert client.get(path).status_code < 500


def test_answers_do_not_leak_between_requests(client):
    def ask(body):
        return [
            item["item_id"] for item in client.post("/recommend", json=body).json()["results"][0]["items"]
        ]

    bodies = [{"histories": [[100 + n]], "k": 3, "exclude": [101 + n]} for n in range(20)]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(ask, bodies * 3))
    assert together == [ask(body) for body in bodies] * 3
