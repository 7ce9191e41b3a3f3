"""The softmax loss without a score matrix against cross-entropy by autograd."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from sidkit.models.layers import softmax
from sidkit.models.layers.softmax import softmax_loss


def _inputs(positions: int, columns: int, width: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    hidden = torch.randn(positions, width, generator=random, dtype=torch.float32)
    items = torch.randn(columns, width, generator=random, dtype=torch.float32)
    return hidden, items, torch.randint(columns, (positions,), generator=random)


def _gradients(loss: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(2.5 * loss, leaves)


@given(
    positions=st.integers(1, 40),
    columns=st.integers(1, 30),
    smoothing=st.sampled_from([0.0, 0.1]),
    block=st.integers(1, 500),
    seed=st.integers(0, 1000),
)
def test_all_items(positions: int, columns: int, smoothing: float, block: int, seed: int) -> None:
    hidden, items, target = _inputs(positions, columns, 8, seed)
    offset = torch.randn(columns)
    leaves = [part.requires_grad_() for part in (hidden, items, offset)]
    expected = F.cross_entropy(
        F.linear(hidden, items, offset), target, reduction="sum", label_smoothing=smoothing
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(softmax, "_BLOCK_SCORES", block)
        found = softmax_loss(hidden, items, target, offset=offset, label_smoothing=smoothing)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    for one, other in zip(_gradients(found, *leaves), _gradients(expected, *leaves), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@given(positions=st.integers(1, 40), block=st.integers(1, 500), seed=st.integers(0, 1000))
def test_sample_of_items(positions: int, block: int, seed: int) -> None:
    hidden, items, target = _inputs(positions, 30, 8, seed)
    chosen = torch.randperm(30)[:11]
    column = torch.full((30,), -1)
    column[chosen] = torch.arange(11)
    offset = torch.randn(11)
    positive = (hidden * items[target]).sum(-1)
    leaves = [part.requires_grad_() for part in (hidden, items, offset, positive)]
    others = F.linear(hidden, items[chosen], offset).masked_fill(chosen == target[:, None], -torch.inf)
    logits = torch.cat([positive[:, None], others], 1)
    expected = F.cross_entropy(logits, torch.zeros_like(target), reduction="sum")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(softmax, "_BLOCK_SCORES", block)
        found = softmax_loss(hidden, items[chosen], column[target], offset=offset, positive=positive)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    for one, other in zip(_gradients(found, *leaves), _gradients(expected, *leaves), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_large_scores_stay_finite() -> None:
    hidden = torch.tensor([[200.0], [-200.0]], requires_grad=True)
    items = torch.tensor([[1.0], [-1.0]], requires_grad=True)
    loss = softmax_loss(hidden, items, torch.tensor([0, 0]))
    assert loss.item() == pytest.approx(400.0)
    assert all(part.isfinite().all() for part in _gradients(loss, hidden, items))


def test_bfloat16_is_close() -> None:
    hidden, items, target = _inputs(64, 200, 32, 0)
    exact = softmax_loss(hidden, items, target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = softmax_loss(hidden, items, target)
    assert found.item() == pytest.approx(exact.item(), rel=0.02)
