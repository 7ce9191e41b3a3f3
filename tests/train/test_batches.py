"""Batches: every example once, nothing from the future, an order that depends on seed and epoch alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sidkit.data import Sequences
from sidkit.train import NextItemBatches, SequenceBatches
from sidkit.train.batches.batch import Batch, mean_by_length

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


def sequences(rows, *, size=2, **changes) -> SequenceBatches:
    settings = {"batch_size": size, "max_items": 5, "padding": ITEMS, "seed": 0}
    return SequenceBatches(Sequences.from_rows(rows), **(settings | changes))


def loaded(batches, epoch=0) -> list[Batch]:
    return [batches.load(rows) for rows in batches.epoch(epoch)]


#: Histories of which at least one has a target.
trained = histories.filter(lambda rows: any(len(row) > 1 for row in rows))


@given(trained)
def test_every_event_is_a_target_once_after_those_before_it(rows):
    batches = sequences(rows)
    assert len(batches.epoch(0)) == batches.steps
    seen = {user: [] for user in range(len(rows))}
    for batch in loaded(batches):
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


@given(trained, st.integers(1, 5))
def test_rows_of_a_batch_come_in_ascending_order_of_length(rows, size):
    batches = loaded(sequences(rows, size=size), epoch=2)
    assert all(len(batch.history) == size for batch in batches[:-1])
    for batch in batches:
        assert batch.targets.tolist() == sorted(batch.targets.tolist())
        assert torch.equal(batch.targets, (batch.target < ITEMS).sum(1))
        assert batch.history.shape[1] == batch.targets.max()


def test_batches_are_drawn_without_regard_to_length():
    """In batches of one length each, targets of short histories would count more than others."""
    rows = [[0] * (2 + row % 4) for row in range(400)]
    batches = loaded(sequences(rows, size=50))
    shares = torch.stack([torch.bincount(batch.targets, minlength=5) for batch in batches]) / 50
    assert len(batches) == 8
    assert ((shares[:, 1:] > 0.08) & (shares[:, 1:] < 0.45)).all()  # each length is a quarter of the windows


@given(trained, st.booleans())
def test_groups_of_similar_length_hold_the_rows_of_the_batch(rows, from_nothing):
    for batch in loaded(sequences(rows, size=6, from_nothing=from_nothing)):
        parts = batch.by_length()
        for name in ("users", "targets"):
            together = torch.cat([getattr(part, name) for part in parts])
            assert torch.equal(together, getattr(batch, name))
        for part in parts:
            assert part.history.shape == part.target.shape == (len(part.users), part.targets.max())
        for name in ("history", "target"):
            flat = [row.tolist() for part in parts for row in getattr(part, name)]
            for row, whole in zip(flat, getattr(batch, name).tolist(), strict=True):
                assert row == whole[: len(row)]
        assert sum(int((part.target < ITEMS).sum()) for part in parts) == int((batch.target < ITEMS).sum())


@given(trained, st.booleans())
def test_the_mean_by_length_is_the_mean_over_all_targets(rows, from_nothing):
    def mean(batch: Batch):
        real = batch.target < ITEMS
        return ((batch.history * 7 + batch.target) % 11).double()[real].mean()

    for batch in loaded(sequences(rows, size=6, from_nothing=from_nothing)):
        torch.testing.assert_close(mean_by_length(mean, batch), mean(batch))


@given(trained)
def test_from_nothing_the_first_item_of_a_window_is_a_target_too(rows):
    plain, batches = sequences(rows), sequences(rows, from_nothing=True)
    for chosen, same in zip(batches.epoch(0), plain.epoch(0), strict=True):
        batch, without = batches.load(chosen), plain.load(same)
        assert (batch.history[:, 0] == ITEMS).all()
        assert torch.equal(batch.history[:, 1:], without.history)
        assert torch.equal(batch.target[:, 1:], without.target)
        assert torch.equal(batch.target[:, 0], without.history[:, 0])
        assert torch.equal(batch.targets, (batch.target < ITEMS).sum(1))


@pytest.mark.parametrize("make", [next_items, sequences])
def test_the_order_depends_on_seed_and_epoch_alone(make):
    rows = [[1, 2, 3, 4], [5, 6, 7], [8, 9, 10, 11, 0]] * 4
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
