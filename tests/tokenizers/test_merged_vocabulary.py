"""MergedVocabulary: random orders against an oracle, and invalid arguments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit._core import shuffle_actions
from sidkit.errors import DataError
from sidkit.tokenizers.actionpiece.vocabulary import MergedVocabulary

WORD = (1 << 64) - 1


def splitmix(state):
    """One number of SplitMix64, and the next state."""
    state = (state + 0x9E3779B97F4A7C15) & WORD
    z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31), state


def slow_orders(history, seed):
    """Sort each action, then Fisher and Yates from the back."""
    shuffled = []
    for action in history:
        own = sorted(action)
        for place in range(len(own) - 1, 0, -1):
            drawn, seed = splitmix(seed)
            other = drawn * (place + 1) >> 64
            own[place], own[other] = own[other], own[place]
        shuffled.append(own)
    return shuffled


@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(st.tuples(*[st.integers(0, 9)] * width), max_size=4), max_size=4)
    ),
    st.integers(0, WORD),
)
def test_orders_are_those_of_the_oracle(histories, first):
    width = max((len(action) for history in histories for action in history), default=1)
    actions = np.array([action for history in histories for action in history], np.uint32)
    offsets = np.cumsum([0, *map(len, histories)]).astype(np.int64)
    seeds = np.array([(first + row) & WORD for row in range(len(histories))], np.uint64)
    shuffled = shuffle_actions(actions.reshape(-1, width), offsets, seeds)
    expected = [slow_orders(history, int(seed)) for history, seed in zip(histories, seeds, strict=True)]
    assert shuffled.tolist() == [action for history in expected for action in history]


@pytest.fixture
def vocabulary():
    """Features of 2 and 3 values, tokens 0..4; 5 is the tokens 1 and 4, 6 is 5 and 0."""
    return MergedVocabulary((2, 3), [[1, 4], [0, 5]])


def test_tokens_and_merges_by_hand(vocabulary):
    actions = vocabulary.tokens([[1, 2], [0, 0]])
    assert actions.tolist() == [[1, 4], [0, 2]]
    read = vocabulary.segment(actions, np.array([0, 1, 1, 2]))
    assert [row.tolist() for row in read] == [[5], [], [0, 2]]
    together = vocabulary.segment(actions, np.array([0, 2]))
    assert together.values.tolist() == [6, 2]
    assert vocabulary.expand(together.values).tolist() == [0, 1, 4, 2]
    assert (vocabulary.base, len(vocabulary)) == (5, 7)


def test_seeds_of_one_history_read_it_in_several_ways(vocabulary):
    actions = np.tile(vocabulary.tokens([[1, 2], [0, 1]]), (20, 1))
    offsets, seeds = np.arange(0, 42, 2), np.arange(20, dtype=np.uint64)
    read = vocabulary.segment(actions, offsets, seeds)
    assert {tuple(row) for row in read} == {(5, 3, 0), (6, 3)}
    assert {tuple(sorted(vocabulary.expand(row))) for row in read} == {(0, 1, 3, 4)}
    assert vocabulary.segment(actions, offsets, seeds) == read
    alone = vocabulary.segment(actions[:2], offsets[:2], seeds[7:8])
    assert alone.values.tolist() == read[7].tolist()


def test_invalid_arguments(vocabulary):
    for merges, message in (
        ([[0, 5]], "expected two earlier tokens in each, got a later one"),
        ([[-1, 0]], "expected two earlier tokens in each, got a later one"),
        ([[1, 4], [4, 1]], "expected distinct pairs of tokens, got a repeated one"),
        ([1, 4], r"merges are invalid: expected integers \(merges, 2\)"),
        ([[0.0, 1.0]], r"merges are invalid: expected integers \(merges, 2\)"),
    ):
        with pytest.raises(DataError, match=message):
            MergedVocabulary((2, 3), merges)
    with pytest.raises(DataError, match="feature sizes are invalid: expected numbers >= 1"):
        MergedVocabulary((2, 0), np.zeros((0, 2), int))
    for features, message in (
        ([[0, 3]], r"expected values below the sizes \(2, 3\)"),
        ([[-1, 0]], "expected values below the sizes"),
        ([[0, 0, 0]], r"features are invalid: expected integers \(n, 2\), got int64 \(1, 3\)"),
        ([[0.0, 0.0]], r"features are invalid: expected integers \(n, 2\)"),
    ):
        with pytest.raises(DataError, match=message):
            vocabulary.tokens(features)


def test_the_core_checks_its_arguments():
    actions, offsets = np.array([[0], [1]], np.uint32), np.array([0, 2], np.int64)
    for wrong in (
        lambda: shuffle_actions(actions, offsets, np.zeros(2, np.uint64)),
        lambda: shuffle_actions(actions, np.array([0, 3], np.int64), np.zeros(1, np.uint64)),
        lambda: shuffle_actions(np.zeros((2, 0), np.uint32), offsets, np.zeros(1, np.uint64)),
    ):
        with pytest.raises(ValueError, match=r"."):
            wrong()
