"""Bags of words against the plainest way to count them."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sidkit.tokenizers.parts.word_bags import Terms, read_lines, terms_of, written_lines

TEXTS = st.lists(st.text("ab ", max_size=14), min_size=1, max_size=9)


def test_words_and_pairs_of_words():
    assert terms_of("Nail polish, RED polish") == [
        *("nail", "polish", "red", "polish"),
        *("nail polish", "polish red", "red polish"),
    ]


def test_what_some_texts_have_but_not_all():
    texts = ["the red shoe", "the red hat", "the blue hat"]
    terms = Terms.of(texts, 10)
    assert terms.names == ["hat", "red", "the red"]
    np.testing.assert_allclose(terms.weights, math.log(4 / 3), rtol=1e-6)
    assert Terms.of(texts, 2).names == ["hat", "red"]
    assert len(Terms.of(["same", "same"], 10)) == 0


@given(TEXTS, st.integers(1, 6), st.data())
def test_bags_are_those_of_the_definition(texts, most, data):
    terms = Terms.of(texts, most)
    bags = terms.bags(texts)
    rows = np.array(data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=5)), np.intp)
    found = bags.dense(rows, len(terms))
    assert len(bags) == len(texts)
    for row, text in zip(found, [texts[row] for row in rows], strict=True):
        has = [name in terms_of(text) for name in terms.names]
        wanted = np.where(has, terms.weights, 0)
        np.testing.assert_allclose(row, wanted / (wanted.sum() or 1), rtol=1e-5)


@given(st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8")), min_size=1, max_size=5))
def test_lines_are_read_as_they_were_written(names):
    assert read_lines({"names": written_lines(names)}, "names") == names
