"""Requests that are answered by another model, for comparison."""

import json

import pytest
from tests.serve.conftest import source_of
from tests.serve.shop import write_shop
from tests.serve.test_items import delete
from tests.serve.test_recommend import ids, recommend, refused

from sidkit.errors import SidkitError
from sidkit.recommenders import load_model

HISTORY = [100, 101, 102]


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The shop with another model."""
    return write_shop(tmp_path_factory.mktemp("other"), seed=7)


def test_both_models_answer(serve, shop, other):
    client = serve(source=source_of(shop, compare=other / "model"))
    models = {False: load_model(shop / "model"), True: load_model(other / "model")}
    versions = set()
    for compared, model in models.items():
        body = {"histories": [HISTORY], "scoring": "exact", "compared": compared, "where": "price < 20"}
        answer = client.post("/recommend", json=body | {"fields": ["price"], "sids": True}).json()
        versions.add(answer["model_version"])
        cheap = [item for item in model.recommend(HISTORY, 24, scoring="exact")[0] if item - 100 < 20 / 1.5]
        assert ids(answer["results"][0]) == cheap[:10]
        assert all(item["fields"]["price"] < 20 for item in answer["results"][0]["items"])
    info = client.get("/model").json()
    assert len(versions) == 2
    assert info["compared"] == {
        "method": "rqtransformer",
        "model_version": (versions - {info["model_version"]}).pop(),
        "items": 24,
        "scorings": ["sid", "exact", "fused"],
    }


def test_changes_do_not_affect_the_other_model(serve, shop, other):
    client = serve(source=source_of(shop, compare=other / "model"))
    (before,) = recommend(client, histories=[HISTORY], compared=True)
    delete(client, *ids(before)[:2])
    assert recommend(client, histories=[HISTORY], compared=True) == [before]
    assert not set(ids(before)[:2]) & set(ids(recommend(client, histories=[HISTORY])[0]))


def test_a_server_without_another_model_says_so(client):
    assert client.get("/model").json()["compared"] is None
    answer = client.post("/recommend", json={"histories": [HISTORY], "compared": True})
    refused(answer, 422, "compared")
    assert "--compare" in answer.json()["detail"]


def test_a_model_that_cannot_be_opened_stops_the_start(serve, shop, tmp_path):
    (tmp_path / "model.json").write_text(json.dumps({}))
    with pytest.raises(SidkitError):
        serve(source=source_of(shop, compare=tmp_path))
