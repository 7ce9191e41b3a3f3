"""Arguments are checked before anything is ranked, in the same way by every search and ranking."""

import numpy as np
import pytest
import torch
from tests.decode.tables import Tables, catalogue

from sidkit.data import Sequences
from sidkit.decode import (
    Diversity,
    RankOptions,
    SearchOptions,
    beam_search,
    diverse_beam_search,
    rank_by_scores,
    sample_items,
)
from sidkit.errors import ConfigError, DataError
from sidkit.models import RQTransformerNetwork, SASRecNetwork

ITEMS = 14
HISTORIES = Sequences.from_rows([[1, 2], [], [3]])
TOKENS, TRIE = catalogue(ITEMS)


def beam(histories=HISTORIES, k=2, **options):
    return beam_search(Tables(), TRIE, TOKENS, histories, beam=4, k=k, options=SearchOptions(**options))


def diverse(histories=HISTORIES, k=2, **options):
    return diverse_beam_search(
        Tables(),
        TRIE,
        TOKENS,
        histories,
        beam=4,
        k=k,
        diversity=Diversity(2),
        options=SearchOptions(**options),
    )


def sampled(histories=HISTORIES, k=2, **options):
    return sample_items(Tables(), TRIE, TOKENS, histories, k=k, seed=0, options=SearchOptions(**options))


def rq(histories=HISTORIES, k=2, **options):
    return rank_by_scores(rq_model(), histories, k, options=RankOptions(**options))


def sasrec(histories=HISTORIES, k=2, **options):
    torch.manual_seed(0)
    return rank_by_scores(
        SASRecNetwork(ITEMS, d_model=8, layers=1, heads=1).eval(),
        histories,
        k,
        options=RankOptions(**options),
    )


def rq_model():
    torch.manual_seed(0)
    return RQTransformerNetwork.for_items(TRIE.layout.sizes, TOKENS, d_model=8, layers=1, heads=1).eval()


every = pytest.mark.parametrize("rank", [beam, diverse, sampled, rq, sasrec])


@every
@pytest.mark.parametrize("wrong", [{"k": 0}, {"k": -1}, {"batch_size": 0}, {"batch_size": -1}])
def test_counts_below_one_are_refused(rank, wrong):
    filled = Sequences.from_rows([[1], [2]])  # the stand-in's probabilities need a last item
    rank(filled)
    with pytest.raises(
        ConfigError, match=r"`(k|batch_size)` is invalid: expected an integer >= 1( or None)?, got (0|-1)"
    ):
        rank(filled, **wrong)


@every
def test_a_history_with_an_unknown_item_is_named(rank):
    with pytest.raises(DataError, match=r"history 2 holds item 14.* items 0 to 13"):
        rank(Sequences.from_rows([[13], [], [0, ITEMS]]))


@every
def test_lists_are_no_histories(rank):
    with pytest.raises(DataError, match="`histories` is invalid: expected a Sequences, got"):
        rank([[1], [2]])


@every
@pytest.mark.parametrize("rows", [1, 4])
def test_exclude_has_one_row_for_each_history(rank, rows):
    with pytest.raises(DataError, match=f"`exclude` must have one row for each of the 3.* got {rows}"):
        rank(exclude=Sequences.from_rows([[1]] * rows))


def test_users_are_one_for_each_history():
    with pytest.raises(DataError, match=r"`users` must have one row for each of the 3"):
        beam(users=np.zeros(2, np.int32))


def test_an_item_that_came_after_the_model_is_unknown_to_it():
    more = np.concatenate([TOKENS, TOKENS[:1]])
    with pytest.raises(DataError, match="items 0 to 13"):
        beam_search(rq_model(), TRIE, more, Sequences.from_rows([[ITEMS]]), beam=2)


@pytest.mark.parametrize("search", [beam, diverse, sampled])
def test_one_temperature_may_be_a_number_of_numpy(search):
    filled = Sequences.from_rows([[1], [2]])
    cold, same = search(filled, temperature=np.float32(0.5)), search(filled, temperature=0.5)
    assert np.array_equal(cold[0], same[0]) and np.array_equal(cold[1], same[1])


@pytest.mark.parametrize("search", [beam, diverse, sampled])
def test_allowed_items_are_those_that_are_not_excluded(search):
    filled = Sequences.from_rows([[1], [2], [5]])
    allowed = [[1, 4, 6, 9, 12], [0, 2, 3], [7, 8, 13]]
    others = Sequences.from_rows([sorted(set(range(ITEMS)) - set(row)) for row in allowed])
    sets = [TRIE.item_set(np.array(row)) for row in allowed]
    found, expected = search(filled, allow=sets), search(filled, exclude=others)
    assert np.array_equal(found[0], expected[0]) and np.array_equal(found[1], expected[1])
    same = Sequences.from_rows([others[0]] * 3)
    found, expected = search(filled, allow=sets[0]), search(filled, exclude=same)
    assert np.array_equal(found[0], expected[0]) and np.array_equal(found[1], expected[1])
    with pytest.raises(DataError, match="`allow` must have one row for each of the 3 histories, got 2"):
        search(filled, allow=sets[:2])


@pytest.mark.parametrize("rank", [rq, sasrec])
def test_rankings_take_allowed_items_as_rows(rank):
    allowed = Sequences.from_rows([[1, 4, 6, 9, 12], [0, 2, 3], [7, 8, 13]])
    others = Sequences.from_rows([sorted(set(range(ITEMS)) - set(row.tolist())) for row in allowed])
    found, expected = rank(allow=allowed), rank(exclude=others)
    assert np.array_equal(found[0], expected[0]) and np.array_equal(found[1], expected[1])
    found, expected = rank(allow=allowed.take([0])), rank(exclude=Sequences.from_rows([others[0]] * 3))
    assert np.array_equal(found[0], expected[0]) and np.array_equal(found[1], expected[1])
    with pytest.raises(DataError, match="`allow` must have one row for each of the 3 histories, got 2"):
        rank(allow=allowed.take([0, 1]))
