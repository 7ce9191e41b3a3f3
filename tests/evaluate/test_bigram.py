from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit.data import EvaluationSet, Sequences, cyclic_world
from sidkit.errors import DataError
from sidkit.evaluate import bigram_losses


def slowly(tokens, train, questions):
    """The definition, pair by pair."""
    losses = []
    for level in range(tokens.shape[1]):
        size = int(tokens[:, level].max()) + 1
        rows = [[int(tokens[item, level]) for item in row] for row in train]
        events = [token for row in rows for token in row]
        pairs = [pair for row in rows for pair in pairwise(row)]
        total = 0.0
        for history, target in zip(questions.histories, questions.targets, strict=True):
            wanted = int(tokens[target, level])
            chance = (events.count(wanted) + 1 / size) / (len(events) + 1)
            if len(history):
                last = int(tokens[history[-1], level])
                after = sum(first == last for first, _ in pairs)
                chance = (pairs.count((last, wanted)) + chance) / (after + 1)
            total -= np.log(chance)
        losses.append(total / len(questions))
    return losses


ROWS = st.lists(st.lists(st.integers(0, 5), max_size=6), min_size=1, max_size=6)


@given(ROWS, ROWS, st.lists(st.integers(0, 5), min_size=6, max_size=6))
def test_equals_the_definition(train, histories, targets):
    tokens = np.array([[0, 1], [1, 1], [0, 2], [3, 0], [1, 4], [2, 0]], np.uint16)
    count = len(histories)
    asked = EvaluationSet(np.arange(count), Sequences.from_rows(histories), np.array(targets[:count]))
    found = bigram_losses(tokens, Sequences.from_rows(train), asked)
    np.testing.assert_allclose(found, slowly(tokens, Sequences.from_rows(train), asked), rtol=1e-12)


def test_a_world_in_which_the_next_token_is_certain():
    world = cyclic_world(users=300)
    split = world.dataset.split()
    # Level 0 is the item itself, known from the last one; level 1 is a coin of each item.
    coin = np.random.default_rng(0).integers(0, 2, 24)
    certain, _ = bigram_losses(np.stack([np.arange(24), coin], axis=1), split.train, split.validation)
    shuffled = Sequences(np.random.default_rng(1).permutation(split.train.values), split.train.offsets)
    chance, _ = bigram_losses(np.stack([np.arange(24), coin], axis=1), shuffled, split.validation)
    assert certain < 0.15 and chance > 0.9 * np.log(24)


def test_no_example():
    with pytest.raises(DataError, match="no evaluation examples"):
        bigram_losses(
            np.zeros((2, 1), np.uint16),
            Sequences.from_rows([[0]]),
            EvaluationSet([], Sequences.from_rows([]), []),
        )
