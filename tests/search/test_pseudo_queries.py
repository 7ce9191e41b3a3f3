"""Pseudo-queries of every kind."""

import polars as pl
import pytest

from sidkit.errors import ConfigError, DataError
from sidkit.search import pseudo_queries

DOCUMENTS = pl.DataFrame(
    {
        "doc_id": ["a", "b"],
        "title": ["Statins", None],
        "text": [
            "Statins lower blood cholesterol levels. They are safe. Blood cholesterol is a risk factor now.",
            "Apples.",
        ],
    }
)


def texts(**options):
    made = pseudo_queries(DOCUMENTS, **options)
    relevant = dict(zip(made.qrels["query_id"], made.qrels["doc_id"], strict=True))
    return [(relevant[query], text) for query, text in made.queries.select("query_id", "text").rows()]


def test_titles():
    assert texts(kinds=["title"]) == [("a", "Statins")]


def test_sentences_have_at_least_four_words():
    found = texts(kinds=["sentence"], per_kind=5)
    assert [owner for owner, _ in found] == ["a", "a"]
    assert {text for _, text in found} == {
        "Statins lower blood cholesterol levels.",
        "Blood cholesterol is a risk factor now.",
    }
    assert texts(kinds=["sentence"], seed=3) == texts(kinds=["sentence"], seed=3)


def test_key_phrases_are_frequent_here_and_rare_elsewhere():
    assert texts(kinds=["phrase"]) == [("a", "blood cholesterol"), ("b", "apples")]


def test_all_kinds_belong_to_train():
    made = pseudo_queries(DOCUMENTS)
    assert made.splits == ("train",) and len(made.queries) == 4 and (made.qrels["relevance"] == 1).all()


def test_invalid_arguments():
    with pytest.raises(ConfigError, match="`kinds` is invalid"):
        pseudo_queries(DOCUMENTS, kinds=["summary"])
    with pytest.raises(ConfigError, match="`per_kind` is invalid"):
        pseudo_queries(DOCUMENTS, per_kind=0)
    with pytest.raises(DataError, match="yield no pseudo-queries"):
        pseudo_queries(pl.DataFrame({"doc_id": [1], "text": ["of the"]}), kinds=["phrase"])
