"""Collision policies against slow, obvious versions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit._core import place_codes
from sidkit.errors import CollisionError, ConfigError, DataError
from sidkit.ids import (
    Reassignment,
    SidTable,
    add_collision_token,
    group_sizes,
    reassign,
    resolve_collisions,
)
from sidkit.tokenizers import LSH, PQ, RQKMeans


def small_codes():
    """Codes of two levels of 3, so that collisions are many."""
    return (
        st.integers(0, 40)
        .flatmap(lambda n: st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=n, max_size=n))
        .map(lambda pairs: np.array(pairs, dtype=np.uint16).reshape(-1, 2))
    )


def slow_collision_token(codes):
    seen, result = {}, []
    for code in map(tuple, codes.tolist()):
        result.append((*code, seen.get(code, 0)))
        seen[code] = seen.get(code, 0) + 1
    return result, max([1, *seen.values()])


def slow_reassign(codes, alternatives, capacity):
    """Round by round, item by item, with a counter."""
    count, result, waiting = {}, {}, []
    for row, code in enumerate(map(tuple, codes.tolist())):
        if count.get(code, 0) < capacity:
            count[code] = count.get(code, 0) + 1
            result[row] = code
        else:
            waiting.append(row)
    for choice in range(alternatives.shape[1]):
        for row in list(waiting):
            code = tuple(alternatives[row, choice].tolist())
            if count.get(code, 0) < capacity:
                count[code] = count.get(code, 0) + 1
                result[row] = code
                waiting.remove(row)
    return None if waiting else [result[row] for row in range(len(codes))]


@given(small_codes())
def test_collision_token_counts_in_item_order(codes):
    tokens, size = add_collision_token(codes, (3, 3))
    expected, expected_size = slow_collision_token(codes)
    assert list(map(tuple, tokens.tolist())) == expected
    assert size == expected_size
    assert tokens.dtype == np.uint16


@given(small_codes(), st.integers(1, 3), st.integers(1, 9), st.randoms(use_true_random=False))
def test_reassign_equals_the_slow_version(codes, capacity, choices, random):
    everything = [(a, b) for a in range(3) for b in range(3)]
    alternatives = np.array([random.sample(everything, choices) for _ in codes], dtype=np.uint16).reshape(
        len(codes), choices, 2
    )
    expected = slow_reassign(codes, alternatives, capacity)
    if expected is None:
        with pytest.raises(CollisionError, match="find no free code"):
            reassign(codes, (3, 3), Reassignment(alternatives, capacity=capacity))
        return
    moved = reassign(codes, (3, 3), Reassignment(alternatives, capacity=capacity))
    assert list(map(tuple, moved.tolist())) == expected
    if len(codes):
        assert group_sizes(moved, (3, 3)).max() <= capacity


def test_reassign_asks_only_for_the_surplus_items():
    codes = np.array([[0], [1], [0], [0]], dtype=np.uint16)
    asked = []

    def alternatives(rows):
        asked.append(rows.tolist())
        return np.broadcast_to(np.array([[0], [1], [2], [3]], dtype=np.uint16), (len(rows), 4, 1))

    assert reassign(codes, (4,), Reassignment(alternatives)).ravel().tolist() == [0, 1, 2, 3]
    assert asked == [[2, 3]]
    assert codes.ravel().tolist() == [0, 1, 0, 0]


def test_two_word_layouts_work_alike():
    sizes = (2048,) * 8
    codes = np.array([[2047] * 8, [0] * 8, [2047] * 8, [2047] * 7 + [0]], dtype=np.uint16)
    tokens, size = add_collision_token(codes, sizes)
    assert tokens[:, -1].tolist() == [0, 0, 1, 0]
    assert size == 2
    assert group_sizes(codes, sizes).tolist() == [1, 1, 2]
    other = np.tile(np.array([[2047] * 7 + [0], [2047] * 7 + [5]], dtype=np.uint16), (4, 1, 1))
    assert reassign(codes, sizes, Reassignment(other))[2].tolist() == [2047] * 7 + [5]


def test_a_million_items_take_seconds():
    codes = np.random.default_rng(0).integers(0, 64, size=(1_000_000, 3)).astype(np.uint16)
    tokens, size = add_collision_token(codes, (64, 64, 64))
    assert len(group_sizes(tokens, (64, 64, 64, size))) == len(codes)


def test_too_many_items_under_one_code():
    codes = np.array([[1, 2], [0, 0], [1, 2], [1, 2]], dtype=np.uint16)
    with pytest.raises(CollisionError) as caught:
        resolve_collisions(codes, (3, 3), policy="suffix", collision_size=2)
    assert str(caught.value) == (
        "too many items have the code `1-2`: expected at most 2, the size of the collision token, got 3. "
        "Use a collision size of at least 3, more or larger levels, or the policy `reassign` or `share`."
    )
    tokens, sizes = resolve_collisions(codes, (3, 3), policy="suffix", collision_size=3)
    assert sizes == (3, 3, 3)
    assert tokens.tolist() == [[1, 2, 0], [0, 0, 0], [1, 2, 1], [1, 2, 2]]


def test_a_full_catalogue_says_how_many_are_left_over():
    codes = np.zeros((5, 1), dtype=np.uint16)
    everything = np.tile(np.arange(3, dtype=np.uint16)[:, None], (5, 1, 1))
    with pytest.raises(CollisionError) as caught:
        resolve_collisions(codes, (3,), policy="reassign", reassignment=Reassignment(everything))
    assert str(caught.value) == (
        "items find no free code: expected one among 3 alternatives per item, got none for 2 of 5 items "
        "(the first is row 3 with the code `0`). Use more alternatives, a larger capacity, more or larger "
        "levels, or the policy `suffix` or `share`."
    )
    with pytest.raises(CollisionError, match="expected one among 3 alternatives per item"):
        reassign(codes, (3,), Reassignment(everything, "nearest"))
    tokens, _ = resolve_collisions(
        codes, (3,), policy="reassign", reassignment=Reassignment(everything, capacity=2)
    )
    assert tokens.ravel().tolist() == [0, 0, 1, 1, 2]


def test_share_keeps_the_codes():
    tokens, sizes = resolve_collisions([[1, 1], [1, 1]], (2, 2), policy="share")
    assert tokens.tolist() == [[1, 1], [1, 1]]
    assert sizes == (2, 2)


@pytest.mark.parametrize(
    ("codes", "sizes", "arguments", "error", "message"),
    [
        ([[0, 3]], (4, 3), {}, DataError, r"row 0 at level 1 is out of range: expected 0..2, got 3"),
        ([[0, -1]], (4, 3), {}, DataError, r"row 0 at level 1 is out of range: expected 0..2, got -1"),
        ([[0.5, 1.0]], (4, 3), {}, DataError, r"expected an integer array \(n, levels\), got float64"),
        ([0, 1], (4, 3), {}, DataError, "codes are invalid: expected an integer array"),
        ([[0, 1]], (4,), {}, DataError, r"expected one size for each of the 2 levels, got 1: \(4,\)"),
        ([[0, 1]], (4, 0), {}, ConfigError, r"an integer in 1..65536, got \(4, 0\)"),
        ([[0]], (4,), {"policy": "drop"}, ConfigError, "expected one of suffix, reassign, share, got `drop`"),
        ([[0]], (4,), {"policy": "reassign"}, ConfigError, "expected `reassignment`, got None. Pass Reass"),
        ([[0]], (4,), {"collision_size": 0}, ConfigError, r"invalid size: expected 1..65536, got 0"),
        (
            [[0], [0]],
            (4,),
            {"policy": "reassign", "reassignment": Reassignment(np.zeros((2, 3), np.uint16))},
            DataError,
            r"expected an array \(2, choices, 1\) with one choice or more, got shape \(2, 3\)",
        ),
        (
            [[0], [0]],
            (4,),
            {"policy": "reassign", "reassignment": Reassignment(np.zeros((2, 0, 1), np.uint16))},
            DataError,
            r"with one choice or more, got shape \(2, 0, 1\)",
        ),
        ([[0]], (4,), {"reassignment": Reassignment(len)}, ConfigError, "the policy is `suffix`"),
        ([[0]], (4,), {"policy": "share", "collision_size": 2}, ConfigError, "the policy is `share`"),
        ([[0] * 9], (65536,) * 9, {}, ConfigError, "expected levels of at most 128 bits together, got 144"),
        ([[0] * 8] * 2, (65536,) * 8, {}, ConfigError, "of at most 128 bits together, got 129"),
    ],
)  # fmt: skip
def test_bad_input(codes, sizes, arguments, error, message):
    with pytest.raises(error, match=message):
        resolve_collisions(codes, sizes, **arguments)


def slow_deferred_acceptance(codes, wishes, costs, capacity):
    """Items of overfull codes ask one after the other; the dearest is turned away, on a tie the later one."""
    rows = [tuple(row) for row in codes.tolist()]
    asking = [row for row in range(len(rows)) if rows.count(rows[row]) > capacity]
    count = {code: rows.count(code) for code in rows if rows.count(code) <= capacity}
    held, turn = {}, dict.fromkeys(asking, 0)
    queue = list(asking)
    while queue:
        row = queue.pop()
        if turn[row] == wishes.shape[1]:
            return None
        code = tuple(wishes[row, turn[row]].tolist())
        members = held.setdefault(code, [])
        members.append((costs[row, turn[row]], row))
        if len(members) > max(0, capacity - count.get(code, 0)):
            members.sort()
            loser = members.pop()[1]
            turn[loser] += 1
            queue.append(loser)
    result = dict(enumerate(rows))
    for code, members in held.items():
        result |= {row: code for _, row in members}
    return [result[row] for row in range(len(rows))]


@given(small_codes(), st.integers(1, 3), st.randoms(use_true_random=False))
def test_nearest_equals_deferred_acceptance(codes, capacity, random):
    everything = [(a, b) for a in range(3) for b in range(3)]
    alternatives = np.array([random.sample(everything, 6) for _ in codes], dtype=np.uint16).reshape(-1, 6, 2)
    wishes = np.concatenate([codes[:, None], alternatives], axis=1)
    costs = np.array([[random.randint(0, 5) for _ in range(7)] for _ in codes], float).reshape(-1, 7)
    expected = slow_deferred_acceptance(codes, wishes, costs, capacity)
    arguments = {"capacity": capacity, "method": "nearest", "costs": lambda rows, _: costs[rows]}
    if expected is None:
        with pytest.raises(CollisionError, match="find no free code"):
            reassign(codes, (3, 3), Reassignment(alternatives, **arguments))
        return
    moved = reassign(codes, (3, 3), Reassignment(alternatives, **arguments))
    assert list(map(tuple, moved.tolist())) == expected


def test_who_is_nearer_keeps_the_code_and_transport_lowers_the_cost():
    codes = np.zeros((3, 1), np.uint16)
    alternatives = np.tile(np.array([[0], [1], [2]], np.uint16), (3, 1, 1))
    costs = np.array([[0.5, 0.6, 0.7], [0.1, 9, 9], [0.4, 0.5, 9]])
    paid = lambda rows, wishes: np.take_along_axis(costs[rows], wishes[:, :, 0].astype(int), axis=1)  # noqa: E731
    for method, expected in (("first", [0, 1, 2]), ("nearest", [2, 0, 1]), ("sinkhorn", [2, 0, 1])):
        costs_of = None if method == "first" else paid
        moved = reassign(codes, (3,), Reassignment(alternatives, method, costs=costs_of))
        assert moved.ravel().tolist() == expected


def test_items_that_keep_their_codes_take_room():
    codes = np.array([[0], [1]], np.uint16)
    alternatives = np.tile(np.array([[0], [1], [2], [3]], np.uint16), (2, 1, 1))
    occupied = np.array([[0], [2]], np.uint16)
    for method in ("first", "nearest", "sinkhorn"):
        moved = reassign(codes, (4,), Reassignment(alternatives, method), occupied=occupied)
        assert moved.ravel().tolist() == [3, 1], method


@pytest.mark.parametrize("method", ["nearest", "sinkhorn"])
def test_methods_work_on_two_words_and_on_a_tokenizer(method):
    x = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    for tokenizer in (RQKMeans(2, 32).fit(x), PQ(2, 32).fit(x), LSH(2, 32).fit(x)):
        table = SidTable.from_codes(
            tokenizer.encode(x),
            np.arange(300),
            tokenizer.codebook_sizes,
            collisions="reassign",
            reassignment=Reassignment(
                lambda rows, tokenizer=tokenizer: tokenizer.alternatives(x[rows], 200),
                method,
                costs=tokenizer.decoding_costs(x),
            ),
        )
        assert group_sizes(table.tokens, table.sizes).max() == 1
    wide = np.zeros((2, 8), np.uint16)
    others = np.tile(np.array([[0] * 8, [0] * 7 + [9]], np.uint16), (2, 1, 1))
    moved = reassign(wide, (2048,) * 8, Reassignment(others, method))
    assert sorted(moved[:, -1].tolist()) == [0, 9]


def test_costs_that_do_not_fit():
    codes, alternatives = np.zeros((2, 1), np.uint16), np.zeros((2, 3, 1), np.uint16)
    with pytest.raises(
        DataError, match=r"of shape \(rows, choices\), got an array of float64 and shape \(2,\)"
    ):
        reassign(
            codes, (4,), Reassignment(alternatives, "nearest", costs=lambda rows, _: np.zeros(len(rows)))
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"method": "best"},
            "unknown method of `reassign`: expected one of first, nearest, sinkhorn, got `best`",
        ),
        ({"capacity": 0}, "`capacity` is invalid: expected an integer >= 1, got 0"),
        ({"costs": len}, "`costs` do not apply to the method `first`"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ConfigError, match=message):
        Reassignment(np.zeros((2, 3, 1), np.uint16), **options)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"choices": 2}, ValueError, "expected a multiple of choices=2 rows, got 3"),
        ({"choices": 0}, ValueError, "expected a multiple of choices=0 rows, got 3"),
        ({"method": "nearest"}, ValueError, "`costs` are missing"),
        ({"method": "best"}, ValueError, '`method` is unknown: expected "first"'),
        ({"method": "nearest", "costs": np.full(3, np.nan)}, ValueError, "finite"),
        ({"method": "nearest", "costs": np.zeros(2)}, ValueError, "axis 0 of `costs`"),
        ({"epsilon": 0.0}, ValueError, "`epsilon` is out of range: expected a number above 0"),
        ({"preferred": np.zeros((3, 2), np.uint64)}, ValueError, "axis 1 of `preferred`"),
        ({"occupied": np.zeros((3, 3), np.uint64)}, ValueError, "expected one or two words per row, got 3"),
        ({"occupied": np.zeros((3, 1), np.int64)}, TypeError, "uint64"),
    ],
)
def test_bad_input_of_the_core(arguments, error, message):
    good = {"occupied": np.zeros((1, 1), np.uint64), "preferred": np.zeros((3, 1), np.uint64), "choices": 1}
    given = good | arguments
    with pytest.raises(error, match=message):
        place_codes(given.pop("occupied"), given.pop("preferred"), capacity=1, **given)
