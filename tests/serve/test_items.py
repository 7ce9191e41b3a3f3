import ctypes

import numpy as np
import pytest
from tests.serve.conftest import source_of
from tests.serve.test_recommend import ids, recommend, refused

from sidkit.serve.http.peers import ABSENT, Peers
from sidkit.serve.live import LiveCatalogue
from sidkit.serve.writer import CatalogueWriter


def put(client, *items):
    answer = client.put("/items", json={"items": items})
    assert answer.status_code == 200, answer.text
    return answer.json()


def delete(client, *item_ids):
    answer = client.request("DELETE", "/items", json={"item_ids": item_ids})
    assert answer.status_code == 200, answer.text
    return answer.json()


def like(shop, row, noise=0.0):
    """The vector of an item of the shop, as JSON."""
    return (np.load(shop / "vectors.npy")[row] + noise).tolist()


def count(client, prefix=""):
    return client.get(f"/prefixes/{prefix}" if prefix else "/prefixes").json()["items"]


def test_an_item_and_its_place_in_the_tree(client, model):
    found = client.get("/items/100").json()
    assert found["sid"] == model.sids_[100]
    assert found["values"]["price"] == 0
    assert found["training_events"] == model.item_counts_[0]
    counts = [step["items"] for step in found["path"]]
    assert counts == [len(model.sids_.items(step["prefix"])) for step in found["path"]]
    assert counts == sorted(counts, reverse=True) and counts[-1] == 1
    near = [item["item_id"] for item in found["neighbours"]]
    assert near and 100 not in near
    assert client.get("/items/5").status_code == 404
    assert "'a/b'" in client.get("/items/a%2Fb").json()["detail"]


def test_search_is_paged_and_ignores_case(client, shop):
    everything = client.get("/items", params={"limit": 100}).json()
    assert everything["total"] == 24
    title = everything["items"][0]["title"]
    found = client.get("/items", params={"query": title[:6].upper(), "limit": 2}).json()
    assert found["total"] >= 1 and len(found["items"]) <= 2
    assert client.get("/items", params={"query": "105"}).json()["items"][0]["item_id"] == 105
    pages = [client.get("/items", params={"limit": 7, "offset": at}).json()["items"] for at in (0, 7, 14, 21)]
    assert [item["item_id"] for page in pages for item in page] == list(range(100, 124))


def test_the_tree_has_every_item_once(client, model):
    def walk(prefix):
        page = client.get(f"/prefixes/{prefix}" if prefix else "/prefixes").json()
        if page["members"]:
            return [item["item_id"] for item in page["members"]]
        assert sum(child["items"] for child in page["page"]) == page["items"]
        assert len(page["page"]) == page["children"]
        for child in page["page"]:
            assert 1 <= len(child["examples"]) <= min(3, child["items"])
        return [item for child in page["page"] for item in walk(child["prefix"])]

    assert sorted(walk("")) == list(range(100, 124))
    assert (
        client.get("/prefixes", params={"limit": 1, "offset": 1}).json()["page"][0]
        == (client.get("/prefixes").json()["page"][1])
    )


@pytest.mark.parametrize("prefix", ["x", "1-", "-1", "99999", "0-0-0-0-0", "0-9999999999999999999", "²"])
def test_malformed_prefixes(client, prefix):
    assert client.get(f"/prefixes/{prefix}").status_code == 422


def test_columns_are_replaced_at_once(serve):
    client = serve()
    assert put(client, {"item_id": 105, "values": {"price": 999.5}})["replaced"] == 1
    assert client.get("/items/105").json()["values"]["price"] == 999.5
    assert client.get("/items/105").json()["values"]["brand"] == "green"  # kept
    (result,) = recommend(client, histories=[[100]], k=24, where="price > 900", exclude_seen=False)
    assert ids(result) == [105]
    put(client, {"item_id": "105", "values": {"title": "Renamed Thing"}})
    found = client.get("/items", params={"query": "renamed thing"}).json()
    assert [item["item_id"] for item in found["items"]] == [105]
    assert client.get("/items").json()["total"] == 24


def test_removed_items_are_gone_everywhere_and_come_back(serve, model):
    client = serve()
    (before,) = recommend(client, histories=[[100]], k=23)
    gone = ids(before)[:3]
    answer = delete(client, *gone, 5)
    assert (answer["removed"], answer["missing"]) == (3, [5])
    (after,) = recommend(client, histories=[[100]], k=23)
    assert ids(after) == ids(before)[3:]
    (popular,) = recommend(client, histories=[[]], k=24)
    (where,) = recommend(client, histories=[[100]], k=24, where="price >= 0")
    assert not set(gone) & {*ids(popular), *ids(where)}
    assert client.get(f"/items/{gone[0]}").status_code == 404
    assert count(client) == 21 and client.get("/items").json()["total"] == 21
    assert recommend(client, histories=[[100, gone[0]]])[0]["unknown"] == []  # still encoded in histories
    refused(client.post("/similar", json={"item_ids": [gone[0]]}), 422, "item_ids[0]")
    put(client, {"item_id": gone[0], "vector": like_of(client, gone[0])})
    (again,) = recommend(client, histories=[[100]], k=23)
    assert gone[0] in ids(again)
    assert client.get(f"/items/{gone[0]}").json()["sid"] == model.sids_[gone[0]]


def like_of(client, item):
    return [0.5] * 16


def test_new_items_get_semantic_ids(serve, shop, model):
    client = serve()
    answer = put(
        client,
        {"item_id": 500, "values": {"title": "New <b>thing</b>", "price": 3.0}, "vector": like(shop, 0)},
        {"item_id": 501, "vector": like(shop, 0)},
    )
    assert (answer["added"], answer["replaced"]) == (2, 0)
    first, second = (client.get(f"/items/{item}").json() for item in (500, 501))
    codes = model.sids_[100].rpartition("-")[0]
    assert first["sid"].rpartition("-")[0] == second["sid"].rpartition("-")[0] == codes
    assert first["sid"] != second["sid"] and first["sid"] not in model.sids_.sids
    assert count(client) == 26 and count(client, codes) == len(model.sids_.items(codes)) + 2
    (chosen,) = recommend(client, histories=[[100]], k=26, where="title LIKE 'New%' OR price < 2")
    if answer["recommendable"]:
        assert 500 in ids(chosen)


def test_a_batch_is_applied_completely_or_not_at_all(serve, shop):
    client = serve()
    good = {"item_id": 500, "vector": like(shop, 0)}
    for bad, message in [
        ({"item_id": 501}, "vector"),
        ({"item_id": 501, "vector": [1.0]}, "vector"),
        ({"item_id": 501, "vector": like(shop, 0), "values": {"nothing": 1}}, "is no column"),
        ({"item_id": 501, "vector": like(shop, 0), "values": {"price": "dear"}}, "has the wrong type"),
        ({"item_id": "abc", "vector": like(shop, 0)}, "has the wrong type"),
        ({"item_id": 2**63, "vector": like(shop, 0)}, "has the wrong type"),
        ({"item_id": 500, "vector": like(shop, 0)}, "repeats"),
        ({"item_id": 501, "vector": [1e38] * 16}, "too large"),
    ]:
        answer = client.put("/items", json={"items": [good, bad]})
        assert answer.status_code == 422 and message in answer.json()["detail"], answer.text
        assert client.get("/items/500").status_code == 404
    assert client.get("/model").json()["catalogue_version"] == 0


def test_full_codes_are_a_conflict(serve, shop):
    client = serve()
    most = 0
    for start in range(500, 2000, 100):
        items = [{"item_id": start + n, "vector": like(shop, 0)} for n in range(100)]
        answer = client.put("/items", json={"items": items})
        most += answer.status_code == 200
        if answer.status_code != 200:
            break
    assert answer.status_code == 409 and "no free Semantic ID" in answer.json()["detail"]
    assert count(client) == 24 + 100 * most


def test_texts_of_new_items_are_embedded(serve, shop, monkeypatch):
    vectors, seen = np.load(shop / "vectors.npy"), []

    def embed(rows, **options):
        seen.append((rows["title"].to_list(), options["model"]))
        return vectors[: len(rows)]

    monkeypatch.setattr("sidkit.serve.source.embed_items", embed)
    client = serve(source=source_of(shop, embed="minilm"))
    put(client, {"item_id": 500, "values": {"title": "red thing"}}, {"item_id": 501})
    assert seen == [(["red thing", None], "minilm")]
    assert client.get("/items/500").json()["sid"]


def test_without_a_tokenizer_new_items_are_refused(serve, shop):
    client = serve(source=source_of(shop, tokenizer=None))
    answer = client.put("/items", json={"items": [{"item_id": 500, "vector": [0.0] * 16}]})
    assert answer.status_code == 422 and "--tokenizer" in answer.json()["detail"]
    assert put(client, {"item_id": 100, "values": {"price": 1.0}})["replaced"] == 1


def test_changes_survive_a_restart(serve, shop, tmp_path):
    first = serve(state=tmp_path)
    put(first, {"item_id": 500, "vector": like(shop, 0)}, {"item_id": 105, "values": {"price": 77.0}})
    delete(first, 110, 500)
    put(first, {"item_id": 501, "vector": like(shop, 0), "values": {"title": "Late"}})
    second = serve(state=tmp_path)
    for path in ("/items/105", "/items/110", "/items/500", "/items/501", "/prefixes", "/model"):
        one, other = (each.get(path).json() | {"instance": ""} for each in (first, second))
        assert one == other
    assert second.get("/items/501").json()["values"]["title"] == "Late"
    (one,), (other,) = (recommend(each, histories=[[100, 101]], k=24) for each in (first, second))
    assert one == other


def test_processes_share_one_catalogue(serve, shop, tmp_path):
    one, other = serve(state=tmp_path), serve(state=tmp_path)
    put(one, {"item_id": 500, "vector": like(shop, 0)})
    assert other.get("/items/500").json() == one.get("/items/500").json()
    put(other, {"item_id": 501, "vector": like(shop, 0)})
    delete(one, 100)
    assert one.get("/model").json() == other.get("/model").json()
    assert other.get("/items/100").status_code == 404
    assert recommend(one, histories=[[101]]) == recommend(other, histories=[[101]])


def test_workers_show_a_change_before_it_is_acknowledged(serve, shop, tmp_path, monkeypatch):
    monkeypatch.setattr("sidkit.serve.http.service._PATIENCE", 120.0)
    positions = (ctypes.c_uint64 * 2)(ABSENT, ABSENT)
    one, other = (serve(state=tmp_path, peers=Peers(positions, place)) for place in range(2))
    for number in range(500, 510):
        put(one, {"item_id": number, "vector": like(shop, 0)})
        assert number in ids(recommend(other, histories=[[number, 101]], k=40, exclude_seen=False)[0])
        delete(other, number)
        assert number not in ids(recommend(one, histories=[[101]], k=40)[0])
    assert positions[0] == positions[1] == (tmp_path / "journal.bin").stat().st_size


def test_a_worker_that_hangs_delays_a_change_for_a_second_only(serve, shop, tmp_path, monkeypatch):
    monkeypatch.setattr("sidkit.serve.http.service._PATIENCE", 0.01)
    said = []
    monkeypatch.setattr("sidkit.serve.http.service.log", lambda event, **_: said.append(event))
    client = serve(state=tmp_path, peers=Peers((ctypes.c_uint64 * 2)(ABSENT, 0), 0))
    put(client, {"item_id": 500, "vector": like(shop, 0)})
    assert client.get("/items/500").status_code == 200
    assert said == ["a worker has not applied a change yet"]


def test_a_change_does_not_hide_the_reload_of_another_process(shop, tmp_path):
    one, other = (CatalogueWriter(source_of(shop), tmp_path) for _ in range(2))
    one.reload()
    other.put([{"item_id": 100, "price": 1.0}], [None])
    assert other.behind and other.follow() and not other.behind and not other.follow()


def test_changes_with_integers_and_floats_in_one_column_are_replayed(shop, tmp_path):
    writer = CatalogueWriter(source_of(shop), tmp_path)
    writer.put([{"item_id": 100, "price": 1}], [None])
    writer.put([{"item_id": 101, "price": 2.5}, {"item_id": 102, "price": 3}], [None, None])
    again = CatalogueWriter(source_of(shop), tmp_path).snapshot
    numbers = [again.find(item) for item in (100, 101, 102)]
    assert again.version == 2
    assert [row["price"] for row in again.items.values(numbers, ["price"])] == [1, 2.5, 3]


def test_a_change_that_cannot_be_applied_stays_behind_until_it_can(shop, tmp_path, monkeypatch):
    positions = []
    one = CatalogueWriter(source_of(shop), tmp_path)
    other = CatalogueWriter(source_of(shop), tmp_path, applied=positions.append)
    one.put([{"item_id": 100, "price": 1.0}], [None])
    with monkeypatch.context() as patch:
        patch.setattr(LiveCatalogue, "apply", raise_value_error)
        with pytest.raises(ValueError, match="not now"):
            other.follow()
    assert other.behind and other.snapshot.version == 0 and positions[-1] < one.journal_bytes
    other.follow()
    assert not other.behind and other.snapshot.version == 1 and positions[-1] == one.journal_bytes


def raise_value_error(*_):
    raise ValueError("not now")


def test_a_damaged_journal_stops_the_start(serve, shop, tmp_path):
    client = serve(state=tmp_path)
    for price in (1.0, 2.0):
        put(client, {"item_id": 100, "values": {"price": price}})
    file = tmp_path / "journal.bin"
    data = bytearray(file.read_bytes())
    data[30] ^= 1
    file.write_bytes(data)
    with pytest.raises(Exception, match="at offset 8"):
        serve(state=tmp_path)
