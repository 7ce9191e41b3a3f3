"""BM25 against `bm25s`, and its words."""

import numpy as np
import pytest

from sidkit.search import BM25

TEXTS = [
    "Statins lower cholesterol, and statins are safe.",
    "Cholesterol in eggs",
    "Running improves health; runners live longer.",
    "The and of",
    "eggs eggs eggs",
]
QUERIES = ["statin cholesterol", "run", "eggs and health", "eggs eggs"]


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.5, 0.75), (0.0, 0.0)])
def test_scores_are_those_of_bm25s(k1, b):
    oracle = pytest.importorskip("bm25s")
    retriever = BM25(k1=k1, b=b).fit({"doc_id": list(range(len(TEXTS))), "text": TEXTS})
    index = oracle.BM25(method="lucene", k1=k1, b=b)
    index.index([words or [""] for words in retriever._words(TEXTS)], show_progress=False)
    for query, words in zip(QUERIES, retriever._words(QUERIES), strict=True):
        expected = index.get_scores(words)
        ids, scores = retriever.search(query, k=len(TEXTS))
        assert len(set(ids[ids >= 0])) == np.count_nonzero(expected > 0)
        # The empty word that stands for document 3 counts as a word of length 1 for bm25s.
        assert scores[ids >= 0] == pytest.approx(expected[ids[ids >= 0]], rel=0.05)


def test_words():
    stemmed = BM25()._words(["The Runners were running!"])
    assert stemmed == [["runner", "were", "run"]]
    assert BM25(language="none")._words(["The Runners"]) == [["the", "runners"]]


def test_a_query_without_a_known_word():
    retriever = BM25().fit({"doc_id": list(range(len(TEXTS))), "text": TEXTS})
    ids, scores = retriever.search("zebra", k=2)
    assert ids.tolist() == [-1, -1] and (scores == -np.inf).all()


def test_adding_documents_equals_fitting_all():
    ids = list(range(len(TEXTS)))
    grown = BM25().fit({"doc_id": ids[:3], "text": TEXTS[:3]})
    grown.add_documents({"doc_id": ids[3:], "text": TEXTS[3:]})
    whole = BM25().fit({"doc_id": ids, "text": TEXTS})
    for query in QUERIES:
        (some, their), (other, our) = grown.search(query, 5), whole.search(query, 5)
        assert some.tolist() == other.tolist() and their.tolist() == our.tolist()
