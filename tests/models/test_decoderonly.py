"""DecoderOnly: causality, padding without effect, and incremental decoding against full passes."""

import math

import numpy as np
import pytest
import torch

from sidkit import SidLayout, Trie
from sidkit.data import Sequences
from sidkit.decode import SearchOptions, beam_search
from sidkit.errors import ConfigError
from sidkit.models import DecoderOnlyNetwork
from sidkit.models.layers.blocks import CausalBlock, rotations

SIZES = (7, 5, 3)


def small(**changes) -> DecoderOnlyNetwork:
    torch.manual_seed(0)
    settings = {"d_model": 16, "heads": 2, "layers": 2, "max_items": 6}
    model = DecoderOnlyNetwork(SIZES, **(settings | changes)).eval()
    torch.nn.init.normal_(model.tokens.weight, std=0.7)  # far from alike, so that inputs matter
    return model


def tokens(*shape: int) -> torch.Tensor:
    return torch.stack([torch.randint(0, size, shape) for size in SIZES], dim=-1)


@torch.inference_mode()
def plain_log_probs(model, sequence):
    """Log-probabilities of the token after a sequence of tokens, read as a whole; (K,)."""
    level, levels = len(sequence) % len(SIZES), len(SIZES)
    rows = [model.begin]
    for index, token in enumerate(sequence):
        rows.append(model.tokens.weight[sum(SIZES[: index % levels]) + token])
    x = torch.stack(rows)[None]
    at = rotations(0, len(rows), 8, x.device)
    for block in model.blocks:
        x = block(x, at)
    return model.outputs[level](model.norm(x[0, -1])).log_softmax(-1)


def test_the_losses_are_those_of_every_position_read_on_its_own():
    model = small()
    events, real = tokens(3, 4), torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]]).bool()
    expected = [[], [], []]
    for row in range(3):
        written = []
        for item in events[row][real[row]].tolist():
            for level, token in enumerate(item):
                expected[level].append(-plain_log_probs(model, written)[token])
                written.append(token)
    with torch.inference_mode():
        losses = model(events, real)
    torch.testing.assert_close(losses, torch.tensor([sum(some) / len(some) for some in expected]))


@pytest.mark.parametrize("length", [0, 1, 4, 9])
def test_steps_give_the_log_probabilities_of_a_full_pass(length):
    """Three beams of two users, reordered; nine items are more than the model reads."""
    model = small()
    history = tokens(2, length)
    with torch.inference_mode():
        state = model.start(history)
        first = model.next_log_probs(state, None, None)
        tokens_1 = torch.tensor([0, 1, 2, 3, 4, 5])
        second = model.next_log_probs(state, torch.tensor([0, 0, 0, 1, 1, 1]), tokens_1)
        tokens_2, parents = torch.tensor([4, 3, 2, 1, 0, 0]), torch.tensor([2, 0, 0, 5, 4, 3])
        third = model.next_log_probs(state, parents, tokens_2)
    read = history[:, -model.max_items :].flatten(1).tolist()
    for user in range(2):
        torch.testing.assert_close(first[user], plain_log_probs(model, read[user]))
    for row in range(6):
        alone = plain_log_probs(model, [*read[row // 3], int(tokens_1[row])])
        torch.testing.assert_close(second[row], alone)
        written = [int(tokens_1[parents[row]]), int(tokens_2[row])]
        torch.testing.assert_close(third[row], plain_log_probs(model, [*read[row // 3], *written]))


def test_what_is_padding_changes_nothing():
    model = small()
    events = tokens(3, 5)
    real = torch.arange(5) < torch.tensor([5, 3, 1])[:, None]
    other = torch.where(real[..., None], events, tokens(3, 5))
    torch.testing.assert_close(model(events, real), model(other, real))


def test_a_later_token_never_changes_an_earlier_loss():
    model = small()
    events, real = tokens(4, 1), torch.ones(4, 1).bool()
    other = events.clone()
    other[..., 2] = (other[..., 2] + 1) % SIZES[2]
    torch.testing.assert_close(model(events, real)[:2], model(other, real)[:2])


def test_a_wide_beam_equals_scoring_the_whole_catalogue():
    model = small()
    random = np.random.default_rng(0)
    every = np.stack(np.unravel_index(np.arange(105), SIZES), axis=1)
    catalogue = every[random.permutation(105)[:23]].astype(np.uint16)
    layout = SidLayout(list(SIZES))
    histories = Sequences.from_rows([[1, 2, 3], [4], [], [5, 6, 7], [0] * 25])
    trie = Trie.build(layout.pack(catalogue), layout)
    items, scores = beam_search(
        model, trie, catalogue, histories, beam=105, k=23, options=SearchOptions(batch_size=2)
    )
    for row, history in enumerate(histories):
        read = catalogue[history[-model.max_items :]].flatten().tolist()
        log_probs = np.zeros(23)
        for item, written in enumerate(catalogue.tolist()):
            for level, token in enumerate(written):
                log_probs[item] += float(plain_log_probs(model, [*read, *written[:level]])[token])
        np.testing.assert_allclose(scores[row], log_probs[items[row]], rtol=1e-4)
        assert items[row].tolist() == np.argsort(-log_probs, kind="stable").tolist()


def test_every_parameter_learns():
    model = small().train()
    model(tokens(8, 7), torch.ones(8, 7).bool()).sum().backward()
    silent = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert silent == []


def test_it_learns_what_follows_what():
    """Items on a ring: who has one takes the next, as the last item alone shows."""
    catalogue = torch.stack(torch.meshgrid(torch.arange(4), torch.arange(3), indexing="ij"), -1).flatten(0, 1)
    walks = (torch.arange(12)[:, None] + torch.arange(5)) % 12
    torch.manual_seed(0)
    model = DecoderOnlyNetwork((4, 3), d_model=32, layers=1, heads=2, dropout=0.0, max_items=5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        losses = model(catalogue[walks], torch.ones_like(walks).bool())
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()
    model.eval()
    with torch.inference_mode():
        state = model.start(catalogue[walks[:, :4]])
        first = model.next_log_probs(state, None, None).argmax(-1)
        second = model.next_log_probs(state, torch.arange(12), first).argmax(-1)
    assert torch.equal(torch.stack([first, second], -1), catalogue[walks[:, 4]])
    # The first of five items comes from nothing: each of 4 x 3 is as likely. The others are known.
    assert losses.tolist() == pytest.approx([math.log(4) / 5, math.log(3) / 5], abs=0.03)


def test_heads_must_divide_the_width():
    with pytest.raises(ConfigError, match=r"an even multiple of `heads`, got 16 with 16 heads"):
        small(heads=16)


def test_with_rotary_places_attention_sees_distances_alone():
    torch.manual_seed(0)
    block, x = CausalBlock(16, 2, 0.0).eval(), torch.randn(3, 5, 16)
    here, later = (block(x, rotations(first, 5, 8, x.device)) for first in (0, 40))
    torch.testing.assert_close(here, later, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(here, block(x))
