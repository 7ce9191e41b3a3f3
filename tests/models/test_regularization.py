"""Smoothed targets and token masking by their definitions, for every generative network."""

import os
import signal

import numpy as np
import pytest
import torch
from tests.train.test_ties import shelves

from sidkit.ids import SidTable
from sidkit.models import DecoderOnlyNetwork, RQTransformerNetwork, TIGERNetwork
from sidkit.recommenders import RECOMMENDERS
from sidkit.train import Checkpoint

ITEMS, D = 20, 8
SIZES = (4, 5, 3)
# Families of different sizes, some of one child.
DRAWN = np.unique(np.random.default_rng(0).integers(0, SIZES, (60, 3)), axis=0)
TOKENS = DRAWN[np.random.default_rng(1).permutation(len(DRAWN))[:ITEMS]].astype(np.uint16)
SPELLED = torch.from_numpy(TOKENS.astype(np.int64))

TINY = {"d_model": D, "heads": 1, "dropout": 0.0}
MAKE = {
    "tiger": lambda: TIGERNetwork(SIZES, d_head=8, d_ff=8, encoder_layers=1, decoder_layers=1, **TINY),
    "decoderonly": lambda: DecoderOnlyNetwork(SIZES, layers=1, **TINY),
    "rqtransformer": lambda: RQTransformerNetwork.for_items(SIZES, TOKENS, layers=1, **TINY),
}


def test_the_world_has_families_of_different_sizes():
    branches = drawn_weights("rqtransformer").tree.branches
    assert {1, 2, 4} <= set(branches.tolist())


def losses(model, history, target, **settings):
    """Losses of the next item (B,) after histories (B, n); of a decoder those of a first item.

    RQTransformer predicts the item at every position, as after each prefix of the history.
    """
    if isinstance(model, TIGERNetwork):
        return model(SPELLED[history], SPELLED[target], **settings)
    if isinstance(model, DecoderOnlyNetwork):
        return model(SPELLED[target][:, None], torch.ones(len(target), 1, dtype=torch.bool), **settings)
    return model(history, target[:, None].expand_as(history), **settings)


def drawn_weights(kind):
    torch.manual_seed(0)
    model = MAKE[kind]()
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_(torch.randn_like(tensor))
    return model


@pytest.mark.parametrize("kind", ["tiger", "decoderonly"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_a_smoothed_target_is_spread_over_the_tokens_there_are(kind, smoothing):
    model = drawn_weights(kind)
    history, target = torch.randint(0, ITEMS, (6, 3)), torch.arange(6)
    found = losses(model, history, target, label_smoothing=smoothing)
    # The slow way: log-probabilities as decoding gives them, token by token.
    state = model.start(SPELLED[history[:, : 0 if kind == "decoderonly" else 3]])
    parents = tokens = None
    for level in range(len(SIZES)):
        log_probs = model.next_log_probs(state, parents, tokens)
        parents, tokens = torch.arange(6), SPELLED[target][:, level]
        expected = [
            (1 - smoothing) * row[token] + smoothing * row[row.isfinite()].mean()
            for row, token in zip(log_probs, tokens, strict=True)
        ]
        torch.testing.assert_close(found[level], -torch.stack(expected).mean(), atol=1e-5, rtol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_a_smoothed_target_of_rqtransformer_is_spread_over_the_semantic_ids(smoothing):
    model = drawn_weights("rqtransformer").eval()
    history, target = torch.randint(0, ITEMS, (6, 3)), torch.arange(6)
    found = losses(model, history, target, label_smoothing=smoothing)
    # The slow way: the log-probability of every Semantic ID after every prefix, token by token.
    expected, rows = [], torch.arange(6)
    for end in (1, 2, 3):
        log_probs = torch.zeros(6, ITEMS)
        for item, spelled in enumerate(SPELLED):
            state, parents, tokens = model.start(history[:, :end]), None, None
            for token in spelled:
                log_probs[:, item] += model.next_log_probs(state, parents, tokens)[:, token]
                parents, tokens = rows, token.expand(6)
        torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(6))
        expected.append((1 - smoothing) * log_probs[rows, target] + smoothing * log_probs.mean(1))
    torch.testing.assert_close(found, -torch.stack(expected).mean()[None], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", MAKE)
def test_gradients_of_a_smoothed_loss_are_finite(kind):
    model = drawn_weights(kind)
    losses(model, torch.randint(0, ITEMS, (6, 3)), torch.arange(6), label_smoothing=0.1).sum().backward()
    assert all(tensor.grad.isfinite().all() for tensor in model.parameters() if tensor.grad is not None)


@pytest.mark.parametrize("kind", ["tiger", "rqtransformer"])
def test_a_history_whose_tokens_are_all_masked_has_no_effect(kind):
    model = drawn_weights(kind)
    one, other = torch.zeros(6, 3, dtype=torch.int64), torch.randint(1, ITEMS, (6, 3))
    target = torch.arange(6)
    hidden = [losses(model, history, target, token_masking=1.0) for history in (one, other)]
    seen = [losses(model, history, target) for history in (one, other)]
    assert torch.equal(*hidden) and not torch.equal(*seen)


def test_masked_tokens_have_no_effect_on_a_decoder():
    model = drawn_weights("decoderonly")
    real = torch.ones(1, 2, dtype=torch.bool)
    events = SPELLED[torch.tensor([[0, 5]])]
    other = events.clone()
    other[:, 0, 0] = (other[:, 0, 0] + 1) % SIZES[0]
    # The token that differs is the first target, and an input of all later ones.
    later = [model(each, real, token_masking=1.0)[1:] for each in (events, other)]
    assert torch.equal(*later)
    assert not torch.equal(*(model(each, real)[1:] for each in (events, other)))


@pytest.mark.parametrize("kind", ["tiger", "decoderonly"])
def test_the_share_of_masked_tokens(kind):
    model = drawn_weights(kind)
    items = torch.randint(0, ITEMS, (200, 10))
    shown = (model._embedded(SPELLED[items], 0.25) != 0).all(-1)
    assert shown.float().mean() == pytest.approx(0.75, abs=0.02)
    hidden = model._embedded(SPELLED[items], 0.25)
    whole = (hidden != 0).all(-1)
    assert torch.equal(hidden[whole], model._embedded(SPELLED[items])[whole])


def test_an_item_is_encoded_up_to_its_first_masked_token():
    model = drawn_weights("rqtransformer")
    items = torch.randint(0, ITEMS, (200, 20))
    leaves = model.tree.leaf[items].long()
    leaves[:, 15:] = -1  # padding
    read = model._masked(leaves, 0.25)
    is_read = read[:, :15, None] == model.tree.item_paths()[items[:, :15]]  # (B, T, L)
    # A prefix of the item, or nothing if its first token is masked.
    assert torch.equal(is_read.sum(-1), (read[:, :15] >= 0).long()) and (read[:, 15:] == -1).all()
    shown = is_read.flip(-1).cumsum(-1).flip(-1)  # tokens up to the last one that is read
    for level, share in enumerate(shown.float().mean((0, 1)).tolist()):
        assert share == pytest.approx(0.75 ** (level + 1), abs=0.03)
    assert torch.equal(model._masked(leaves, 0.0), leaves)


SETTINGS = {
    "tiger": {
        "encoder_layers": 1,
        "decoder_layers": 1,
        "d_head": 8,
        "d_ff": 8,
        "dropout": 0.1,
        "max_items": 4,
    },
    "decoderonly": {"layers": 1, "max_items": 6},
    "rqtransformer": {"layers": 1, "max_items": 6, "content": False},
}


@pytest.mark.parametrize("method", MAKE)
@pytest.mark.parametrize("setting", ["label_smoothing", "token_masking"])
def test_a_training_has_the_settings_and_goes_on_from_its_checkpoint(method, setting, tmp_path):
    dataset = shelves(30)
    items = len(dataset.items)
    tokens = np.stack([np.arange(items) // 6, np.arange(items) % 6], 1).astype(np.uint16)
    sids, split = SidTable.from_codes(tokens, dataset.item_ids, (4, 6)), dataset.split()

    def press(progress):
        if progress.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    plain = {"d_model": 8, "heads": 1, "max_steps": 5, "warmup_steps": 0, "evaluate_every_steps": 5}
    plain |= {"precision": "f32", **SETTINGS[method]}

    def fitted(callbacks=(), **changes):
        recommender = RECOMMENDERS[method](**plain, **changes)
        recommender.fit(split.train, sids=sids, validation=split.validation, callbacks=callbacks)
        return recommender.network_.state_dict()

    whole = fitted(**{setting: 0.2})
    with pytest.raises(KeyboardInterrupt):
        fitted([Checkpoint(tmp_path), press], **{setting: 0.2})
    parts, without = fitted([Checkpoint(tmp_path)], **{setting: 0.2}), fitted()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert not all(torch.equal(whole[name], without[name]) for name in whole)
