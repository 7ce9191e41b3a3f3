"""ActionPieceTIGER: views averaged exactly, padding without effect, sets, and a world of contexts."""

import math
from functools import cache

import numpy as np
import pytest
import torch

from sidkit import SidLayout, Trie
from sidkit.data import Sequences
from sidkit.decode import SearchOptions, beam_search
from sidkit.errors import FormatError
from sidkit.models import ActionPieceNetwork, load_network, save_network
from sidkit.tokenizers import ActionPiece
from sidkit.train.batches.pieces import PieceBatches

SIZES = (7, 5, 3)
ITEMS = 23
TINY = {"d_model": 16, "heads": 2, "d_head": 8, "d_ff": 16, "encoder_layers": 2, "decoder_layers": 2}


def catalogue():
    every = np.stack(np.unravel_index(np.arange(105), SIZES), axis=1)
    return every[np.random.default_rng(0).permutation(105)[:ITEMS]].astype(np.uint16)


def small(**changes) -> ActionPieceNetwork:
    """Of a vocabulary with merges within items and between them; weights far from alike, so inputs matter."""
    walks = np.random.default_rng(1).integers(ITEMS, size=(60, 1)) + np.arange(5) * 3
    pieces = ActionPiece(60).fit(Sequences.from_rows(walks % ITEMS), catalogue(), SIZES).vocabulary_
    torch.manual_seed(0)
    model = ActionPieceNetwork.of_pieces(pieces, **({**TINY, "max_items": 4, "views": 3} | changes)).eval()
    torch.nn.init.normal_(model.pieces.weight[: model.padding], std=0.7)
    torch.nn.init.normal_(model.tiger.tokens.weight, std=0.7)
    return model


def histories(*rows):
    return torch.from_numpy(catalogue()[np.array(rows)].astype(np.int64))


@torch.inference_mode()
def view_log_probs(model, history, view, written):
    """Log-probabilities of the next token, read in one view alone, without padding or a cache; (K,)."""
    actions = model.vocabulary.tokens(history.numpy())
    seeds, offsets = np.array([view], np.uint64), np.array([0, len(history)])
    pieces = torch.from_numpy(model.vocabulary.segment(actions, offsets, seeds).values.astype(np.int64))
    memory = model.tiger.encode_vectors(model.pieces(pieces)[None])
    state = model.tiger.start_from(memory)
    found = model.tiger.next_log_probs(state, None, None)
    for token in written:
        found = model.tiger.next_log_probs(state, torch.tensor([0]), torch.tensor([token]))
    return found[0].double()


class Oracle:
    """The logarithm of the mean of the views' probabilities of what is written after a history."""

    def __init__(self, model, history):
        self.views = range(model.views)
        self.next = cache(lambda view, written: view_log_probs(model, history, view, written))

    def __call__(self, written):
        each = [
            sum(float(self.next(view, written[:at])[token]) for at, token in enumerate(written))
            for view in self.views
        ]
        return float(np.logaddexp.reduce(each)) - math.log(len(each))


@pytest.mark.parametrize("views", [1, 3])
def test_a_wide_beam_ranks_by_the_mean_probability_of_the_views(views):
    """Histories of several lengths, one longer than the model reads."""
    model, items = small(views=views), catalogue()
    layout = SidLayout(list(SIZES))
    trie = Trie.build(layout.pack(items), layout)
    rows = [[4], [5, 6, 7], [1, 4, 7, 10, 13, 16]]
    found, scores = beam_search(
        model, trie, items, Sequences.from_rows(rows), beam=105, k=ITEMS, options=SearchOptions(batch_size=2)
    )
    for row, history in enumerate(rows):
        oracle = Oracle(model, histories(history)[0][-4:])
        expected = np.array([oracle(tuple(sid)) for sid in items.tolist()])
        np.testing.assert_allclose(scores[row], expected[found[row]], rtol=1e-4)
        assert found[row].tolist() == np.argsort(-expected, kind="stable").tolist()


def test_beams_reordered_keep_their_views_apart():
    """Three beams of two users; each row equals the views' means for what it has written."""
    model, history = small(), histories([1, 2, 3], [9, 4, 7])
    with torch.inference_mode():
        state = model.start(history)
        model.next_log_probs(state, None, None)
        first = torch.tensor([0, 1, 2, 3, 4, 5])
        model.next_log_probs(state, torch.tensor([0, 0, 0, 1, 1, 1]), first)
        second, parents = torch.tensor([4, 3, 2, 1, 0, 0]), torch.tensor([2, 0, 0, 5, 4, 3])
        third = model.next_log_probs(state, parents, second)
    for row in range(6):
        written, oracle = (int(first[parents[row]]), int(second[row])), Oracle(model, history[row // 3])
        expected = [oracle((*written, token)) - oracle(written) for token in range(SIZES[2])]
        assert third[row].tolist() == pytest.approx(expected, abs=1e-4)
    torch.testing.assert_close(third.logsumexp(1), torch.zeros(6))


def test_padding_changes_nothing():
    model = small()
    pieces, target = (
        torch.tensor([[3, 9, 14, 2, 40], [5, 41, model.padding, model.padding, 0]]),
        histories([1, 2])[0],
    )
    pieces[1, 4] = model.padding
    together = model(pieces, target)
    alone = [model(pieces[:1], target[:1]), model(pieces[1:, :2], target[1:])]
    torch.testing.assert_close(together, torch.stack(alone).mean(0))


def test_a_set_has_no_order():
    """However the features of items are ordered, the views read the same pieces of them."""
    model = small()
    actions = model.vocabulary.tokens(catalogue()[[3, 5, 8]])
    offsets, seeds = np.arange(4) * 3, np.arange(3, dtype=np.uint64)
    viewed = np.tile(actions, (3, 1))
    expected = model.vocabulary.segment(viewed, offsets, seeds)
    for order in ([2, 0, 1], [1, 2, 0], [2, 1, 0]):
        turned = np.ascontiguousarray(viewed[:, order])
        assert model.vocabulary.segment(turned, offsets, seeds) == expected


def test_a_history_has_the_same_scores_in_any_batch():
    model = small()
    with torch.inference_mode():
        together = model.next_log_probs(model.start(histories([1, 2, 3], [9, 4, 7], [2, 2, 2])), None, None)
        alone = model.next_log_probs(model.start(histories([9, 4, 7])), None, None)
    torch.testing.assert_close(together[1:2], alone)


def test_without_a_history_there_is_an_answer_too():
    model = small()
    found = model.next_log_probs(model.start(torch.zeros(2, 0, 3, dtype=torch.int64)), None, None)
    torch.testing.assert_close(found.logsumexp(1), torch.zeros(2))


def test_smoothed_targets_and_hidden_pieces():
    model, target = small(), histories([3, 4, 5])[0]
    pieces = torch.randint(0, model.padding, (3, 6))
    plain, smoothed = (model(pieces, target, label_smoothing=share) for share in (0.0, 1.0))
    assert not torch.allclose(plain, smoothed)
    blind = model(pieces, target, token_masking=1.0)
    torch.testing.assert_close(blind, model(pieces.flip(1), target, token_masking=1.0))
    assert not torch.allclose(blind, plain)


def test_every_parameter_learns():
    model = small().train()
    model(torch.randint(0, model.padding, (8, 7)), histories(range(8))[0]).sum().backward()
    silent = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert silent == []


def test_saved_with_its_vocabulary(tmp_path):
    model, path = small(), tmp_path / "model.safetensors"
    save_network(model, path)
    loaded = load_network(ActionPieceNetwork, path)
    history = histories([1, 2, 3])
    with torch.inference_mode():
        expected = model.next_log_probs(model.start(history), None, None)
        torch.testing.assert_close(loaded.next_log_probs(loaded.start(history), None, None), expected)
    assert loaded.vocabulary.merges.tolist() == model.vocabulary.merges.tolist()
    model.merges += 50
    save_network(model, path)
    with pytest.raises(FormatError, match="merges that make no vocabulary"):
        load_network(ActionPieceNetwork, path)


def context_world(users=80, events=8):
    """Six items; two neighbours together determine what follows: after a and b comes (a + b) mod 6.

    Every item is followed by every other as often, so neither the last item alone nor popularity helps.
    """
    rows = np.random.default_rng(0).integers(6, size=(users, events))
    for at in range(2, events):
        rows[:, at] = (rows[:, at - 2] + rows[:, at - 1]) % 6
    return Sequences.from_rows(rows)


def test_it_learns_what_two_neighbours_determine_together():
    tokens = np.stack(np.unravel_index(np.arange(6), (3, 2)), axis=1).astype(np.uint16)
    train = context_world()
    pieces = ActionPiece(20).fit(train, tokens, (3, 2)).vocabulary_
    assert len(pieces) == 20
    torch.manual_seed(0)
    sizes = {"d_model": 32, "heads": 2, "d_head": 16, "d_ff": 64, "encoder_layers": 1, "decoder_layers": 1}
    model = ActionPieceNetwork.of_pieces(pieces, **sizes, dropout=0.0, max_items=2, views=5)
    batches = PieceBatches(train, tokens, pieces, batch_size=140, max_items=2, seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for epoch in range(40):
        for rows in batches.epoch(epoch):
            batch = batches.load(rows)
            optimizer.zero_grad()
            model(batch.history, batch.target).sum().backward()
            optimizer.step()
    asked = np.stack(np.unravel_index(np.arange(36), (6, 6)), axis=1)
    layout = SidLayout([3, 2])
    trie = Trie.build(layout.pack(tokens), layout)
    found, _ = beam_search(model.eval(), trie, tokens, Sequences.from_rows(asked), beam=6, k=1)
    assert np.mean(found[:, 0] == asked.sum(axis=1) % 6) > 0.9
