"""Beam search: equal to scoring the whole catalogue when wide enough, to a plain beam search when not."""

import numpy as np
import pytest
import torch

from sidkit import SidLayout, Trie
from sidkit.data import Sequences
from sidkit.decode import SearchOptions, beam_search
from sidkit.errors import ConfigError
from sidkit.models import TIGERNetwork

SIZES = (5, 4, 3)
ITEMS = 23


def catalogue(shared: bool = False) -> np.ndarray:
    random = np.random.default_rng(0)
    every = np.stack(np.unravel_index(np.arange(60), SIZES), axis=1)
    chosen = random.permutation(60)[:ITEMS]
    if shared:
        chosen[-6:] = chosen[:6]  # six Semantic IDs that name two items each
    return every[chosen].astype(np.uint16)


def world(shared: bool = False, **changes):
    torch.manual_seed(0)
    settings = {"d_model": 16, "heads": 2, "d_head": 8, "d_ff": 16, "encoder_layers": 1, "decoder_layers": 2}
    model = TIGERNetwork(SIZES, **(settings | changes)).eval()
    for output in model.outputs:  # far from uniform, so that the order is clear
        torch.nn.init.normal_(output.weight, std=1.0)
    tokens = catalogue(shared)
    layout = SidLayout(list(SIZES))
    return model, Trie.build(layout.pack(tokens), layout), tokens


HISTORIES = Sequences.from_rows([[1, 2, 3], [4], [5, 6, 7], [8, 9], [10, 11, 12], [0] * 25])


@torch.inference_mode()
def item_log_probs(model, tokens, history) -> np.ndarray:
    """The log-probability of every item after one history, by teacher forcing; (items,)."""
    spelled = torch.from_numpy(tokens.astype(np.int64))
    state = model.start(spelled[torch.tensor(history)][None, -model.max_items :])
    rows = torch.zeros(len(tokens), dtype=torch.int64)
    total = model.next_log_probs(state, None, None)[0][spelled[:, 0]]
    for level in range(1, len(SIZES)):
        log_probs = model.next_log_probs(state, rows, spelled[:, level - 1])
        total = total + log_probs.gather(1, spelled[:, level : level + 1])[:, 0]
        rows = torch.arange(len(tokens))
    return total.numpy()


def best_items(log_probs: np.ndarray, k: int, barred=()) -> list[int]:
    order = sorted(range(len(log_probs)), key=lambda item: (-log_probs[item], item))
    return [item for item in order if item not in set(barred)][:k]


@pytest.mark.parametrize("shared", [False, True])
def test_a_wide_beam_equals_scoring_the_whole_catalogue(shared):
    model, trie, tokens = world(shared)
    items, scores = beam_search(
        model, trie, tokens, HISTORIES, beam=60, k=ITEMS, options=SearchOptions(batch_size=2)
    )
    for row, history in enumerate(HISTORIES):
        log_probs = item_log_probs(model, tokens, history.tolist())
        np.testing.assert_allclose(scores[row], log_probs[items[row]], rtol=1e-4)
        assert np.all(np.diff(scores[row]) <= 0)
        assert sorted(items[row]) == list(range(ITEMS))


@pytest.mark.parametrize("beam", [1, 2, 5])
def test_a_narrow_beam_equals_a_plain_beam_search(beam):
    model, trie, tokens = world()
    items, scores = beam_search(model, trie, tokens, HISTORIES, beam=beam)
    for row, history in enumerate(HISTORIES):
        log_probs = item_log_probs(model, tokens, history.tolist())
        found = [item for item in items[row].tolist() if item >= 0]
        assert found == plain_beam_search(model, tokens, history.tolist(), beam)
        np.testing.assert_allclose(scores[row][: len(found)], log_probs[found], rtol=1e-4)


@torch.inference_mode()
def plain_beam_search(model, tokens, history, beam) -> list[int]:
    """One history, one prefix at a time, a set of tuples for a trie."""
    valid = {tuple(row[:depth]) for row in tokens.tolist() for depth in range(1, 4)}
    spelled = torch.from_numpy(tokens.astype(np.int64))[torch.tensor(history)][None]
    beams = [((), 0.0)]
    for level in range(len(SIZES)):
        grown = []
        for prefix, score in beams:
            state = model.start(spelled)
            log_probs = model.next_log_probs(state, None, None)
            for written in prefix:
                log_probs = model.next_log_probs(state, torch.tensor([0]), torch.tensor([written]))
            for code in range(SIZES[level]):
                if (*prefix, code) in valid:
                    grown.append(((*prefix, code), score + log_probs[0, code].item()))
        beams = sorted(grown, key=lambda entry: -entry[1])[:beam]
    by_tokens = {tuple(row): item for item, row in enumerate(tokens.tolist())}
    return [by_tokens[prefix] for prefix, _ in beams]


@pytest.mark.parametrize("shared", [False, True])
def test_excluded_items_never_come_and_the_list_is_still_full(shared):
    model, trie, tokens = world(shared)
    barred = Sequences.from_rows([list(range(row, ITEMS, 2)) for row in range(len(HISTORIES))])
    items, scores = beam_search(model, trie, tokens, HISTORIES, beam=6, options=SearchOptions(exclude=barred))
    assert np.all(items >= 0)
    assert np.all(np.isfinite(scores))
    for row in range(len(HISTORIES)):
        assert not set(items[row].tolist()) & set(barred[row].tolist())
        assert len(set(items[row].tolist())) == 6


def test_a_wide_beam_with_exclusion_equals_the_catalogue_without_those():
    model, trie, tokens = world()
    items, _ = beam_search(
        model, trie, tokens, HISTORIES, beam=60, k=ITEMS, options=SearchOptions(exclude=HISTORIES)
    )
    for row, history in enumerate(HISTORIES):
        expected = best_items(item_log_probs(model, tokens, history.tolist()), ITEMS, history.tolist())
        assert items[row].tolist() == expected + [-1] * (ITEMS - len(expected))


def test_renormalized_probabilities_of_all_items_sum_to_one():
    model, trie, tokens = world()
    _, scores = beam_search(model, trie, tokens, HISTORIES, beam=60, k=ITEMS, renormalize=True)
    np.testing.assert_allclose(np.exp(scores.astype(np.float64)).sum(1), 1.0, rtol=1e-5)


def test_the_batch_changes_nothing():
    model, trie, tokens = world()
    together, scores = beam_search(model, trie, tokens, HISTORIES, beam=5)
    for row in range(len(HISTORIES)):
        alone, alone_scores = beam_search(model, trie, tokens, HISTORIES.take([row]), beam=5)
        assert together[row].tolist() == alone[0].tolist()
        np.testing.assert_allclose(scores[row], alone_scores[0], rtol=1e-5)


def test_user_tokens():
    model, trie, tokens = world(user_buckets=3)
    histories = Sequences.from_rows([[1, 2], [1, 2], [1, 2]])
    options = SearchOptions(users=np.array([0, 1, 3], np.int32))
    items, scores = beam_search(model, trie, tokens, histories, beam=4, options=options)
    assert scores[0].tolist() == scores[2].tolist()  # users 0 and 3 share a bucket
    assert scores[0].tolist() != scores[1].tolist()
    assert items[0].tolist() == items[2].tolist()
    with pytest.raises(ConfigError, match="pass `users`"):
        beam_search(model, trie, tokens, histories)


def test_the_trie_and_the_model_must_agree():
    model, _, tokens = world()
    layout = SidLayout([5, 4, 4])
    other = Trie.build(layout.pack(tokens), layout)
    with pytest.raises(ConfigError, match=r"sizes \(5, 4, 3\), but the trie holds \(5, 4, 4\)"):
        beam_search(model, other, tokens, HISTORIES)


def test_an_empty_history_still_gets_a_list():
    model, trie, tokens = world()
    items, scores = beam_search(model, trie, tokens, Sequences.from_rows([[], [1]]), beam=4)
    assert np.all(items >= 0)
    assert np.all(np.isfinite(scores))


def test_no_history_at_all():
    model, trie, tokens = world()
    items, scores = beam_search(model, trie, tokens, Sequences.from_rows([]), beam=4)
    assert items.shape == scores.shape == (0, 4)
