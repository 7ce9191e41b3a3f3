import shutil
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from tests.serve.shop import write_shop
from tests.serve.test_items import delete, like, put
from tests.serve.test_recommend import ids, recommend

from sidkit.recommenders import load_model

HISTORY = [100, 101, 102]


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The shop with another model."""
    return write_shop(tmp_path_factory.mktemp("other"), seed=7)


def replace_model(shop, other):
    shutil.rmtree(shop / "model")
    shutil.copytree(other / "model", shop / "model")


def answers(shop):
    found, _ = load_model(shop / "model").recommend(HISTORY, 10, scoring="exact")
    return found.tolist()


def test_requests_are_answered_by_one_of_both_models_while_one_replaces_the_other(serve, own_shop, other):
    client = serve(own_shop)
    before, after = answers(own_shop), answers(other)
    assert before != after
    done, running = Event(), [Event() for _ in range(3)]

    def ask(started):
        found = []
        while not done.is_set():
            answer = client.post("/recommend", json={"histories": [HISTORY], "scoring": "exact"})
            found.append((answer.status_code, ids(answer.json()["results"][0])))
            started.set()
        return found

    with ThreadPoolExecutor(3) as threads:
        asking = [threads.submit(ask, started) for started in running]
        for started in running:
            started.wait()
        replace_model(own_shop, other)
        reloaded = client.post("/admin/reload")
        done.set()
        found = [answer for each in asking for answer in each.result()]
    assert reloaded.status_code == 200 and reloaded.json()["changed"]
    assert all(status == 200 and items in (before, after) for status, items in found)
    assert ids(recommend(client, histories=[HISTORY], scoring="exact")[0]) == after
    assert client.get("/model").json()["model_version"] == reloaded.json()["model_version"]
    assert client.post("/admin/reload").json()["changed"] is False


def test_changes_of_the_catalogue_apply_to_the_new_model(serve, own_shop, other, tmp_path):
    client = serve(own_shop, state=tmp_path / "state")
    put(client, {"item_id": 500, "vector": like(own_shop, 0)}, {"item_id": 101, "values": {"price": 55.0}})
    delete(client, 110)
    version = client.get("/model").json()["catalogue_version"]
    second = serve(own_shop, state=tmp_path / "state")
    replace_model(own_shop, other)
    client.post("/admin/reload")
    assert client.get("/model").json()["catalogue_version"] == version
    assert client.get("/items/500").json()["sid"]
    assert client.get("/items/101").json()["values"]["price"] == 55
    assert client.get("/items/110").status_code == 404
    assert 110 not in ids(recommend(client, histories=[HISTORY], k=24)[0])
    put(second, {"item_id": 501, "vector": like(own_shop, 1)})
    assert client.get("/items/501").json()["sid"] == second.get("/items/501").json()["sid"]


def test_a_model_that_cannot_be_opened_does_not_replace_the_former(serve, own_shop):
    client = serve(own_shop)
    before = recommend(client, histories=[HISTORY])
    description = own_shop / "model" / "model.json"
    description.write_text(description.read_text()[:100])
    answer = client.post("/admin/reload")
    assert answer.status_code == 409 and "the former model" in answer.json()["detail"].lower()
    assert recommend(client, histories=[HISTORY]) == before
    (own_shop / "model" / "model.json").unlink()
    assert client.post("/admin/reload").status_code == 409


def test_items_that_a_saved_model_has_lost_are_not_in_the_catalogue(serve, own_shop):
    model = load_model(own_shop / "model").remove_items([104])
    vectors = np.load(own_shop / "vectors.npy")
    shutil.rmtree(own_shop / "model")
    model.save(own_shop / "model")
    client = serve(own_shop)
    assert client.get("/items/104").status_code == 404
    assert client.get("/prefixes").json()["items"] == 23
    put(client, {"item_id": 104, "vector": vectors[4].tolist()})
    assert 104 in ids(recommend(client, histories=[HISTORY], k=24)[0])
