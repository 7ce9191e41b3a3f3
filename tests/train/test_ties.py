"""Tied events: a group keeps members and place, seed and epoch decide its order, nothing is learned of it."""

import dataclasses
import os
import signal

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sidkit.data import Dataset, Histories, Sequences
from sidkit.errors import ConfigError, DataError, RunDirectoryError
from sidkit.ids import SidTable
from sidkit.recommenders import TIGER, SASRec
from sidkit.train import Checkpoint, NextItemBatches, SequenceBatches, TiedEvents

#: Rows of (time, item), oldest first, of few times.
LOGS = st.lists(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 11)), max_size=8).map(
        lambda row: sorted(row, key=lambda event: event[0])
    ),
    min_size=1,
    max_size=6,
)


def events_of(log):
    histories = Sequences.from_rows([[item for _, item in row] for row in log])
    return histories, np.array([time for row in log for time, _ in row])


@given(LOGS, st.integers(0, 3))
def test_a_group_keeps_its_members_and_its_place(log, epoch):
    histories, times = events_of(log)
    ties = TiedEvents(histories, times, seed=1)
    shuffled = ties.shuffled(epoch)
    tied = 0
    for row, start in zip(log, histories.offsets, strict=False):
        for moment in {time for time, _ in row}:
            at = [start + place for place, (time, _) in enumerate(row) if time == moment]
            assert sorted(shuffled[at]) == sorted(histories.values[at])
            tied += len(at) if len(at) > 1 else 0
    assert len(ties) == tied
    assert shuffled.dtype == np.int32


@given(LOGS, st.integers(0, 3))
def test_the_order_depends_on_seed_and_epoch_alone(log, epoch):
    histories, times = events_of(log)
    one, two = (TiedEvents(histories, times, seed=1) for _ in range(2))
    two.shuffled(epoch + 1)
    assert np.array_equal(one.shuffled(epoch), two.shuffled(epoch))


@given(LOGS)
def test_without_ties_nothing_is_even_copied(log):
    histories, _ = events_of(log)
    ties = TiedEvents(histories, np.arange(len(histories.values)), seed=0)
    assert len(ties) == 0 and ties.shuffled(5) is histories.values


def test_every_order_of_a_group_is_as_likely():
    histories = Sequences.from_rows([[7, 0, 1, 2, 9]])
    ties = TiedEvents(histories, np.array([0.0, 1.5, 1.5, 1.5, 2.0]), seed=3)
    orders = [tuple(ties.shuffled(epoch).tolist()) for epoch in range(600)]
    counts = {order: orders.count(order) for order in set(orders)}
    assert len(counts) == 6 and min(counts.values()) > 60
    assert all(order[0] == 7 and order[-1] == 9 for order in counts)
    other = TiedEvents(histories, np.array([0.0, 1.5, 1.5, 1.5, 2.0]), seed=4)
    assert [tuple(other.shuffled(epoch).tolist()) for epoch in range(600)] != orders


def test_equal_times_of_two_users_are_no_tie():
    assert len(TiedEvents(Sequences.from_rows([[1], [], [2, 3]]), np.array([5, 5, 6]), seed=0)) == 0


def test_times_that_do_not_fit():
    rows = Sequences.from_rows([[1, 2], [3]])
    with pytest.raises(DataError, match=r"one time for each of the 3 events of the histories, got .* \(2,\)"):
        TiedEvents(rows, np.array([1, 2]), seed=0)
    with pytest.raises(DataError, match="must not decrease: event 1 is at 1, after one at 2"):
        TiedEvents(rows, np.array([2, 1, 5]), seed=0)
    train = shelves().split().train
    with pytest.raises(DataError, match=r"`times` does not fit the histories: expected .* times"):
        dataclasses.replace(train, times=train.times[1:])


@given(LOGS.filter(lambda log: any(len(row) > 1 for row in log)), st.integers(0, 2))
def test_batches_are_those_of_the_shuffled_histories(log, epoch):
    histories, times = events_of(log)
    ordered = Sequences(TiedEvents(histories, times, seed=5).shuffled(epoch), histories.offsets)
    tokens = np.stack([np.arange(12) // 4, np.arange(12) % 4], 1).astype(np.uint16)
    makers = [
        lambda rows, **more: SequenceBatches(rows, batch_size=2, max_items=3, padding=12, seed=5, **more),
        lambda rows, **more: NextItemBatches(rows, tokens, batch_size=2, max_items=3, seed=5, **more),
    ]
    for make in makers:
        batches, expected = make(histories, times=times), make(ordered)
        batches.epoch(epoch + 1)  # which leaves no trace
        for rows, same in zip(batches.epoch(epoch), expected.epoch(epoch), strict=True):
            assert np.array_equal(rows, same)
            assert torch.equal(batches.load(rows).history, expected.load(same).history)
            assert torch.equal(batches.load(rows).target, expected.load(same).target)


@pytest.mark.parametrize("kind", ["leave_last_out", "global_time"])
@pytest.mark.parametrize("ties", ["source", "shuffle"])
def test_a_split_knows_the_times_of_its_training_events(kind, ties):
    # An item is the moment it is met, so that times can be read off the items.
    rng = np.random.default_rng(0)
    users, moments = rng.integers(0, 9, 200), rng.integers(0, 40, 200)
    catalogue = pl.DataFrame({"item_id": range(40)})
    log = pl.DataFrame({"user_id": users, "item_id": moments, "timestamp": 1000 + moments})
    split = Dataset("moments", catalogue, log).split(kind, ties=ties)
    assert len(split.train.times) > 100
    assert np.array_equal(split.train.times, 1000 + split.train.values)


SHELF, PER_DAY, DAYS = 6, 3, 4


def shelves(users=400):
    """A log whose file is sorted by item within a day, as published logs often are.

    Every day a user takes three items of a shelf in no order, and goes on to the next shelf on the next day.
    """
    rng = np.random.default_rng(0)
    rows = []
    for user in range(users):
        first = rng.integers(4)
        for day in range(DAYS):
            shelf = (first + day) % 4
            taken = np.sort(rng.choice(SHELF, PER_DAY, replace=False))
            rows += [(user, shelf * SHELF + item, day) for item in taken.tolist()]
    users, items, days = zip(*rows, strict=True)
    log = pl.DataFrame({"user_id": users, "item_id": items, "timestamp": days})
    return Dataset("shelves", pl.DataFrame({"item_id": range(4 * SHELF)}), log)


SETTINGS = {
    "d_model": 16,
    "layers": 1,
    "heads": 1,
    "dropout": 0.0,
    "max_items": 12,
    "max_steps": 120,
    "batch_size": 64,
    "learning_rate": 1e-2,
    "warmup_steps": 10,
    "evaluate_every_steps": 120,
    "precision": "f32",
}


def fitted(split, callbacks=(), **changes):
    """The network of a SASRec."""
    recommender = SASRec(**(SETTINGS | changes))
    return recommender.fit(split.train, validation=split.validation, callbacks=callbacks).network_


def chances(network, history):
    with torch.inference_mode():
        return network.scores(network.hidden(torch.tensor([history]))[:, -1])[0].softmax(-1)


def test_a_shuffled_order_is_not_learned_and_the_order_of_days_is():
    above = {}
    for shuffle in (False, True):
        network = fitted(shelves().split(), shuffle_ties=shuffle)
        # After the middle item of a shelf, the rest of the day: which share is above it?
        first = chances(network, [2])[:SHELF]
        assert first.sum() > 0.9
        above[shuffle] = float(first[3:].sum() / (first[:2].sum() + first[3:].sum()))
        # After three items of a day, the next shelf, in either case.
        assert chances(network, [0, 2, 5])[SHELF : 2 * SHELF].sum() > 0.9
    # Sorted by item nothing comes after that is below; in truth it is 3 of 5.
    assert above[False] > 0.95
    assert 0.45 < above[True] < 0.75


def test_validation_and_test_stay_as_they_are():
    split = shelves(20).split()
    before = [
        part.copy() for part in (split.train.values, split.validation.histories.values, split.test.targets)
    ]
    batches = SequenceBatches(
        split.train, batch_size=4, max_items=12, padding=24, seed=0, times=split.train.times
    )
    rows = batches.epoch(0)[0]
    assert not torch.equal(
        batches.load(rows).history,
        SequenceBatches(split.train, batch_size=4, max_items=12, padding=24, seed=0).load(rows).history,
    )
    after = (split.train.values, split.validation.histories.values, split.test.targets)
    assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))


SHORT = {"max_steps": 14, "evaluate_every_steps": 7}


def test_an_interrupted_training_equals_an_uninterrupted_one(tmp_path):
    def press(progress):
        if progress.step == 9:  # of 7 an epoch
            os.kill(os.getpid(), signal.SIGINT)

    split, checkpoint = shelves().split(), Checkpoint(tmp_path)
    whole = fitted(split, **SHORT, shuffle_ties=True)
    with pytest.raises(KeyboardInterrupt):
        fitted(split, [checkpoint, press], **SHORT, shuffle_ties=True)
    with pytest.raises(RunDirectoryError, match="checkpoint of another training: `shuffle_ties`"):
        fitted(split, [checkpoint], **SHORT)
    parts = fitted(split, [checkpoint], **SHORT, shuffle_ties=True)
    plain = fitted(split, **SHORT)
    assert torch.equal(whole.item.weight, parts.item.weight)
    assert not torch.equal(whole.item.weight, plain.item.weight)


def test_examples_of_a_generative_model_are_shuffled_too():
    dataset = shelves(60)
    tokens = np.stack([np.arange(24) // SHELF, np.arange(24) % SHELF], 1).astype(np.uint16)
    sids = SidTable.from_codes(tokens, dataset.item_ids, (4, SHELF))
    settings = {"d_model": 8, "heads": 1, "d_head": 8, "d_ff": 8, "dropout": 0.0, "max_items": 4}
    settings |= {
        "encoder_layers": 1,
        "decoder_layers": 1,
        "max_steps": 2,
        "warmup_steps": 0,
        "precision": "f32",
    }
    trained = [
        TIGER(**settings, shuffle_ties=shuffle).fit(dataset.split().train, sids=sids).network_
        for shuffle in (False, True)
    ]
    assert not torch.equal(trained[0].tokens.weight, trained[1].tokens.weight)


def test_histories_without_times_are_refused():
    train = shelves(20).split().train
    untimed = Histories(train.values, train.offsets, train.item_ids)
    settings = SETTINGS | SHORT | {"max_steps": 1}
    SASRec(**settings).fit(untimed)
    with pytest.raises(ConfigError, match="`shuffle_ties` needs the times of the training events"):
        SASRec(**settings, shuffle_ties=True).fit(untimed)
