"""Tokens of Semantic IDs and token ids of models."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit.errors import ConfigError, DataError
from sidkit.ids import Vocabulary

sizes_lists = st.lists(st.integers(1, 300), min_size=1, max_size=5)


@given(sizes_lists, st.integers(0, 50), st.randoms(use_true_random=False))
def test_tokens_and_token_ids_are_inverse(sizes, user_tokens, random):
    vocabulary = Vocabulary(sizes, user_tokens=user_tokens)
    tokens = np.array([[random.randrange(size) for size in sizes] for _ in range(7)], dtype=np.uint16)
    token_ids = vocabulary.encode(tokens)
    assert token_ids.dtype == np.int32
    assert (vocabulary.decode(token_ids) == tokens).all()
    assert vocabulary.size == 3 + sum(sizes) + user_tokens


@given(sizes_lists, st.integers(0, 5))
def test_every_token_has_its_own_name(sizes, user_tokens):
    vocabulary = Vocabulary(sizes, user_tokens=user_tokens)
    names = [vocabulary.name(token_id) for token_id in range(vocabulary.size)]
    assert len(set(names)) == vocabulary.size


def test_numbers_of_a_small_vocabulary():
    vocabulary = Vocabulary([4, 2, 3], user_tokens=10)
    assert vocabulary.offsets.tolist() == [3, 7, 9]
    assert vocabulary.encode([[0, 0, 0], [3, 1, 2]]).tolist() == [[3, 7, 9], [6, 8, 11]]
    assert vocabulary.level_token_ids(1) == range(7, 9)
    assert [vocabulary.name(token_id) for token_id in (0, 1, 2, 3, 8, 11, 12)] == [
        "<pad>", "<bos>", "<eos>", "<0:0>", "<1:1>", "<2:2>", "<user:0>",
    ]  # fmt: skip
    assert repr(vocabulary) == "Vocabulary(sizes=[4, 2, 3], user_tokens=10, size=22)"


def test_user_tokens_are_spread_and_fixed():
    vocabulary = Vocabulary([4], user_tokens=100)
    token_ids = vocabulary.users(np.arange(10_000))
    counts = np.bincount(token_ids - 7, minlength=100)
    assert len(counts) == 100
    assert counts.min() > 50
    assert vocabulary.users([0, 1, 2]).tolist() == [_slow_user(user, 100) + 7 for user in range(3)]


def _slow_user(user, token_ids):
    mask = (1 << 64) - 1
    value = (user + 0x9E3779B97F4A7C15) & mask
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
    return (value ^ (value >> 31)) % token_ids


def test_bad_input():
    vocabulary = Vocabulary([4, 2])
    with pytest.raises(DataError, match=r"a token is out of range: expected 0\.\.1 at level 1, got 2"):
        vocabulary.encode([[0, 2]])
    with pytest.raises(DataError, match=r"a token id is out of range: expected 7\.\.8 at level 1, got 3"):
        vocabulary.decode([[3, 3]])
    with pytest.raises(
        DataError, match=r"integers with a last axis of 2 levels, got int64 of shape \(1, 3\)"
    ):
        vocabulary.encode(np.zeros((1, 3), dtype=np.int64))
    with pytest.raises(DataError, match=r"a token id is out of range: expected 0\.\.8, got 9"):
        vocabulary.name(9)
    with pytest.raises(ConfigError, match="has no user tokens"):
        vocabulary.users([1])
    with pytest.raises(ConfigError, match="`user_tokens` is invalid: expected an integer >= 0, got -1"):
        Vocabulary([4], user_tokens=-1)
