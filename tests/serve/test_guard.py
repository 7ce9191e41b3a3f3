import json
import logging

import pytest
from tests.serve.conftest import source_of

from sidkit.serve.http.logs import _JsonFormatter
from sidkit.serve.http.settings import Limits

ASK = {"histories": [[100, 101]]}
JSON = {"content-type": "application/json"}


def status(answer, expected):
    assert answer.status_code == expected, answer.text
    if expected >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == expected and answer.json()["detail"]


def test_the_token_guards_everything_but_probes_and_the_page(serve):
    client = serve(token="sésame")
    for path in ("/", "/healthz", "/readyz", "/explorer/explorer.css"):
        assert client.get(path).status_code == 200
    for path in ("/model", "/items", "/prefixes", "/metrics", "/openapi.json", "/nowhere"):
        answer = client.get(path)
        status(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
    status(client.post("/recommend", json=ASK), 401)
    for wrong in (b"Bearer x", b"sesame", b"Basic abc", b"Bearer \xff\xfe", b""):
        status(client.post("/recommend", json=ASK, headers={b"authorization": wrong}), 401)
    right = {b"authorization": "Bearer sésame".encode()}
    status(client.post("/recommend", json=ASK, headers=right), 200)


def test_bodies_are_limited(serve):
    client = serve(limits=Limits(body=2000))
    status(client.post("/recommend", json=ASK), 200)
    status(client.post("/recommend", content=b"[" * 2001, headers=JSON), 413)
    status(client.post("/recommend", content=iter([b"x" * 1500, b"x" * 1500]), headers=JSON), 413)
    status(client.post("/recommend", content=b"{}", headers=JSON | {"content-length": "9" * 30}), 413)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b'{"histories":' * 5000, 400),
        (b"\xff\xfe\x00", 400),
        (b'{"histories": [["\xff"]]}', 400),
        (b"null", 422),
        (b"[]", 422),
        (b'{"histories": [[1e999]]}', 422),
        (b'{"histories": [[' + b"9" * 4000 + b"]]}", 422),
        (b'{"histories": [[' + b"9" * 5000 + b"]]}", 422),
        (b'{"histories": [["' + b"x" * 300 + b'"]]}', 422),
        (b'{"histories": [[NaN]]}', 422),
        (b'{"histories": [["\\ud800"]]}', 400),
    ],
)
def test_bodies_that_are_no_requests(client, content, expected):
    answer = client.post("/recommend", content=content, headers=JSON)
    assert answer.status_code in ({400, 422} if expected == 422 else {expected}), answer.text
    assert answer.json()["detail"]


def test_only_json_is_read(client):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        status(client.post("/recommend", content=json.dumps(ASK), headers={"content-type": kind}), 415)


def test_unknown_paths_and_methods(client):
    status(client.get("/nowhere"), 404)
    status(client.get("/recommend"), 405)
    status(client.get("/explorer/..%2fapp.py"), 404)
    status(client.get("/items", params={"limit": 1000}), 422)
    assert client.get("/items", params={"offset": -1}).json()["errors"][0]["field"] == "offset"


def test_answers_are_safe_to_show(client):
    answer = client.get("/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]


def test_the_description_has_every_body_and_an_example(client):
    described = client.get("/openapi.json").json()
    schemas = described["components"]["schemas"]
    for path, method, name in [
        ("/recommend", "post", "RecommendRequest"),
        ("/similar", "post", "SimilarRequest"),
        ("/items", "put", "PutItems"),
        ("/items", "delete", "DeleteItems"),
        ("/events", "post", "Events"),
    ]:
        body = described["paths"][path][method]["requestBody"]["content"]["application/json"]
        assert body["schema"]["$ref"].endswith(f"/{name}")
        assert schemas[name]["examples"]
    text = json.dumps(described)
    references = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert references <= set(schemas)


def test_metrics(client):
    client.post("/recommend", json=ASK)
    client.get("/somewhere/else")
    text = client.get("/metrics").text
    assert 'sidkit_requests_total{method="POST",route="/recommend",status="200"}' in text
    assert 'route="unknown"' in text and "somewhere" not in text
    assert "sidkit_catalogue_items 24.0" in text
    assert "sidkit_batch_histories_bucket" in text


def test_logs_are_json_without_the_data_of_requests(serve, caplog):
    client = serve(access_log=True, token="secret")
    logging.getLogger("sidkit.serve").propagate = True
    with caplog.at_level(logging.INFO, "sidkit.serve"):
        client.post("/recommend", json=ASK, headers={"authorization": "Bearer secret"})
    lines = [json.loads(_JsonFormatter().format(record)) for record in caplog.records]
    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["method"], line["path"], line["status"]) == ("POST", "/recommend", 200)
    assert line["ms"] > 0 and line["id"]
    assert "secret" not in json.dumps(lines) and "100" not in json.dumps(line["path"])


def test_failures_of_the_server_say_nothing_about_it(serve, monkeypatch):
    client = serve()
    monkeypatch.setattr("sidkit.serve.http.routes.items._search", lambda *_: 1 / 0)
    answer = client.get("/items")
    status(answer, 500)
    assert "division" not in answer.text


def test_overload_is_refused(serve, shop):
    client = serve(source=source_of(shop), limits=Limits(working=0))
    answer = client.get("/items")
    status(answer, 429)
    assert answer.headers["retry-after"] == "1"


def test_a_full_queue_refuses_requests_to_the_model_before_they_are_read(serve, shop, monkeypatch):
    client = serve(source=source_of(shop), token="secret")
    monkeypatch.setattr(client.app.state.service, "refusal", lambda under_way: 7)
    answer = client.post("/recommend", content=b"no JSON at all")
    status(answer, 429)
    assert answer.headers["retry-after"] == "7"
    assert answer.json()["detail"] == "the server is at capacity. Send the request again after 7 s."
    assert client.get("/healthz").status_code == 200
    counted = client.get("/metrics", headers={"authorization": "Bearer secret"}).text
    assert 'sidkit_requests_total{method="POST",route="/recommend",status="429"} 1.0' in counted
    monkeypatch.undo()
    status(client.post("/recommend", json=ASK), 401)


def test_too_many_requests_under_way_are_refused(serve, shop):
    client = serve(source=source_of(shop), limits=Limits(under_way=0))
    answer = client.post("/recommend", json=ASK)
    status(answer, 429)
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    client = serve(source=source_of(shop), limits=Limits(under_way=1))
    for _ in range(3):  # one after the other
        status(client.post("/recommend", json=ASK), 200)
