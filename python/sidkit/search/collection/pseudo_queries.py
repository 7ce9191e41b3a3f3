"""Pseudo-queries: titles, sentences and key phrases of documents, for collections without queries."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from sidkit.errors import ConfigError, DataError
from sidkit.search.collection.tables import Collection, document_texts
from sidkit.search.words import FUNCTION_WORDS

__all__ = ["KINDS", "pseudo_queries"]

#: Kinds of pseudo-queries, in the order in which they are made.
KINDS = ("title", "sentence", "phrase")

_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")
_SHORTEST_SENTENCE, _LONGEST_PHRASE = 4, 3  # in words


def pseudo_queries(
    documents: pl.DataFrame,
    *,
    kinds: Sequence[str] = KINDS,
    per_kind: int = 1,
    seed: int = 0,
) -> Collection:
    """Make queries from the texts of documents, without a language model.

    Every pseudo-query has one relevant document, the one that it is taken from. They replace real queries in
    a collection that has none; results on them say little about real queries, whose words differ from those
    of the documents.

    Args:
        documents: table with `doc_id` and text columns.
        kinds: `title` (column `title`), `sentence` (a random sentence of the other text) and `phrase` (the
            words and phrases of up to three words with the highest TF-IDF).
        per_kind: sentences, and phrases, per document.
        seed: seed of the choice of sentences.

    Returns:
        A collection of the same documents, whose queries (ids `q0`, `q1`, …) all belong to `train`.

    Raises:
        ConfigError: if a kind is unknown or `per_kind` is below 1.
        DataError: if the documents are invalid or yield no query.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise ConfigError(
            f"`kinds` is invalid: expected some of {', '.join(KINDS)}, got {list(kinds)!r}. Correct them."
        )
    if per_kind < 1:
        raise ConfigError(f"`per_kind` is invalid: expected an integer >= 1, got {per_kind!r}.")
    checked = Collection.from_frames(documents).documents
    has_title = "title" in checked.columns and checked.schema["title"] == pl.String
    body = checked.drop("title") if has_title and checked.width > 2 else checked
    texts, random = document_texts(body), np.random.default_rng(seed)
    found: list[tuple[int, str]] = []
    if "title" in kinds and has_title:
        titles = checked["title"].fill_null("").str.strip_chars().to_list()
        found += [(row, title) for row, title in enumerate(titles) if title]
    if "sentence" in kinds:
        found += _sentences(texts, per_kind, random)
    if "phrase" in kinds:
        found += _key_phrases(texts, per_kind)
    if not found:
        raise DataError(
            f"the documents yield no pseudo-queries: expected text for one of {', '.join(kinds)}, got none. "
            "Add texts or other kinds."
        )
    rows, queries = zip(*found, strict=True)
    ids = [f"q{place}" for place in range(len(rows))]
    return Collection.from_frames(
        checked,
        {"query_id": ids, "text": list(queries)},
        {
            "query_id": ids,
            "doc_id": checked["doc_id"].gather(list(rows)).to_list(),
            "relevance": [1] * len(ids),
        },
    )


def _sentences(texts: list[str], count: int, random: np.random.Generator) -> Iterator[tuple[int, str]]:
    for row, text in enumerate(texts):
        usable = [each for each in _SENTENCE.split(text) if len(_WORD.findall(each)) >= _SHORTEST_SENTENCE]
        if usable:
            for place in sorted(random.permutation(len(usable))[:count].tolist()):
                yield row, usable[place]


def _key_phrases(texts: list[str], count: int) -> Iterator[tuple[int, str]]:
    """Yield the phrases with the highest TF-IDF of each document; of equal ones, the first by letters."""
    phrases = [Counter(_phrases(text)) for text in texts]
    documents = Counter(phrase for each in phrases for phrase in each)
    for row, each in enumerate(phrases):
        worth = {
            phrase: times * math.log((1 + len(texts)) / documents[phrase]) * math.sqrt(len(phrase.split()))
            for phrase, times in each.items()
        }
        for phrase in sorted(worth, key=lambda name: (-worth[name], name))[:count]:
            yield row, phrase


def _phrases(text: str) -> Iterator[str]:
    """Yield the runs of up to three words within a sentence that hold no stop word or number."""
    for sentence in _SENTENCE.split(text):
        run: list[str] = []
        for word in [*_WORD.findall(sentence.lower()), ""]:
            if word and word not in FUNCTION_WORDS and len(word) > 2 and not word.isdigit():
                run = [*run, word][-_LONGEST_PHRASE:]
                yield from (" ".join(run[start:]) for start in range(len(run)))
            else:
                run = []
