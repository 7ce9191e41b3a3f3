"""Bias of the scores of documents that are added after the training."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.search.worlds import topic_collection

from sidkit.search import SidRetriever, load_retriever
from sidkit.search.prefixes import Trial, balanced_bias


def ranked(rows, scores):
    return np.array(rows, np.int32), np.array(scores, np.float32)


#: Documents 0 and 1 are trained, 2 and 3 are not; query 0 has the relevant documents 0, 2 and 3.
SMALL = Trial(
    ranked([[0, 1], [1, -1]], [[0.9, 0.5], [0.7, -np.inf]]),
    ranked([[2, 3], [3, 2]], [[0.4, 0.1], [0.6, 0.3]]),
    np.array([False, False, True, True]),
)
PAIRS = np.array([0, 0, 0, 1]), np.array([0, 2, 3, 1])


def test_recall_of_both_groups_by_hand():
    assert SMALL.recall(PAIRS, 0.0, 2) == (1.0, 0.0)
    assert SMALL.recall(PAIRS, 0.2, 2) == (1.0, 0.5)  # 0.6 of document 2 is more than 0.5 of document 1
    assert SMALL.recall(PAIRS, 1.0, 2) == (0.0, 1.0)


def test_the_smallest_sufficient_bias_is_chosen():
    biases = [0.0, 0.05, 0.2, 1.0]
    assert balanced_bias([SMALL], PAIRS, biases, target=0.5, depth=2) == 0.2
    assert balanced_bias([SMALL], PAIRS, biases, target=0.9, depth=2) == 1.0
    assert balanced_bias([SMALL], PAIRS, biases[:2], target=0.9, depth=2) == 0.05  # none is sufficient


def test_no_bias_where_a_group_has_no_relevant_documents():
    pairs = np.array([0, 1]), np.array([0, 1])
    assert np.isnan(SMALL.recall(pairs, 0.0, 2)[1])
    assert balanced_bias([SMALL], pairs, [0.0, 1.0], target=1.0, depth=2) == 0.0


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_recall_equals_the_plain_definition(seed):
    random = np.random.default_rng(seed)
    scores = random.normal(size=(4, 12)).astype(np.float32)
    is_added = random.random(12) < 0.5
    relevant = random.random((4, 12)) < 0.4
    groups = []
    for wanted in (False, True):
        rows = np.flatnonzero(is_added == wanted)
        order = np.argsort(-scores[:, rows], axis=1)
        groups.append((rows[order].astype(np.int32), np.take_along_axis(scores[:, rows], order, axis=1)))
    top = np.argsort(-(scores + 0.3 * is_added), axis=1)[:, :5]
    expected = []
    for wanted in (False, True):
        shares = []
        for query in range(4):
            known = set(np.flatnonzero(relevant[query] & (is_added == wanted)).tolist())
            if known:
                shares.append(len(known & set(top[query].tolist())) / len(known))
        expected.append(np.mean(shares) if shares else np.nan)
    found = Trial(*groups, is_added).recall(np.nonzero(relevant), 0.3, 5)
    assert found == pytest.approx(expected, nan_ok=True)


def test_bias_of_added_documents(tmp_path):
    """Scores of added documents rise by the bias, those of the others stay; both survive saving."""
    retriever = SidRetriever(epochs=4, batch_size=16, learning_rate=0.01, beam=100).fit(topic_collection())
    fresh = {"doc_id": ["N0", "N1"], "title": ["", ""], "text": ["d0w0 d0w2 d0w4", "d1w1 d1w3"]}
    biased, plain = retriever, copy.copy(retriever)
    biased.added_bias_, plain.added_bias_ = np.array([0.25]), np.zeros(1)
    before, after = ({}, {})
    for each, scores in ((plain, before), (biased, after)):
        each.add_documents(fresh)
        scores |= dict(zip(*each.search("q0w0 q0w1", k=82), strict=True))
    assert len(before) == 82
    for name, score in before.items():
        assert after[name] == pytest.approx(score + 0.25 * name.startswith("N"), abs=1e-5)
    biased.save(tmp_path / "saved")
    ids, scores = load_retriever(tmp_path / "saved").search("q0w0 q0w1", k=82)
    assert dict(zip(ids, scores, strict=True)) == after


def test_without_a_target_there_is_no_bias():
    settings = {"epochs": 4, "batch_size": 16, "learning_rate": 0.01}
    assert SidRetriever(added_recall=0.0, **settings).fit(topic_collection()).added_bias_.tolist() == [0.0]
    assert SidRetriever().fit(topic_collection().documents).added_bias_.tolist() == [0.0]
