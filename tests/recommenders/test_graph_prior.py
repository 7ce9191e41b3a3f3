"""Fusion with the transition graph: the formula by hand, and the weight that validation chooses."""

import json

import numpy as np
import polars as pl
import pytest

from sidkit.data import EvaluationSet, Sequences
from sidkit.errors import FormatError
from sidkit.recommenders import TransitionGraph
from sidkit.recommenders.filters import Query
from sidkit.recommenders.item_to_item.graph_prior import GraphPrior
from sidkit.recommenders.training_data import TrainingData

ITEMS = 30
TRAIN = Sequences.from_rows([[row, (row + 1) % ITEMS] for row in range(ITEMS)] * 3)
HISTORIES = Sequences.from_rows([[row] for row in range(0, ITEMS, 2)])
AFTER = (HISTORIES.values.astype(np.int64) + 1) % ITEMS


def data(validation=True):
    users = np.arange(len(HISTORIES))
    return TrainingData(
        histories=TRAIN,
        times=None,
        item_ids=pl.Series("item_id", np.arange(ITEMS)),
        sids=None,
        item_vectors=None,
        validation=EvaluationSet(users, HISTORIES, AFTER) if validation else None,
        callbacks=(),
    )


def model(margin):
    """A model of which the right item is behind all others by a margin; ahead if it is negative."""

    def log_probs(histories):
        found = np.zeros((len(histories), ITEMS), np.float32)
        found[np.arange(len(histories)), (histories.tail(1).values + 1) % ITEMS] = -margin
        return found - np.log(np.exp(found).sum(1, keepdims=True))

    return log_probs


@pytest.fixture(scope="module")
def graph():
    return TransitionGraph().fit_rows(data())


def test_scores_are_mixed_by_the_formula(graph):
    histories = Sequences.from_rows([[3, 4], [7]])
    log_probs = np.log(np.random.default_rng(0).dirichlet(np.ones(ITEMS), 2)).astype(np.float32)
    shares = np.zeros((2, ITEMS))
    for row, history in enumerate(histories):
        ids, scores = graph.recommend(history.tolist(), k=ITEMS, exclude_seen=False)
        shares[row, ids] = scores / scores.sum()
    assert (shares == 0).any() and (shares > 0.1).any()
    mixed = GraphPrior(graph, 0.2).mix(log_probs, histories)
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(mixed, 0.8 * log_probs + 0.2 * np.log(shares + 0.001), rtol=1e-5)
    assert np.array_equal(GraphPrior(graph, 0.0).mix(log_probs, histories), log_probs)


def ndcg(prior, log_probs):
    """NDCG@10 on validation with seen items excluded, the plain way."""
    gains = []
    for row, target in enumerate(AFTER):
        mixed = prior.mix(log_probs, HISTORIES)[row]
        mixed[HISTORIES[row]] = -np.inf
        rank = int((mixed > mixed[target]).sum() + (mixed[:target] == mixed[target]).sum())
        gains.append(1 / np.log2(rank + 2) if rank < 10 else 0.0)
    return np.mean(gains)


@pytest.mark.parametrize(("margin", "weight"), [(-3.0, 0.0), (0.0, 0.2), (1.0, 0.35), (1.5, 0.5)])
def test_validation_chooses_the_weight(margin, weight, graph):
    prior = GraphPrior.fit(data(), model(margin), exclude_seen=True)
    found = {each: ndcg(GraphPrior(graph, each), model(margin)(HISTORIES)) for each in (0.0, 0.2, 0.35, 0.5)}
    # The least weight that lifts the right item, which the graph knows, to the top.
    assert prior.weight == max(found, key=found.get) == weight
    ranked, _ = prior.rank(model(margin), HISTORIES, 1, Query(exclude=HISTORIES))
    assert (ranked[:, 0] == AFTER).all()


def test_without_validation_the_weight_is_a_default():
    assert GraphPrior.fit(data(validation=False), model(0.0), exclude_seen=True).weight == 0.35


def test_histories_are_scored_in_batches_of_the_query(graph):
    calls, done = [], []

    def scores(histories):
        calls.append(len(histories))
        return model(1.0)(histories)

    query = Query(exclude=HISTORIES, allow=Sequences.from_rows([np.arange(20)]), batch_size=4)
    query = Query(**(vars(query) | {"on_progress": done.append}))
    items, best = GraphPrior(graph, 0.5).rank(scores, HISTORIES, 25, query)
    assert calls == [4, 4, 4, 3] and done == [4, 8, 12, 15]
    assert ((items >= 0).sum(1) == [19 if history[0] < 20 else 20 for history in HISTORIES]).all()
    assert items.max() < 20 and np.isneginf(best[items < 0]).all()


def test_saved_and_loaded_it_mixes_the_same(graph, tmp_path):
    prior = GraphPrior(graph, 0.2)
    prior.save(tmp_path)
    loaded = GraphPrior.load(tmp_path)
    assert loaded.weight == 0.2
    log_probs = model(1.0)(HISTORIES)
    assert np.array_equal(prior.mix(log_probs, HISTORIES), loaded.mix(log_probs, HISTORIES))


@pytest.mark.parametrize("text", ["", "[]", json.dumps({"share": 0.2}), json.dumps({"weight": None})])
def test_other_files_hold_no_weight(text, graph, tmp_path):
    GraphPrior(graph, 0.2).save(tmp_path)
    (tmp_path / "fusion.json").write_text(text)
    with pytest.raises(FormatError, match="holds no weight of a graph"):
        GraphPrior.load(tmp_path)
