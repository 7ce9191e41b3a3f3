"""Calls of the core that are interrupted, or ask for more memory than there is."""

import numpy as np
import pytest
from tests.campaign.topics import Alarm, alarm

from sidkit import SidLayout, Trie, assign_codes, errors
from sidkit._core import Codebooks, kmeans_fit, place_codes, segment_pieces

LAYOUT = SidLayout([256, 256])


def test_a_signal_handler_that_raises_stops_a_call():
    keys = np.arange(8, dtype=np.uint64).reshape(-1, 1)
    costs = np.ones(8)
    endless = {"choices": 2, "capacity": 1, "method": "sinkhorn", "costs": costs, "iterations": 2**32 - 1}
    with pytest.raises(Alarm), alarm(0.1):
        place_codes(keys[:0], keys, **endless)


def test_a_call_on_several_threads_is_stopped():
    x = np.random.default_rng(0).normal(size=(20_000, 64)).astype(np.float32)
    with pytest.raises(Alarm), alarm(0.1):
        kmeans_fit(np.tile(x, (1, 4)), 4000, iterations=10**6, threads=4)


@pytest.mark.parametrize("k", [10**12, 2**63])
def test_results_beyond_the_memory_are_memory_errors(k):
    trie = Trie.build(np.arange(4, dtype=np.uint64), LAYOUT)
    scores, log_probs = np.zeros(1, np.float32), np.zeros((1, 256), np.float32)
    calls = [
        lambda: trie.start(k),
        lambda: trie.sample(trie.start(2), k, seed=0),
        lambda: trie.neighbours(np.arange(4), k),
        lambda: trie.top_items(trie.start(1), scores, rows_per_group=1, k=k),
        lambda: trie.beam_step(log_probs, trie.start(1), scores, rows_per_group=1, beam=k),
    ]
    for call in calls:
        with pytest.raises(MemoryError):
            call()


def test_items_under_many_states_are_a_memory_error_before_they_are_gathered():
    trie = Trie.build(np.arange(100_000, dtype=np.uint64) % 2, LAYOUT)
    with pytest.raises(MemoryError):
        trie.items(trie.start(10**7))


def test_more_threads_than_there_are_do_no_harm():
    x = np.random.default_rng(0).normal(size=(4000, 8)).astype(np.float32)
    books = Codebooks(np.random.default_rng(1).normal(size=(2, 64, 8)).astype(np.float32))
    np.testing.assert_array_equal(assign_codes(x, books, threads=10**9), assign_codes(x, books, threads=1))


def test_errors_are_those_of_sidkit():
    for error in (errors.DataTypeError, errors.DataError, errors.ConfigError, errors.InternalError):
        assert issubclass(error, errors.SidkitError)
    assert issubclass(errors.DataTypeError, TypeError)
    assert issubclass(errors.DataTypeError, ValueError)
    assert issubclass(errors.InternalError, Exception)
    with pytest.raises(errors.DataTypeError, match="`packed` is invalid"):
        Trie.build([1], LAYOUT)
    with pytest.raises(errors.DataError, match="row 0 does not belong to the layout"):
        Trie.build(np.array([2**60], np.uint64), LAYOUT)
    with pytest.raises(errors.ConfigError, match="`storage` is unknown"):
        Trie.build(np.zeros(1, np.uint64), LAYOUT, storage="tiny")


def test_a_long_history_is_segmented_in_order():
    """The earliest learned merge first, at its leftmost place, whatever the length."""
    tokens = np.tile(np.array([0, 1, 3], np.uint32), 60_000)
    merges = np.array([[0, 1], [3, 4]], np.uint32)
    pieces, ends = segment_pieces(tokens, np.array([0, len(tokens)]), merges, 4)
    assert ends.tolist() == [0, len(pieces)]
    assert pieces.tolist() == [5] * 60_000
