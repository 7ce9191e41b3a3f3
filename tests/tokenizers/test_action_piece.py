"""ActionPiece: incremental counts against an oracle that recounts, and vocabularies known by hand."""

from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from sidkit._core import learn_pieces, segment_pieces
from sidkit.data import Sequences
from sidkit.errors import ConfigError, DataError, FormatError, NotFittedError
from sidkit.tokenizers import ActionPiece

CERTAIN = 1 << 30


class Oracle:
    """Histories as lists of [set, slot]; everything is recounted at every step."""

    def __init__(self, rows, base):
        self.rows = [[[set(action), None] for action in row] for row in rows]
        self.base, self.merges = base, []

    def counts(self):
        counts = Counter()
        for row in self.rows:
            for place, (own, slot) in enumerate(row):
                for pair in combinations(own, 2):
                    counts[tuple(sorted(pair))] += 2 * CERTAIN // len(own)
                if place + 1 < len(row):
                    after = row[place + 1][0]
                    for one, other in [(own, after)] if slot is None else [(own, {slot}), ({slot}, after)]:
                        for pair in product(one, other):
                            counts[tuple(sorted(pair))] += CERTAIN // (len(one) * len(other))
        return counts

    def learn(self, merges):
        while len(self.merges) < merges:
            counts = self.counts()
            if not counts:
                break
            pair = min(counts, key=lambda pair: (-counts[pair], pair))
            if pair not in self.merges:
                self.merges.append(pair)
            token = self.base + self.merges.index(pair)
            while self.counts()[pair]:
                for row in self.rows:
                    self.merge(row, pair, token)
        return self.merges

    def merge(self, row, pair, token):
        a, b = pair
        for place, action in enumerate(row):
            if a != b and {a, b} <= action[0]:
                action[0] = action[0] - {a, b} | {token}
            if place + 1 == len(row):
                break
            after = row[place + 1]
            if action[1] is None:
                for one, other in ((a, b), (b, a)):
                    if action[1] is None and one in action[0] and other in after[0]:
                        action[0], after[0], action[1] = action[0] - {one}, after[0] - {other}, token
            else:
                for side in (action, after):
                    for one, other in ((a, b), (b, a)):
                        if action[1] == one and other in side[0]:
                            side[0], action[1] = side[0] - {other}, token
                            break
        place = 0
        while place < len(row):
            if not row[place][0]:
                if place and row[place - 1][1] is not None:
                    row[place][0], row[place - 1][1] = {row[place - 1][1]}, None
                elif row[place][1] is not None:
                    row[place][0], row[place][1] = {row[place][1]}, None
                else:
                    del row[place]
                    continue
            place += 1


@st.composite
def worlds(draw):
    width = draw(st.integers(1, 3))
    values = draw(st.integers(1, 3))
    action = st.tuples(*(st.integers(at * values, at * values + values - 1) for at in range(width)))
    return width, width * values, draw(st.lists(st.lists(action, max_size=6), min_size=1, max_size=5))


def arrays(width, rows):
    actions = np.array([action for row in rows for action in row], np.uint32).reshape(-1, width)
    return actions, np.cumsum([0, *map(len, rows)]).astype(np.int64)


@given(worlds(), st.integers(0, 12))
def test_merges_are_those_of_recounting(world, merges):
    width, base, rows = world
    actions, offsets = arrays(width, rows)
    found = learn_pieces(actions, offsets, base, merges)
    assert found.tolist() == [list(pair) for pair in Oracle(rows, base).learn(merges)]


def slow_segments(row, merges, base):
    row = list(row)
    while True:
        ranks = {pair: rank for rank, pair in enumerate(merges)}
        found = [
            (ranks[pair], place)
            for place in range(len(row) - 1)
            if (pair := tuple(sorted(row[place : place + 2]))) in ranks
        ]
        if not found:
            return row
        rank, place = min(found)
        row[place : place + 2] = [base + rank]


@given(worlds(), st.integers(0, 12))
def test_segments_are_those_of_one_merge_at_a_time(world, count):
    width, base, rows = world
    actions, offsets = arrays(width, rows)
    merges = learn_pieces(actions, offsets, base, count)
    tokens, ends = segment_pieces(actions.ravel(), offsets * width, merges, base)
    pairs = list(map(tuple, merges.tolist()))
    for row, start, end in zip(rows, ends[:-1], ends[1:], strict=True):
        assert tokens[start:end].tolist() == slow_segments(
            [token for each in row for token in each], pairs, base
        )


def test_weights_are_the_chance_of_being_adjacent():
    """Of one set of 3, each pair is adjacent in 2/3 of all orders; of sets of 3 and 2, each in 1/6."""
    counts = Oracle([[(0, 1, 2), (3, 4)]], 5).counts()
    assert counts[0, 1] == 2 * CERTAIN // 3
    assert counts[0, 3] == CERTAIN // 6
    assert counts[3, 4] == CERTAIN


@pytest.fixture
def habit():
    """Item 1 always follows item 0; the other two come as they will."""
    features = np.array([[0, 0], [1, 1], [2, 2], [3, 2]])
    rng = np.random.default_rng(0)
    rows = [[0, 1, *rng.integers(2, 4, size=2)] for _ in range(50)]
    return ActionPiece(7 + 4).fit(Sequences.from_rows(rows), features)


def test_a_frequent_pair_becomes_one_token(habit):
    """Features are tokens 0..3 and 4..6. Items 0 and 1 are (0, 4) and (1, 5), and then one merged token."""
    assert (habit.feature_sizes_, habit.base, len(habit)) == ((4, 3), 7, 11)
    tokens = habit.encode([0, 1])
    assert len(tokens) == 1
    assert sorted(habit.expand(tokens).tolist()) == [0, 1, 4, 5]
    assert len(habit.encode([0, 2])) > 1
    assert tokens.dtype == np.int32


def test_orders_change_tokens_but_not_features(habit):
    rng = np.random.default_rng(0)
    history = [2, 3, 0, 1, 3, 2]
    features = sorted(habit.features_[history].ravel().tolist())
    seen = set()
    for tokens in habit.ensemble(history, 40, rng):
        assert sorted(habit.expand(tokens).tolist()) == features
        seen.add(tuple(tokens.tolist()))
    assert len(seen) > 1
    assert (habit.encode(history) == habit.encode(history)).all()


def test_many_histories_at_once(habit):
    rows = Sequences.from_rows([[0, 1], [], [3, 2, 1]])
    together = habit.encode_all(rows)
    for row, tokens in zip(rows, together, strict=True):
        assert (habit.encode(row) == tokens).all()


def test_round_trip_and_damage(habit, tmp_path):
    path = tmp_path / "pieces.safetensors"
    habit.save(path)
    again = ActionPiece.load(path)
    assert (again.encode([0, 1, 2]) == habit.encode([0, 1, 2])).all()
    assert (again.feature_sizes_, again.vocabulary_size) == (habit.feature_sizes_, habit.vocabulary_size)
    again.vocabulary_.merges = again.merges_ + np.uint32(50)
    again.save(path)
    with pytest.raises(FormatError, match="expected two earlier tokens in each, got a later one"):
        ActionPiece.load(path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(FormatError, match="expected a complete safetensors file"):
        ActionPiece.load(path)


def test_invalid_arguments(habit):
    rows = Sequences.from_rows([[0, 1]])
    with pytest.raises(NotFittedError, match="this ActionPiece is not fitted"):
        ActionPiece().encode([0])
    with pytest.raises(ConfigError, match="`vocabulary_size` is too small: expected at least 6"):
        ActionPiece(5).fit(rows, [[0, 0], [3, 1]])
    with pytest.raises(DataError, match="features are invalid: expected integers"):
        ActionPiece().fit(rows, [[0.5], [1.0]])
    with pytest.raises(DataError, match="an item has no features: expected item rows below 4, got 4"):
        habit.encode([4])
    with pytest.raises(DataError, match="expected integers, got float64"):
        habit.encode([1.5])
    with pytest.raises(DataError, match="`histories` is invalid: expected a Sequences, got"):
        habit.encode_all([[0, 1]])
    with pytest.raises(DataError, match="tokens are invalid: expected integers"):
        habit.expand([11])
    with pytest.raises(ConfigError, match="`count` is invalid: expected an integer >= 1, got 0"):
        habit.ensemble([0], 0, np.random.default_rng(0))


def test_the_core_checks_its_arguments():
    actions, offsets = np.array([[0], [1]], np.uint32), np.array([0, 2], np.int64)
    for wrong in (
        lambda: learn_pieces(actions, offsets, 1, 3),
        lambda: learn_pieces(actions, np.array([0, 3], np.int64), 2, 3),
        lambda: learn_pieces(actions, np.array([0, 2, 1, 2], np.int64), 2, 3),
        lambda: learn_pieces(actions, np.zeros(0, np.int64), 2, 3),
        lambda: learn_pieces(np.zeros((2, 0), np.uint32), offsets, 2, 3),
        lambda: learn_pieces(actions, offsets, 2, 1 << 40),
        lambda: segment_pieces(actions.ravel(), offsets, np.array([[0, 9]], np.uint32), 2),
        lambda: segment_pieces(actions.ravel(), offsets, np.array([[0, 1], [0, 1]], np.uint32), 2),
        lambda: segment_pieces(actions.ravel(), offsets, np.zeros((1, 3), np.uint32), 2),
    ):
        with pytest.raises(ValueError, match=r"."):
            wrong()


def test_parameters_as_in_scikit_learn(habit):
    assert repr(clone(habit)) == repr(habit) == "ActionPiece(vocabulary_size=11)"
    with pytest.raises(ConfigError, match="`vocabulary_size` is invalid: expected an integer >= 1, got 0"):
        ActionPiece(0)
