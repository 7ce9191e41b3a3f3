"""Metrics against hand-computed values and `pytrec_eval`, intervals, TREC files."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidkit.errors import ConfigError, DataError
from sidkit.search import (
    Collection,
    QuerySet,
    SearchEvaluation,
    query_metrics,
    read_trec_run,
    write_trec_qrels,
    write_trec_run,
)
from sidkit.search.evaluation import METRICS

DOCUMENTS = 12


def query_set(labels):
    """One query per mapping of document rows to relevance."""
    rows = [(query, doc, level) for query, each in enumerate(labels) for doc, level in sorted(each.items())]
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    ids = pl.Series([f"q{row}" for row in range(len(labels))])
    return QuerySet(ids, ["text"] * len(labels), *columns)


def test_by_hand():
    queries = query_set([{3: 2, 5: 1, 7: 1}])
    found = query_metrics(np.array([[0, 3, 1, 7]]), queries, ["ndcg@10", "recall@2", "mrr@10", "success@1"])
    ideal = 2 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert found["ndcg@10"][0] == pytest.approx((2 / math.log2(3) + 1 / math.log2(5)) / ideal)
    assert (found["recall@2"][0], found["mrr@10"][0], found["success@1"][0]) == (1 / 3, 0.5, 0)


@st.composite
def rankings(draw):
    labels = draw(
        st.lists(
            st.dictionaries(st.integers(0, DOCUMENTS - 1), st.integers(0, 3), min_size=1).filter(
                lambda each: max(each.values()) >= 1
            ),
            min_size=1,
            max_size=4,
        )
    )
    k = draw(st.integers(1, DOCUMENTS))
    lists = [draw(st.permutations(range(DOCUMENTS)))[:k] for _ in labels]
    return labels, np.array(lists)


@given(rankings())
@settings(max_examples=60, deadline=None)
def test_against_pytrec_eval(case):
    labels, rows = case
    oracle = pytest.importorskip("pytrec_eval")
    qrels = {f"q{q}": {str(d): level for d, level in each.items()} for q, each in enumerate(labels)}
    run = {f"q{q}": {str(d): -float(place) for place, d in enumerate(each)} for q, each in enumerate(rows)}
    names = {"ndcg_cut_10": "ndcg@10", "recall_10": "recall@10", "success_1": "success@1"}
    expected = oracle.RelevanceEvaluator(qrels, {*names, "recip_rank"}).evaluate(run)
    found = query_metrics(rows, query_set(labels), [*names.values(), "mrr@100"])
    for query in range(len(labels)):
        for theirs, ours in [*names.items(), ("recip_rank", "mrr@100")]:
            assert found[ours][query] == pytest.approx(expected[f"q{query}"][theirs]), ours


def test_padding_is_no_document():
    found = query_metrics(np.array([[4, -1, -1]]), query_set([{4: 1, 5: 1}]), ["recall@10", "ndcg@10"])
    assert found["recall@10"][0] == 0.5
    assert query_metrics(np.empty((1, 0), int), query_set([{4: 1}]))["mrr@10"][0] == 0


@pytest.mark.parametrize(
    ("rows", "labels", "error", "message"),
    [
        ([[1, 1]], [{1: 1}], DataError, "list 0 repeats a document"),
        ([[1], [2]], [{1: 1}], DataError, "do not fit the queries"),
        ([[1]], [{1: 0}], DataError, "no relevant document"),
    ],
)
def test_invalid_lists(rows, labels, error, message):
    with pytest.raises(error, match=message):
        query_metrics(np.array(rows), query_set(labels))


@pytest.mark.parametrize("name", ["ndcg", "ndcg@0", "map@10", "ndcg@1.5"])
def test_unknown_metrics(name):
    with pytest.raises(ConfigError, match="the metric is unknown"):
        query_metrics(np.array([[1]]), query_set([{1: 1}]), [name])


def test_intervals_and_paired_comparison():
    labels = [{0: 1}] * 40
    good = np.tile([0, 1], (40, 1))
    worse = good.copy()
    worse[:10] = [1, 0]
    first = SearchEvaluation.of("first", good, query_set(labels), METRICS, seed=3)
    second = SearchEvaluation.of("second", worse, query_set(labels), METRICS)
    low, high = second.interval("success@1")
    assert first["success@1"] == 1 and second["success@1"] == 0.75 and low < 0.75 < high
    compared = first.compare(second, "success@1")
    assert (compared.difference, compared.wins, compared.losses) == (0.25, 10, 0)
    assert compared.p_value < 0.01 and first.compare(first).p_value == 1
    assert first.as_dict()["protocol"]["seed"] == 3 and "ndcg@10" in repr(first)
    other = SearchEvaluation("other", ["z"], second.values)
    with pytest.raises(DataError, match="expected the same queries"):
        first.compare(other)


def test_run_files_keep_the_order_of_equal_scores(tmp_path):
    ids = np.array([["b", "a", None], ["c", "b", "a"]], object)
    scores = np.array([[1, 1, -np.inf], [0.5, 0.25, 0.25]], np.float32)
    write_trec_run(tmp_path / "x.trec", ["q", "r"], ids, scores, "mine")
    table = read_trec_run(tmp_path / "x.trec")
    assert table["doc_id"].to_list() == ["b", "a", "c", "b", "a"]
    assert (
        table.sort("query_id", "score", descending=[False, True])["doc_id"].to_list()
        == table["doc_id"].to_list()
    )
    assert table["rank"].to_list() == [1, 2, 1, 2, 3]


def test_run_files_refuse_what_they_cannot_hold(tmp_path):
    with pytest.raises(DataError, match="document id cannot be written"):
        write_trec_run(tmp_path / "x", ["q"], np.array([["a b"]], object), np.ones((1, 1)), "mine")
    (tmp_path / "y").write_text("q Q0 a first 1.0 tag\n")
    with pytest.raises(DataError, match="line 1 of"):
        read_trec_run(tmp_path / "y")
    with pytest.raises(DataError, match="not a readable run file"):
        read_trec_run(tmp_path / "z")


def test_qrels_files(tmp_path):
    collection = Collection.from_frames(
        {"doc_id": ["a", "b"], "text": ["x", "y"]},
        {"query_id": ["q"], "text": ["x"], "split": ["test"]},
        {"query_id": ["q", "q"], "doc_id": ["b", "a"], "relevance": [2, 0]},
    )
    write_trec_qrels(tmp_path / "qrels", collection, "test")
    assert (tmp_path / "qrels").read_text() == "q 0 b 2\nq 0 a 0\n"
