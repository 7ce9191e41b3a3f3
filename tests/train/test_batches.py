"""Batches: every example once, nothing from the future, an order that depends on seed and epoch alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit.data import Sequences
from sidkit.train import NextItemBatches, SequenceBatches

ITEMS = 12
DIGITS = np.stack([np.arange(ITEMS) // 4, np.arange(ITEMS) % 4], axis=1).astype(np.uint16)
histories = st.lists(st.lists(st.integers(0, ITEMS - 1), max_size=7), min_size=1, max_size=12)


def item(digits) -> int:
    return int(digits[0]) * 4 + int(digits[1])


def next_items(rows, seed=0, size=3, max_items=4) -> NextItemBatches:
    return NextItemBatches(Sequences.from_rows(rows), DIGITS, batch_size=size, max_items=max_items, seed=seed)


@given(histories)
def test_every_prefix_is_an_example_once(rows):
    batches = next_items(rows)
    seen = []
    epoch = batches.epoch(3)
    assert len(epoch) == batches.steps
    for chosen in epoch:
        batch = batches.load(chosen)
        assert 0 < batch.weight <= 1
        for history, target, user in zip(batch.history, batch.target, batch.users, strict=True):
            seen.append((int(user), tuple(item(digits) for digits in history), item(target)))
    expected = [
        (user, tuple(row[max(0, end - 4) : end]), row[end])
        for user, row in enumerate(rows)
        for end in range(1, len(row))
    ]
    assert sorted(seen) == sorted(expected)


@given(histories.filter(lambda rows: any(len(row) > 1 for row in rows)))
def test_every_sequence_is_read_once_and_shifted_by_one(rows):
    batches = SequenceBatches(Sequences.from_rows(rows), batch_size=2, max_items=5, padding=ITEMS, seed=0)
    seen = {}
    for chosen in batches.epoch(0):
        batch = batches.load(chosen)
        assert batch.tokens == int((batch.target < ITEMS).sum())
        for history, target, user in zip(batch.history, batch.target, batch.users, strict=True):
            assert int(user) not in seen
            seen[int(user)] = history[history < ITEMS].tolist(), target[target < ITEMS].tolist()
    recent = {user: row[-6:] for user, row in enumerate(rows) if len(row) > 1}
    # The last item is a target only, so it is also padded away where the sequence is shorter than the batch.
    assert {user: targets for user, (_, targets) in seen.items()} == {u: row[1:] for u, row in recent.items()}
    for user, (inputs, _) in seen.items():
        assert inputs[: len(recent[user]) - 1] == recent[user][:-1]


@pytest.mark.parametrize("make", [next_items])
def test_the_order_depends_on_seed_and_epoch_alone(make):
    rows = [[1, 2, 3, 4], [5, 6, 7], [8, 9, 10, 11, 0]]
    first, second = make(rows), make(rows)
    second.epoch(0)
    orders = {
        tuple(map(tuple, batches.epoch(epoch)))
        for batches in (first, second, make(rows, seed=1))
        for epoch in (1, 2)
    }
    assert len(orders) == 4


def test_a_user_with_one_item_gives_no_example():
    assert len(next_items([[3], [], [1, 2]])) == 1
