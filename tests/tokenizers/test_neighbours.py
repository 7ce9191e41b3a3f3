import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidkit.errors import ConfigError, DataError
from sidkit.tokenizers import Atomic, RQKMeans, neighbour_recall


def slow_recall(tokenizer, x, codes, k):
    """The definition, one item at a time, ties averaged over all orders by their probability."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    decoded = tokenizer.decode(codes)
    found = []
    for q in range(len(x)):
        others = [i for i in range(len(x)) if i != q]
        near = sorted(others, key=lambda i: (-(unit[i] @ unit[q]), i))[:k]

        def key(i, q=q):
            shared = 0
            while shared < codes.shape[1] and codes[i, shared] == codes[q, shared]:
                shared += 1
            return (-shared, round(float(np.square(decoded[i] - decoded[q]).sum()), 5))

        for i in near:
            before = sum(key(j) < key(i) for j in others)
            tied = sum(key(j) == key(i) for j in others)
            found.append(np.clip((k - before) / tied, 0, 1))
    return np.mean(found)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(12, 25), st.integers(1, 5))
def test_recall_is_that_of_the_definition(seed, n, k):
    x = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    tokenizer = RQKMeans(2, 3).fit(x)
    codes = tokenizer.encode(x)
    found = neighbour_recall(tokenizer, x, codes, k=k)
    assert found.recall == pytest.approx(slow_recall(tokenizer, x, codes, k), abs=1e-6)
    assert 0 <= found.prefix <= 1 and found.chance == pytest.approx(k / (n - 1))
    assert (found.queries, found.pool) == (n, n)


def test_codes_that_say_nothing_reach_what_chance_does():
    x = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    tokenizer = RQKMeans(2, 4).fit(x)
    found = neighbour_recall(tokenizer, x, np.zeros((300, 2), np.uint16), k=10)
    assert found.recall == pytest.approx(found.chance) == found.prefix


def test_clusters_are_found_again_by_their_codes():
    centres = np.eye(8, dtype=np.float32) * 10
    x = np.repeat(centres, 11, axis=0) + np.random.default_rng(0).normal(size=(88, 8), scale=0.01)
    x = x.astype(np.float32)
    tokenizer = RQKMeans(1, 8).fit(x)
    found = neighbour_recall(tokenizer, x, tokenizer.encode(x), k=10)
    assert found.recall == found.prefix == 1.0


def test_samples_are_stated_and_repeatable():
    x = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    tokenizer = Atomic().fit(x)
    codes = tokenizer.encode(x)
    first = neighbour_recall(tokenizer, x, codes, queries=20, pool=100, seed=3)
    assert first == neighbour_recall(tokenizer, x, codes, queries=20, pool=100, seed=3)
    assert (first.queries, first.pool, first.seed) == (20, 100, 3)
    assert first.chance == pytest.approx(10 / 99)


def test_invalid_arguments():
    x = np.eye(4, dtype=np.float32)
    tokenizer = RQKMeans(1, 2).fit(x)
    with pytest.raises(DataError, match="at least two"):
        neighbour_recall(tokenizer, x[:1], [[0]])
    with pytest.raises(DataError, match="expected finite vectors of positive length"):
        neighbour_recall(tokenizer, np.zeros((4, 4), np.float32), [[0]] * 4)
    with pytest.raises(ConfigError, match="`k` is invalid: expected an integer >= 1, got 0"):
        neighbour_recall(tokenizer, x, [[0]] * 4, k=0)
