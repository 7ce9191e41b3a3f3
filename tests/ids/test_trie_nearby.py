"""Known prefixes, neighbours and random items under a prefix, against a plain list of tokens."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit import SidLayout, Trie
from sidkit.errors import ConfigError


@st.composite
def worlds(draw):
    sizes = draw(st.lists(st.sampled_from([1, 3, 200, 2048, 65536]), min_size=1, max_size=8))
    tokens = st.tuples(*(st.integers(0, min(size, 4) - 1) | st.just(size - 1) for size in sizes))
    rows, asked = draw(st.lists(tokens, max_size=30)), draw(st.lists(tokens, max_size=10))
    storage = draw(st.sampled_from(["fast", "compact"]))
    layout = SidLayout(sizes)
    packed = layout.pack(np.array(rows, np.uint16).reshape(-1, len(sizes)))
    return rows, asked, Trie.build(packed, layout, storage=storage)


def shared(a, b):
    differ = [x != y for x, y in zip(a, b, strict=True)]
    return differ.index(True) if True in differ else len(differ)


@given(worlds())
def test_the_longest_prefix_that_exists(world):
    rows, asked, trie = world
    packed = trie.layout.pack(np.array(asked, np.uint16).reshape(-1, trie.layout.levels))
    lengths = trie.longest_prefix(packed)
    assert lengths.dtype == np.uint8
    assert lengths.tolist() == [max((shared(sid, row) for row in rows), default=0) for sid in asked]
    for sid, depth in zip(packed, lengths, strict=True):
        assert trie.find(sid[None], int(depth)).dead[0] == (not rows)


@given(worlds(), st.integers(0, 40))
def test_neighbours_share_the_longest_prefix(world, k):
    rows, _, trie = world
    items, counts = trie.neighbours(np.arange(len(rows)), k)
    assert (items.dtype, counts.dtype, items.shape) == (np.int32, np.uint8, (len(rows), k))
    for item, row in enumerate(rows):
        others = [other for other in range(len(rows)) if other != item]
        others.sort(key=lambda other: (-shared(rows[other], row), rows[other], other))
        expected = others[:k] + [-1] * max(0, k - len(others))
        assert items[item].tolist() == expected
        assert counts[item].tolist() == [shared(rows[other], row) if other >= 0 else 0 for other in expected]


@given(worlds(), st.integers(0, 40), st.integers(0, 2**64 - 1))
def test_a_sample_is_of_different_items_under_the_prefix(world, k, seed):
    rows, _, trie = world
    items = np.arange(len(rows))
    for depth in range(trie.layout.levels + 1):
        states = trie.find(trie.sids(items), depth)
        drawn = trie.sample(states, k, seed=seed)
        assert (drawn.dtype, drawn.shape) == (np.int32, (len(rows), k))
        np.testing.assert_array_equal(drawn, trie.sample(states, k, seed=seed))
        for row, chosen in zip(rows, drawn.tolist(), strict=True):
            under = {item for item, other in enumerate(rows) if other[:depth] == row[:depth]}
            real = [item for item in chosen if item >= 0]
            assert len(set(real)) == len(real) == min(k, len(under))
            assert set(real) <= under
            assert chosen == real + [-1] * (k - len(real))


def plain(count=1000):
    layout = SidLayout([16, 16, 16])
    return Trie.build(np.arange(count, dtype=np.uint64), layout)


def test_other_seeds_and_other_rows_draw_other_items():
    trie = plain()
    draws = trie.sample(trie.start(2), 5, seed=1)
    assert draws.tolist()[0] != draws.tolist()[1]
    assert draws.tolist() != trie.sample(trie.start(2), 5, seed=2).tolist()
    # More rows behind do not change those before.
    np.testing.assert_array_equal(draws, trie.sample(trie.start(9), 5, seed=1)[:2])


def test_every_item_is_drawn_as_often():
    trie = plain(50)
    drawn = trie.sample(trie.start(20_000), 10, seed=3)
    counts = np.bincount(drawn.ravel(), minlength=50)
    # Of 50 items 10 are drawn at a time: variance n p (1 - p), with p = 1/5, and 49 degrees of freedom.
    chi_square = float((((counts - 4000) ** 2) / (20_000 * 0.2 * 0.8)).sum() * 49 / 50)
    assert chi_square < 85.4  # one in a thousand seeds is above


def test_what_does_not_fit_is_refused():
    trie = plain()
    with pytest.raises(ValueError, match="1000"):
        trie.neighbours(np.array([3, 1000]), 2)
    with pytest.raises(TypeError, match="integers"):
        trie.neighbours(np.array([0.5]), 2)
    with pytest.raises((ValueError, MemoryError), match="k"):
        trie.neighbours(np.arange(2), 2**62)
    with pytest.raises((ValueError, MemoryError), match="k"):
        trie.sample(trie.start(2), 2**62, seed=0)
    with pytest.raises(
        ConfigError, match="`seed` is out of range: expected 0 to 18446744073709551615, got -1"
    ):
        trie.sample(trie.start(2), 1, seed=-1)
    with pytest.raises(ConfigError, match="`k` is out of range: expected 0 to 18446744073709551615, got -1"):
        trie.neighbours(np.arange(2), -1)
    with pytest.raises(TypeError):
        trie.longest_prefix(np.arange(3))
    with pytest.raises(ValueError, match="row 0"):
        trie.longest_prefix(np.array([4096], np.uint64))
    with pytest.raises(ValueError, match="another trie"):
        trie.sample(plain().start(1), 1, seed=0)


def test_numbers_above_int32():
    layout = SidLayout([4])
    trie = Trie.build(np.arange(2, dtype=np.uint64), layout, np.array([1, 2**31]))
    with pytest.raises(ValueError, match="does not fit the int32 result"):
        trie.neighbours(np.array([1]), 1)
    with pytest.raises(ValueError, match="does not fit the int32 result"):
        trie.sample(trie.start(1), 2, seed=0)
