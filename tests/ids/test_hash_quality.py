"""The n-gram hash behaves like a random function, also where tokens follow each other in order."""

import numpy as np
import pytest

from sidkit import SidLayout, ngram_rows

LAYOUT = SidLayout([256] * 4)
WHOLE = [(0, 4)]


def keys_of(pattern, count):
    if pattern == "sequential":
        return np.arange(count, dtype=np.uint64)
    if pattern == "strided":
        return np.arange(count, dtype=np.uint64) << np.uint64(12)
    return np.random.default_rng(0).choice(2**32, count, replace=False).astype(np.uint64)


@pytest.mark.parametrize("pattern", ["sequential", "strided", "random"])
@pytest.mark.parametrize("load", [0.1, 1, 10])
def test_rows_in_use_are_as_many_as_for_a_random_function(pattern, load):
    rows = 50_000
    count = int(rows * load)
    seen = ngram_rows(keys_of(pattern, count), LAYOUT, kind=WHOLE, num_embeddings=rows, seed=1)
    empty = rows - len(np.unique(seen))
    # Balls into bins: the mean and the variance of the number of empty ones.
    chance = (1 - 1 / rows) ** count
    mean = rows * chance
    variance = mean + rows * (rows - 1) * (1 - 2 / rows) ** count - mean**2
    assert abs(empty - mean) < 3 * variance**0.5


@pytest.mark.parametrize("pattern", ["sequential", "strided", "random"])
def test_rows_are_filled_evenly(pattern):
    count, rows = 400_000, 1000
    filled = np.bincount(
        ngram_rows(keys_of(pattern, count), LAYOUT, kind=WHOLE, num_embeddings=rows).ravel(), minlength=rows
    )
    chi_square = ((filled - count / rows) ** 2 / (count / rows)).sum()
    assert abs(chi_square - (rows - 1)) < 4 * (2 * (rows - 1)) ** 0.5


def test_one_changed_bit_changes_every_bit_of_the_row_half_of_the_time():
    # A table of 2**32 rows shows the upper half of the hash, bit by bit; the n-gram space is larger still.
    layout = SidLayout([65536] * 3)
    keys = np.random.default_rng(0).integers(0, 2**48, 20_000).astype(np.uint64)
    base = ngram_rows(keys, layout, kind=[(0, 3)], num_embeddings=2**32)
    for bit in range(48):
        flipped = ngram_rows(keys ^ np.uint64(1 << bit), layout, kind=[(0, 3)], num_embeddings=2**32)
        changed = ((base ^ flipped) >> np.arange(32)) & 1
        share = changed.mean(axis=0)
        # Each of 48 x 32 shares has a deviation of 0.0035; five of them leave no room for chance.
        assert np.all(abs(share - 0.5) < 5 * 0.5 / len(keys) ** 0.5), bit


def test_neighbouring_tokens_do_not_land_on_neighbouring_rows():
    seen = (
        ngram_rows(keys_of("sequential", 100_000), LAYOUT, kind=WHOLE, num_embeddings=10**6)
        .ravel()
        .astype(np.float64)
    )
    correlation = np.corrcoef(seen[:-1], seen[1:])[0, 1]
    assert abs(correlation) < 4 / len(seen) ** 0.5


def test_windows_and_seeds_are_independent():
    keys = keys_of("sequential", 20_000)
    windows = [(0, 4), (0, 3), (1, 3)]
    columns = [
        ngram_rows(keys, LAYOUT, kind=[window], num_embeddings=1000, seed=seed).ravel()
        for window in windows
        for seed in (0, 1)
    ]
    for i, one in enumerate(columns):
        for other in columns[:i]:
            distinct = len(np.unique(one)) > 100 and len(np.unique(other)) > 100
            if distinct:
                assert abs((one == other).mean() - 1 / 1000) < 5 * (1 / 1000 / len(keys)) ** 0.5
