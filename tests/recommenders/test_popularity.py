"""Popularity: the training counts are the scores of everyone."""

import numpy as np
import polars as pl

from sidkit.data import cyclic_world
from sidkit.recommenders import Popularity


def test_counts_are_scores_for_everyone():
    model = Popularity().fit([[12, 10, 12], [12, 10], [], [11, 13][:0]])
    ids, counts = model.recommend([[10], []], k=3, exclude_seen=False)
    assert model.item_ids_.to_list() == [12, 10]
    assert ids.tolist() == [[12, 10, -1]] * 2
    np.testing.assert_array_equal(counts, [[3, 2, -np.inf]] * 2)


def test_items_without_events_come_last_in_the_order_of_the_catalogue():
    from sidkit.data import Histories

    histories = Histories.from_ids([["c", "c"], ["a"]], item_ids=Histories.from_ids([list("abcd")]).item_ids)
    ids, counts = Popularity().fit(histories).recommend([], k=4)
    assert ids.tolist() == ["c", "a", "b", "d"]
    assert counts.tolist() == [2, 1, 0, 0]


def test_warm_and_cold_targets_are_evaluated_apart():
    split = cyclic_world(users=60, items=12).dataset.split("cold_items", share=0.25, seed=1)
    model = Popularity().fit(split.train)
    evaluation = model.evaluate(split.test, ks=(9, 10))
    ids, _ = model.recommend(split.test, k=10)
    targets = model.item_ids_.gather(split.test.targets)
    hits = np.array([target in row for target, row in zip(targets, ids.tolist(), strict=True)])
    cold = np.isin(split.test.targets, split.test_cold.targets)
    assert 0 < cold.sum() < len(cold)
    for name, mask in (("all", np.ones(len(cold), bool)), ("warm", ~cold), ("cold", cold)):
        assert evaluation.result("recall@10", slice=name).value == hits[mask].mean()
    assert evaluation.metrics.slices == {"all": len(cold), "warm": (~cold).sum(), "cold": cold.sum()}
    shown = [item for row in ids.tolist() for item in row if item is not None]
    untrained = set(model.item_ids_.filter(pl.Series(split.cold_items)))
    share = np.mean([item in untrained for item in shown])
    assert evaluation["cold@10"] == share > 0
    assert (evaluation.protocol.cold_share, evaluation.protocol.cold_seed) == (0.25, 1)
    assert "Recall@10, cold targets" in repr(evaluation)
