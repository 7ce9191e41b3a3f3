"""Batches of merged tokens: every prefix once per epoch, segmented differently in each."""

import numpy as np
import pytest

from sidkit.data import Sequences
from sidkit.errors import DataError
from sidkit.tokenizers import ActionPiece
from sidkit.train import NextItemBatches, PieceBatches

TOKENS = np.stack(np.unravel_index(np.arange(12), (4, 3)), axis=1).astype(np.uint16)
HISTORIES = Sequences.from_rows([[0, 1, 2, 3, 4, 5], [], [7], [6, 2, 11], *[[k, 1, 2, k] for k in range(9)]])
PIECES = ActionPiece(19).fit(HISTORIES, TOKENS, (4, 3)).vocabulary_


def batches(**changes) -> PieceBatches:
    settings = {"batch_size": 5, "max_items": 3, "seed": 7}
    return PieceBatches(HISTORIES, TOKENS, PIECES, **(settings | changes))


def loaded(source, epoch):
    return [source.load(rows) for rows in source.epoch(epoch)]


def features(batch):
    """The sets of features that each row's pieces are made of, and the user and target of the row."""
    rows = []
    for pieces, target, user in zip(batch.history, batch.target, batch.users, strict=True):
        read = PIECES.expand(pieces[pieces < len(PIECES)].numpy())
        rows.append((int(user), tuple(sorted(read.tolist())), tuple(target.tolist())))
    return rows


def test_every_prefix_is_read_once_an_epoch():
    source = batches()
    expected = []
    for user, history in enumerate(HISTORIES):
        for at in range(1, len(history)):
            read = PIECES.tokens(TOKENS[history[max(0, at - 3) : at]])
            expected.append((user, tuple(sorted(read.ravel().tolist())), tuple(TOKENS[history[at]].tolist())))
    for epoch in (0, 5):
        found = loaded(source, epoch)
        assert len(found) == source.steps == -(-len(expected) // 5)
        assert sorted(row for batch in found for row in features(batch)) == sorted(expected)
        assert sum(batch.weight for batch in found) == pytest.approx(len(expected) / 5)


def test_the_examples_are_those_of_tiger():
    plain = NextItemBatches(HISTORIES, TOKENS, batch_size=5, max_items=3, seed=7)
    examples = []
    for batch in loaded(plain, 0):
        tokens = batch.history.numpy() + np.array([0, 4])
        rows = zip(batch.users.tolist(), tokens, batch.target.tolist(), strict=True)
        examples += [
            (user, tuple(sorted(read.ravel().tolist())), tuple(target)) for user, read, target in rows
        ]
    assert sorted(examples) == sorted(row for batch in loaded(batches(), 0) for row in features(batch))


def test_an_epoch_does_not_depend_on_what_came_before():
    """As an interrupted training asks for it."""
    travelled, fresh = batches(), batches()
    for epoch in (0, 1, 2):
        loaded(travelled, epoch)
    for one, other in zip(loaded(travelled, 1), loaded(fresh, 1), strict=True):
        assert one.history.tolist() == other.history.tolist()
        assert one.target.tolist() == other.target.tolist()


def test_before_any_epoch_the_first_is_read():
    rows, asked = np.arange(4), batches()
    asked.epoch(0)
    assert batches().load(rows).history.tolist() == asked.load(rows).history.tolist()


def test_every_epoch_reads_other_pieces():
    source, rows, seen = batches(), np.arange(5), set()
    for epoch in range(6):
        source.epoch(epoch)
        seen.add(tuple(source.load(rows).history.flatten().tolist()))
    assert len(seen) > 3


def test_shorter_rows_are_padded_with_what_is_no_token():
    for batch in loaded(batches(), 0):
        real = batch.history < len(PIECES)
        assert bool((batch.history[~real] == len(PIECES)).all())
        assert bool((real[:, :-1] >= real[:, 1:]).all()) and bool(real[:, 0].all())
        assert batch.tokens == int(real.sum()) + 2 * len(batch.target)


def test_events_of_one_time_change_places():
    times = np.zeros(len(HISTORIES.values))
    source, targets = batches(times=times), set()
    for epoch in range(4):
        source.epoch(epoch)
        targets.add(tuple(source.load(np.arange(5)).target.flatten().tolist()))
    assert len(targets) > 1


def test_tokens_of_another_table():
    with pytest.raises(DataError, match=r"expected values below the sizes \(4, 3\)"):
        PieceBatches(HISTORIES, TOKENS + 1, PIECES, batch_size=5, max_items=3, seed=0)


def test_no_examples():
    source = PieceBatches(Sequences.from_rows([[1], []]), TOKENS, PIECES, batch_size=5, max_items=3, seed=0)
    assert (source.steps, source.epoch(0)) == (0, [])
