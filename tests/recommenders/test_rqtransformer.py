"""RQTransformer: its scorings, its content, and catalogues in which it samples."""

from copy import copy

import numpy as np
import polars as pl
import pytest
from tests.worlds import ITEMS, small_recommender, small_world

from sidkit.data import Sequences
from sidkit.decode import RankOptions, rank_by_scores
from sidkit.errors import ConfigError, DataError
from sidkit.ids import append_items
from sidkit.recommenders import RQTransformer, load_model

WORLD = small_world()
QUICK = {"max_steps": 4, "evaluate_every_steps": 2}


def walks(length=3):
    return [WORLD.walk(start, length) for start in range(ITEMS)]


def share_of_right_answers(ids):
    return np.mean([found == WORLD.after(walk[-1]) for found, walk in zip(ids[:, 0], walks(), strict=True)])


def test_scorings_are_those_that_the_settings_allow(fitted_recommender):
    assert fitted_recommender("rqtransformer").scorings == ("sid", "exact", "fused")
    assert RQTransformer().scorings == ("sid", "exact", "fused")
    assert RQTransformer(graph=False).scorings == ("sid", "exact")
    without = WORLD.fit(small_recommender("rqtransformer", **QUICK, graph=False))
    assert not hasattr(without, "prior_")
    with pytest.raises(ConfigError, match="no scoring `fused`: expected one of sid, exact"):
        without.recommend(walks(), scoring="fused")


def test_every_scoring_is_its_ranking(fitted_recommender):
    recommender, test = fitted_recommender("rqtransformer"), WORLD.split.test
    exact = rank_by_scores(recommender.network_, test.histories, 5)
    found = recommender._rank(test.histories, 5, scoring="exact")
    assert np.array_equal(found[0], exact[0]) and np.array_equal(found[1], exact[1])
    searched = recommender._rank(test.histories, 5, beam=ITEMS)
    np.testing.assert_array_equal(searched[0], exact[0])
    np.testing.assert_allclose(searched[1], exact[1], rtol=1e-4, atol=1e-5)
    # Fused scores are those of the prior.
    prior = recommender.prior_
    mixed = prior.mix(recommender._log_probs(test.histories), test.histories)
    items, scores = recommender._rank(test.histories, 5, scoring="fused")
    np.testing.assert_allclose(scores, np.take_along_axis(mixed, items, 1), rtol=1e-5)
    np.testing.assert_allclose(scores, -np.sort(-mixed)[:, :5], rtol=1e-5)


def test_exact_scores_are_log_probabilities(fitted_recommender):
    recommender, test = fitted_recommender("rqtransformer"), WORLD.split.test
    _, log_probs = recommender._rank(test.histories, ITEMS, scoring="exact")
    np.testing.assert_allclose(np.exp(log_probs).sum(1), 1, rtol=1e-5)  # no two items share a Semantic ID


@pytest.mark.parametrize("scoring", ["exact", "fused"])
def test_lists_stay_full_under_filters(scoring, fitted_recommender):
    recommender = fitted_recommender("rqtransformer")
    recommender = copy(recommender)
    recommender.prior_ = type(recommender.prior_)(recommender.prior_.graph, 0.35)
    history, allow, exclude = WORLD.walk(0, 4), WORLD.ids[2:14], WORLD.ids[6:8]
    left = set(allow) - set(exclude) - set(history)
    filters = {"allow": allow, "exclude": exclude, "scoring": scoring}
    ids, scores = recommender.recommend(history, k=ITEMS, **filters)
    assert set(ids[: len(left)]) == left and set(ids[len(left) :]) == {None}
    assert np.isfinite(scores[: len(left)]).all() and np.isneginf(scores[len(left) :]).all()
    ids, _ = recommender.recommend([history, WORLD.walk(3, 2)], k=len(left) - 1, **filters)
    assert set(ids[0]) < left and None not in ids[1]
    # The size of the batches changes nothing.
    rows = WORLD.split.test.histories
    whole = recommender._rank(rows, 7, scoring=scoring, exclude=rows)
    parts = recommender._rank(rows, 7, scoring=scoring, exclude=rows, batch_size=11)
    assert np.array_equal(whole[0], parts[0])
    np.testing.assert_allclose(whole[1], parts[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scoring", ["sid", "exact", "fused"])
def test_an_empty_batch_and_an_empty_history(scoring, fitted_recommender):
    recommender = fitted_recommender("rqtransformer")
    items, scores = recommender._rank(Sequences.from_rows([]), 3, scoring=scoring)
    assert items.shape == scores.shape == (0, 3)
    popular = recommender.recommend([], k=3)[0].tolist()
    ids, _ = recommender.recommend([[], WORLD.walk(0, 2)], k=3, scoring=scoring)
    assert ids[0].tolist() == popular and ids[1, 0] == WORLD.ids[2]


def test_it_learns_with_and_without_content():
    with_content = WORLD.fit(small_recommender("rqtransformer", **QUICK))
    assert with_content.uses_item_vectors and with_content.network_.vectors.content.shape == (ITEMS, 16)
    without = WORLD.fit(small_recommender("rqtransformer", **QUICK, content=False))
    assert not without.uses_item_vectors and without.network_.vectors.project is None
    none_given = small_recommender("rqtransformer", **QUICK).fit(WORLD.split.train, sids=WORLD.sids)
    assert none_given.network_.vectors.project is None
    assert none_given.prior_.weight == 0.35  # without validation


# --- large catalogues


@pytest.fixture(scope="module")
def sampled():
    """A recommender whose softmaxes are estimated from samples, and whose prefixes share vectors."""
    return WORLD.fit(small_recommender("rqtransformer", sample_above=1, negatives=8, prefix_rows=20))


def test_sampled_it_searches_and_finds_the_next_item(sampled):
    assert sampled.scorings == ("sid",)
    assert not hasattr(sampled, "prior_")
    assert sampled.network_.vectors.hashed and not sampled.network_.exact
    ids, scores = sampled.recommend(walks(), k=3)
    assert share_of_right_answers(ids) >= 0.95
    assert (np.diff(scores) <= 0).all()
    for scoring in ("exact", "fused"):
        with pytest.raises(ConfigError, match=f"no scoring `{scoring}`: expected one of sid"):
            sampled.recommend(walks(), scoring=scoring)


def test_sampled_a_wide_beam_ranks_as_exact_scores_do(sampled):
    histories = WORLD.split.test.histories
    items, _ = sampled._rank(histories, 5, beam=ITEMS)
    expected, _ = rank_by_scores(sampled.network_, histories, 5, options=RankOptions())
    assert (items[:, 0] == expected[:, 0]).mean() > 0.95


def test_sampled_it_can_be_saved(sampled, tmp_path):
    sampled.save(tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.scorings == ("sid",) and loaded.get_params() == sampled.get_params()
    for ours, theirs in zip(sampled.recommend(walks(), k=6), loaded.recommend(walks(), k=6), strict=True):
        assert np.array_equal(ours, theirs)
    ids, _ = loaded.similar_items(WORLD.ids[:2], k=4)
    assert ids.tolist() == sampled.similar_items(WORLD.ids[:2], k=4)[0].tolist()


def test_more_negatives_than_semantic_ids_are_all_of_them():
    model = WORLD.fit(small_recommender("rqtransformer", sample_above=1, negatives=1000))
    assert share_of_right_answers(model.recommend(walks(), k=1)[0]) >= 0.95


# --- new items


def grown(recommender):
    """A copy with an item like the first one."""
    sids = append_items(WORLD.sids, WORLD.sids.codes[:1], ["new-a"])
    return copy(recommender).add_items(["new-a"], WORLD.vectors[:1], sids=sids)


@pytest.mark.parametrize("scoring", ["sid", "exact", "fused"])
def test_a_bias_ranks_new_items_higher(scoring, fitted_recommender):
    recommender = grown(fitted_recommender("rqtransformer"))
    places = []
    for bias in (0.0, 4.0, 100.0):
        recommender.set_params(new_item_bias=bias)
        ids, _ = recommender.recommend(walks(), k=ITEMS + 1, scoring=scoring, exclude_seen=False)
        places.append((ids == "new-a").argmax(axis=1))
    assert (places[1] <= places[0]).all() and (places[2] == 0).all()
    assert places[0].mean() > places[1].mean()


def test_parts_of_scores_add_up_to_log_probabilities(fitted_recommender):
    recommender, history = grown(fitted_recommender("rqtransformer")), WORLD.walk(3, 3)
    recommender.set_params(new_item_bias=2.0)
    ids, scores = recommender.recommend(history, k=ITEMS + 1, scoring="exact", exclude_seen=False)
    parts = recommender.explain(history, ids)
    assert parts.columns == [
        *("item_id", "sid", "known_prefix", "score", "codes", "prefixes", "content", "new_item_bias")
    ]
    difference = parts["score"].to_numpy() - scores
    np.testing.assert_allclose(difference, difference[0], atol=1e-4)
    total = parts.select(sum=pl.sum_horizontal("codes", "prefixes", "content", "new_item_bias"))["sum"]
    np.testing.assert_allclose(total, parts["score"], atol=1e-4)
    new = parts.row(by_predicate=pl.col("item_id") == "new-a", named=True)
    assert (new["sid"], new["known_prefix"], new["new_item_bias"]) == (recommender.sids_["new-a"], "0-0", 2.0)
    known = parts.filter(pl.col("item_id") != "new-a")
    assert known["sid"].equals(known["known_prefix"].alias("sid")) and known["new_item_bias"].sum() == 0
    with pytest.raises(DataError, match="the history has no known item: expected one at least"):
        recommender.explain([], ["new-a"])
    with pytest.raises(DataError, match="item 'gone' is unknown"):
        recommender.explain(history, ["gone"])


def test_items_that_were_held_out_are_scored_by_similar_ones():
    split = WORLD.dataset.split("cold_items", share=0.2, seed=3)
    model = small_recommender("rqtransformer", unseen_as_new=True, graph=False, max_steps=60)
    model.fit(split.train, sids=WORLD.sids, item_vectors=WORLD.vectors)
    vectors = model.network_.vectors
    unknown = vectors.is_new(vectors.tree.leaf.long()).numpy()
    np.testing.assert_array_equal(unknown, split.cold_items)
    ids, _ = model.recommend(split.test_cold, k=ITEMS, exclude_seen=False)
    targets = model.item_ids_.gather(split.test_cold.targets).to_numpy()
    rank = (ids == targets[:, None]).argmax(axis=1).mean()
    assert rank < ITEMS / 3
    model.set_params(new_item_bias=2.0)
    ids, _ = model.recommend(split.test_cold, k=ITEMS, exclude_seen=False)
    assert (ids == targets[:, None]).argmax(axis=1).mean() < rank
