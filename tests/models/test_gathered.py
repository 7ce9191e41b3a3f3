"""Inner products with gathered rows equal those of the gathered tensor, gradients included."""

import pytest
import torch

from sidkit.models.layers import gathered
from sidkit.models.layers.gathered import gathered_products


@pytest.mark.parametrize("block", [4096, 3])
def test_products_and_gradients_equal_those_of_the_whole_tensor(block, monkeypatch):
    monkeypatch.setattr(gathered, "_BLOCK_ROWS", block)
    torch.manual_seed(0)
    x, table = torch.randn(5, 8, requires_grad=True), torch.randn(11, 8, requires_grad=True)
    parts = [(torch.randint(0, 5, (r,)), torch.randint(0, 11, (r, k))) for r, k in ((7, 4), (3, 1), (0, 2))]
    weights = [torch.randn(at.shape) for _, at in parts]
    found = gathered_products(x, table, parts)
    expected = [(x[row, None] * table[at]).sum(-1) for row, at in parts]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    gradients = [
        torch.autograd.grad(sum((w * r).sum() for w, r in zip(weights, results, strict=True)), (x, table))
        for results in (found, expected)
    ]
    torch.testing.assert_close(*gradients)
