"""Batches: every example once, nothing from the future, an order that depends on seed and epoch alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sidkit.data import Sequences
from sidkit.train import NextItemBatches, SequenceBatches

ITEMS = 12
TOKENS = np.stack([np.arange(ITEMS) // 4, np.arange(ITEMS) % 4], axis=1).astype(np.uint16)
histories = st.lists(st.lists(st.integers(0, ITEMS - 1), max_size=7), min_size=1, max_size=12)


def item(tokens) -> int:
    return int(tokens[0]) * 4 + int(tokens[1])


def next_items(rows, seed=0, size=3, max_items=4) -> NextItemBatches:
    return NextItemBatches(Sequences.from_rows(rows), TOKENS, batch_size=size, max_items=max_items, seed=seed)


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
            seen.append((int(user), tuple(item(tokens) for tokens in history), item(target)))
    expected = [
        (user, tuple(row[max(0, end - 4) : end]), row[end])
        for user, row in enumerate(rows)
        for end in range(1, len(row))
    ]
    assert sorted(seen) == sorted(expected)


@given(histories.filter(lambda rows: any(len(row) > 1 for row in rows)))
def test_every_event_is_a_target_once_after_those_before_it(rows):
    batches = SequenceBatches(Sequences.from_rows(rows), batch_size=2, max_items=5, padding=ITEMS, seed=0)
    assert len(batches.epoch(0)) == batches.steps
    seen = {user: [] for user in range(len(rows))}
    for chosen in batches.epoch(0):
        batch = batches.load(chosen)
        assert batch.tokens == int((batch.target < ITEMS).sum())
        for history, target, user in zip(batch.history, batch.target, batch.users, strict=True):
            count = int((target < ITEMS).sum())
            assert target[:count].tolist() == [*history[1:count].tolist(), target[count - 1]]
            seen[int(user)].append((history[:count].tolist(), target[:count].tolist()))
    for user, row in enumerate(rows):
        # From the end, windows of five targets; together they hold every event but the first as a target.
        expected = []
        for stop in range(len(row), 1, -5):
            start = max(stop - 5, 1)
            expected.append((row[start - 1 : stop - 1], row[start:stop]))
        assert sorted(seen[user]) == sorted(expected)


@given(histories.filter(lambda rows: any(len(row) > 1 for row in rows)))
def test_from_nothing_the_first_item_of_a_window_is_a_target_too(rows):
    settings = {"batch_size": 2, "max_items": 5, "padding": ITEMS, "seed": 0}
    plain = SequenceBatches(Sequences.from_rows(rows), **settings)
    batches = SequenceBatches(Sequences.from_rows(rows), from_nothing=True, **settings)
    for chosen, same in zip(batches.epoch(0), plain.epoch(0), strict=True):
        batch, without = batches.load(chosen), plain.load(same)
        assert (batch.history[:, 0] == ITEMS).all()
        assert torch.equal(batch.history[:, 1:], without.history)
        assert torch.equal(batch.target[:, 1:], without.target)
        assert torch.equal(batch.target[:, 0], without.history[:, 0])
        assert torch.equal(batch.targets, (batch.target < ITEMS).sum(1))


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
