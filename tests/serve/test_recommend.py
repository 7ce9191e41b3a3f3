import numpy as np
import polars as pl
import pytest


def recommend(client, **body):
    answer = client.post("/recommend", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def ids(result):
    return [item["item_id"] for item in result["items"]]


def refused(answer, status, field):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in [each["field"] for each in answer.json()["errors"]]


@pytest.mark.parametrize("scoring", ["sid", "exact", "fused"])
def test_lists_and_scores_are_those_of_the_model(client, model, scoring):
    histories = [[100, 101, 102], [110], [123, 100]]
    results = recommend(client, histories=histories, k=5, scoring=scoring)
    expected, scores = model.recommend(histories, 5, scoring=scoring)
    assert [ids(result) for result in results] == expected.tolist()
    np.testing.assert_allclose(
        [[item["score"] for item in each["items"]] for each in results], scores, atol=1e-4
    )


def test_each_option_is_applied(client, model):
    history = [100, 101, 102]
    (plain,) = recommend(client, histories=[history], k=23)
    assert not set(ids(plain)) & set(history)
    (seen,) = recommend(client, histories=[history], k=24, exclude_seen=False)
    assert set(history) <= set(ids(seen))
    (without,) = recommend(client, histories=[history], k=23, exclude=[ids(plain)[0], 999])
    assert ids(without) == ids(plain)[1:]
    (only,) = recommend(client, histories=[history], k=5, allow=[105, 104, "103", 7777])
    assert set(ids(only)) == {103, 104, 105}
    (cheap,) = recommend(client, histories=[history], k=24, where="price < 12 AND brand != 'red'")
    assert ids(cheap) == [item for item in ids(plain) if item < 108 and (item - 100) % 4 in (1, 2)]
    (both,) = recommend(client, histories=[history], k=24, where="price < 12", allow=[104, 120])
    assert ids(both) == [104]


def test_ids_may_be_text(client):
    assert recommend(client, histories=[["100", "101"]]) == recommend(client, histories=[[100, 101]])


def test_unknown_items_are_skipped_and_reported(client):
    known, skipped = recommend(client, histories=[[100, 101], [100, 5, "x", 101]])
    assert ids(known) == ids(skipped)
    assert (known["unknown"], skipped["unknown"]) == ([], [5, "x"])


def test_empty_histories_get_popular_items(client, model):
    empty, unknown = recommend(client, histories=[[], ["nothing"]], k=3)
    popular = np.argsort(-model.item_counts_, kind="stable")[:3] + 100
    assert ids(empty) == ids(unknown) == popular.tolist()
    assert empty["by_popularity"] and unknown["by_popularity"]


def test_strict_requests(client):
    refused(client.post("/recommend", json={"histories": [[100], []], "strict": True}), 422, "histories[1]")
    refused(client.post("/recommend", json={"histories": [[100, 5]], "strict": True}), 422, "histories[0]")
    refused(client.post("/recommend", json={"users": ["nobody"], "strict": True}), 422, "users[0]")


def test_users(client, shop, model):
    events = pl.read_parquet(shop / "interactions.parquet")
    user = events["user_id"][0]
    history = events.filter(pl.col("user_id") == user).sort("timestamp")["item_id"].to_list()
    by_user, nobody = recommend(client, users=[user, "nobody"], k=5)
    (by_history,) = recommend(client, histories=[history], k=5)
    assert by_user == by_history
    assert nobody["by_popularity"]


def test_events_extend_the_history_of_a_user(client):
    answer = client.post("/events", json={"user": "visitor", "item_ids": [100, "101", 5]})
    assert answer.json() == {"stored": 2, "unknown": [5]}
    assert recommend(client, users=["visitor"]) == recommend(client, histories=[[100, 101]])


def test_columns_and_semantic_ids(client, model):
    (result,) = recommend(client, histories=[[100]], k=3, fields=["title", "price"], sids=True)
    for item in result["items"]:
        assert item["sid"] == model.sids_[item["item_id"]]
        assert item["fields"]["price"] == (item["item_id"] - 100) * 1.5
        assert set(item["fields"]) == {"title", "price"}


def test_rules(client, model):
    (capped,) = recommend(
        client,
        histories=[[100]],
        k=8,
        rerank=[{"method": "attribute_cap", "column": "brand", "at_most": 1}],
        fields=["brand"],
    )
    brands = [item["fields"]["brand"] for item in capped["items"] if item["fields"]["brand"]]
    assert len(brands) == len(set(brands)) == 3
    (boosted,) = recommend(
        client, histories=[[100]], k=5, rerank=[{"method": "boost", "column": "price", "weight": 1e5}]
    )
    assert ids(boosted) == [123, 122, 121, 120, 119]
    for method in ("mmr", "max_sum", "dpp", "deduplicate", "popularity_correction"):
        (chosen,) = recommend(client, histories=[[100]], k=5, rerank=[{"method": method}])
        assert len(ids(chosen)) > 0
    shares = [{"value": "blue", "share": 0.5}]
    (shared,) = recommend(
        client,
        histories=[[100]],
        k=4,
        rerank=[{"method": "minimum_share", "column": "brand", "shares": shares}],
    )
    assert sum((item - 100) % 4 == 2 for item in ids(shared)) >= 2


def test_reserved_positions_are_filled_beyond_the_candidates(client, model):
    (plain,) = recommend(client, histories=[[100]], k=23)
    last = ids(plain)[-1]
    step = {"method": "slot_policy", "min": 1, "max": 1, "where": f"item_id = {last}"}
    (chosen,) = recommend(client, histories=[[100]], k=4, candidates=4, rerank=[step])
    assert ids(chosen) == [*ids(plain)[:3], last]
    body = {"histories": [[100]], "k": 2, "rerank": [step | {"min": 3, "max": 3}]}
    refused(client.post("/recommend", json=body), 422, "rerank")


def test_explanations(client, model):
    history = [100, 101]
    (result,) = recommend(client, histories=[history], k=4, explain=True)
    for item in result["items"]:
        why = item["why"]
        own = model.sids_[item["item_id"]].split("-")
        shared = []
        for other in history:
            tokens = model.sids_[other].split("-")
            shared.append(
                next((n for n, (a, b) in enumerate(zip(own, tokens, strict=True)) if a != b), len(own))
            )
        assert why["shared_prefix"] == max(shared)
        assert set(why["scores"]) == {"sid", "exact", "fused"}
        assert why["scores"]["sid"] == pytest.approx(item["score"], abs=1e-4)
        assert -1 <= why["similarity"] <= 1.0001


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"histories": [[100]], "users": ["a"]}, ""),
        ({"histories": [[100.5]]}, "histories[0][0].constrained-int"),
        ({"histories": [[True]]}, "histories[0][0].constrained-int"),
        ({"histories": [[100]], "k": 0}, "k"),
        ({"histories": [[100]], "k": 101}, "k"),
        ({"histories": [[100]], "kk": 5}, "kk"),
        ({"histories": [[100]], "scoring": "best"}, "scoring"),
        ({"histories": [[100]], "fields": ["title", "secret"]}, "fields[1]"),
        ({"histories": [[100]], "where": "prise < 5"}, "where"),
        ({"histories": [[100]], "where": "price"}, "where"),
        ({"histories": [[100]], "where": "price <"}, "where"),
        ({"histories": [[100]], "where": "lpad(title, 1000000000, 'x') = title"}, "where"),
        ({"histories": [[100]], "where": "(" * 400 + "1 = 1" + ")" * 400}, "where"),
        ({"histories": [[100]], "where": "NOT " * 200 + "(price < 5)"}, "where"),
        ({"histories": [[100]], "rerank": [{"method": "magic"}]}, "rerank[0]"),
        ({"histories": [[100]], "rerank": [{"method": "boost", "column": "brand"}]}, "rerank[0]"),
        ({"histories": [[100]], "rerank": [{"method": "attribute_cap", "column": "nothing"}]}, "rerank[0]"),
        ({"histories": [[100]] * 65}, "histories"),
        ({"histories": [[100] * 1001]}, "histories[0]"),
        ({"users": ["a"] * 65}, "users"),
    ],
)
def test_a_wrong_field_is_named(client, body, field):
    refused(client.post("/recommend", json=body), 422, field)


def test_similar_items(client, model):
    answer = client.post("/similar", json={"item_ids": [100, "101"], "k": 3, "fields": ["title"]}).json()
    expected, scores = model.similar_items([100, 101], 3)
    assert [[item["item_id"] for item in row] for row in answer["results"]] == expected.tolist()
    np.testing.assert_allclose(
        [[item["score"] for item in row] for row in answer["results"]], scores, atol=1e-5
    )
    refused(client.post("/similar", json={"item_ids": [100, 5]}), 422, "item_ids[1]")
