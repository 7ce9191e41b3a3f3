"""Re-ranking as part of `recommend` and `evaluate`."""

import numpy as np
import polars as pl
import pytest
from tests.worlds import ITEMS, small_recommender, small_world

from sidkit.errors import ConfigError
from sidkit.evaluate import ListFacts
from sidkit.rerank import DPP, MMR, AttributeCap, MinimumShare, PopularityCorrection, SlotPolicy

WORLD = small_world()
COLOURS = pl.DataFrame({"item_id": WORLD.ids[::-1], "colour": [row // 6 for row in range(ITEMS)][::-1]})
HISTORIES = [WORLD.walk(2, 3), WORLD.walk(9, 2), []]


@pytest.fixture(scope="module")
def model():
    """A recommender without item vectors."""
    return WORLD.fit(small_recommender("transition_graph"))


def test_no_re_ranker_changes_nothing(model):
    plain = model.recommend(HISTORIES, k=5)
    for nothing in ((), [], MMR(diversity=0.0, vectors=WORLD.vectors)):
        ids, _ = model.recommend(HISTORIES, k=5, rerank=nothing)
        np.testing.assert_array_equal(ids, plain[0])


def test_a_cap_holds_and_lists_stay_full(model):
    ids, scores = model.recommend(HISTORIES, k=8, rerank=[AttributeCap(COLOURS, at_most=2)])
    colour = dict(COLOURS.iter_rows())
    for row in ids:
        assert all(each is not None for each in row)
        assert max(np.bincount([colour[each] for each in row])) == 2
    assert (np.diff(scores, axis=1) <= 0).all()
    # Only a few candidates: the rule holds, and the list is short.
    ids, scores = model.recommend(
        WORLD.walk(2, 3), k=4, rerank=AttributeCap(COLOURS, at_most=1), candidates=1
    )
    assert sum(each is not None for each in ids) <= 4 and np.isneginf(scores[-1]) == (ids[-1] is None)


def test_filters_come_before_re_ranking(model):
    allowed, history = WORLD.ids[5:20], WORLD.walk(4, 2)
    ids, _ = model.recommend(history, k=6, allow=allowed, rerank=DPP(diversity=0.9, vectors=WORLD.vectors))
    assert set(ids) <= set(allowed) - set(history) and len(set(ids)) == 6


def test_batches_equal_single_histories(model):
    steps = [
        PopularityCorrection(weight=0.5),
        MMR(diversity=0.5, vectors=WORLD.vectors),
        AttributeCap(COLOURS),
    ]
    ids, scores = model.recommend(HISTORIES[:2], k=5, rerank=steps, candidates=12)
    for row, history in enumerate(HISTORIES[:2]):
        one = model.recommend(history, k=5, rerank=steps, candidates=12)
        np.testing.assert_array_equal(one[0], ids[row])
        np.testing.assert_array_equal(one[1], scores[row])


def test_learned_vectors_are_the_default():
    model = WORLD.fit(small_recommender("sasrec", max_steps=2, evaluate_every_steps=2))
    learned, _ = model.recommend(HISTORIES[0], k=6, rerank=MMR(diversity=0.9))
    given, _ = model.recommend(HISTORIES[0], k=6, rerank=MMR(diversity=0.9, vectors=model.item_vectors_))
    np.testing.assert_array_equal(learned, given)


def test_diversity_costs_accuracy_and_is_measured(model):
    facts = ListFacts(vectors=WORLD.vectors)
    plain = model.evaluate(WORLD.split.test, ks=(4,), exclude_seen=True, lists=facts)
    varied = model.evaluate(
        WORLD.split.test,
        ks=(4,),
        exclude_seen=True,
        lists=facts,
        rerank=MMR(diversity=0.9, vectors=WORLD.vectors),
    )
    assert varied["diversity@4"] > plain["diversity@4"]
    assert varied["ndcg@4"] <= plain["ndcg@4"]
    assert (plain.model, varied.model) == ("transition_graph", "transition_graph+mmr")
    assert {"novelty@4", "serendipity@4", "average_popularity@4"} <= {r.metric for r in plain.metrics.results}


def test_what_cannot_be_is_refused(model):
    with pytest.raises(ConfigError, match="`mmr` needs item vectors"):
        model.recommend(HISTORIES[0], rerank=MMR())
    with pytest.raises(ConfigError, match="such as MMR\\(\\), got the class MMR"):
        model.recommend(HISTORIES[0], rerank=MMR)
    with pytest.raises(ConfigError, match="got the class DPP"):
        model.recommend(HISTORIES[0], rerank=[DPP])
    with pytest.raises(ConfigError, match="`minimum_share` must be the last step"):
        model.recommend(HISTORIES[0], rerank=[MinimumShare(COLOURS, {1: 0.5}), AttributeCap(COLOURS)])


def test_slots_are_filled_even_if_no_candidate_is_of_the_group(model):
    worst = model.recommend(HISTORIES[0], k=ITEMS)[0][: ITEMS - 3][-4:].tolist()
    catalogue = WORLD.dataset.catalogue()
    for group in (worst, catalogue.item_set(worst)):
        for filters in ({}, {"allow": WORLD.ids}, {"exclude": [worst[:1]] * 3}):
            left = set(worst) - set(worst[:1] if "exclude" in filters else [])
            rules = [MMR(diversity=0.2, vectors=WORLD.vectors), SlotPolicy(min=2, max=3, items=group)]
            ids, _ = model.recommend(HISTORIES, k=6, candidates=6, rerank=rules, **filters)
            assert ids.shape == (3, 6) and all(None not in row and len(set(row)) == 6 for row in ids.tolist())
            assert all(2 <= len(set(row) & left) <= 3 for row in ids[:2].tolist())
    plain, _ = model.recommend(HISTORIES[0], k=6)
    ids, _ = model.recommend(HISTORIES[0], k=6, candidates=6, rerank=SlotPolicy(min=2, items=worst))
    assert ids.tolist() == [*plain[:4], *worst[:2]]
    # An item that may not be recommended fills no slot.
    ids, _ = model.recommend(HISTORIES[0], k=6, rerank=SlotPolicy(min=2, items=worst), allow=plain)
    assert ids.tolist() == plain.tolist()
