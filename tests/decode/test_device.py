"""Search, masks and gradients on a GPU against those on the CPU; without a GPU, the CPU against itself.

`DEVICE=cuda` makes a missing GPU an error, for machines that are there to test one.
"""

import copy
import os

import numpy as np
import pytest
import torch

from sidkit import SidLayout, Trie
from sidkit.data import Sequences
from sidkit.decode import SearchOptions, beam_search
from sidkit.models import DecoderOnlyNetwork, TIGERNetwork

SIZES, ITEMS = (32, 32, 32, 4), 500


@pytest.fixture(scope="module")
def device():
    found = torch.cuda.is_available()
    if os.environ.get("DEVICE") == "cuda" and not found:
        pytest.fail("`DEVICE` is `cuda`, but torch finds no GPU")
    return torch.device("cuda" if found else "cpu")


@pytest.fixture(scope="module")
def catalogue():
    random = np.random.default_rng(0)
    layout = SidLayout(list(SIZES))
    keys = random.choice(int(np.prod(SIZES)), ITEMS, replace=False)
    tokens = np.stack(np.unravel_index(keys, SIZES), 1).astype(np.uint16)
    histories = Sequences.from_rows(random.integers(0, ITEMS, (16, 6)).tolist())
    return Trie.build(layout.pack(tokens), layout), tokens, histories


@pytest.mark.parametrize("depth", range(len(SIZES)))
def test_masks_and_steps(device, catalogue, depth):
    trie, tokens, _ = catalogue
    tensors, expected = trie.to_torch(device), trie.to_torch("cpu")
    states, here = tensors.start(ITEMS), expected.start(ITEMS)
    for level in range(depth):
        codes = torch.from_numpy(tokens[:, level].astype(np.int64))
        states, here = tensors.step(states, level, codes.to(device)), expected.step(here, level, codes)
    assert states.device.type == device.type
    assert torch.equal(states.cpu(), here)
    assert torch.equal(tensors.allowed(states, depth).cpu(), expected.allowed(here, depth))
    for got, wanted in zip(tensors.children(states, depth), expected.children(here, depth), strict=True):
        assert torch.equal(got.cpu(), wanted)


@pytest.mark.parametrize("kind", [TIGERNetwork, DecoderOnlyNetwork])
def test_lists_of_beam_search(device, catalogue, kind):
    trie, tokens, histories = catalogue
    torch.manual_seed(0)
    network = kind(SIZES, d_model=32, heads=2).eval()
    options = SearchOptions(exclude=histories, batch_size=8)
    (items, scores), (wanted, expected) = (
        beam_search(model, trie, tokens, histories, beam=20, options=options)
        for model in (copy.deepcopy(network).to(device), network)
    )
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-3)
    assert (items == wanted).mean() > 0.95  # near ties may change places


@pytest.mark.parametrize("kind", [TIGERNetwork, DecoderOnlyNetwork])
def test_losses_and_gradients(device, catalogue, kind):
    _, tokens, _ = catalogue
    torch.manual_seed(0)
    network = kind(SIZES, d_model=32, heads=2, dropout=0.0)
    other = copy.deepcopy(network).to(device)
    random = np.random.default_rng(1)
    rows = torch.from_numpy(tokens[random.integers(0, ITEMS, (8, 7))].astype(np.int64))
    losses = []
    for model, where in ((network, torch.device("cpu")), (other, device)):
        events = rows.to(where)
        real = torch.ones(events.shape[:2], dtype=torch.bool, device=where)
        given = (events, real) if kind is DecoderOnlyNetwork else (events[:, :-1], events[:, -1])
        loss = model(*given).sum()
        loss.backward()
        losses.append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    for got, wanted in zip(other.parameters(), network.parameters(), strict=True):
        if wanted.grad is not None:
            torch.testing.assert_close(got.grad.cpu(), wanted.grad, rtol=1e-2, atol=1e-4)
