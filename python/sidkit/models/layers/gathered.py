"""Inner products of vectors with rows of a table, without a copy of all those rows.

Shapes: P vectors, n rows of the table, R results of K products each, D dimensions.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["gathered_products"]

# Rows of the table that are gathered at once: 2 MB at 128 dimensions.
_BLOCK_ROWS = 4096


def gathered_products(x: Tensor, table: Tensor, parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, ...]:
    """Return `(x[row, None] * table[at]).sum(-1)` for each pair `row, at`.

    Rows are gathered block by block, in the backward pass once more, and the gradient of the table is summed
    in place over all pairs, so the memory is that of one block.

    Args:
        x: (P, D).
        table: (n, D).
        parts: pairs of the row of `x` of each result, int64 (R,), and the rows of `table`, int64 (R, K).

    Returns:
        f32 (R, K) for each pair, with gradients of `x` and `table`.
    """
    flat = [index for pair in parts for index in pair]
    products: tuple[Tensor, ...] = _GatheredProducts.apply(x, table, *flat)
    return products


class _GatheredProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor, *flat: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(x, table, *flat)
        found = []
        for row, at in _pairs(flat):
            products = torch.empty(at.shape, device=x.device)
            for block in _blocks(at):
                gathered = table[at[block]].float()  # (b, K, D)
                products[block] = torch.bmm(gathered, x[row[block], :, None].float())[..., 0]
            found.append(products)
        return tuple(found)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, table, *flat = ctx.saved_tensors
        d_x = torch.zeros_like(x, dtype=torch.float32)
        d_table = torch.zeros_like(table, dtype=torch.float32)
        for (row, at), share in zip(_pairs(flat), upstream, strict=True):
            for block in _blocks(at):
                gathered, part = table[at[block]].float(), share[block]
                d_x.index_add_(0, row[block], torch.bmm(part[:, None], gathered)[:, 0])
                outer = part[..., None] * x[row[block], None].float()  # (b, K, D)
                d_table.index_add_(0, at[block].flatten(), outer.flatten(0, 1))
        return d_x.to(x.dtype), d_table.to(table.dtype), *[None] * len(flat)


def _pairs(flat: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _blocks(at: Tensor) -> list[slice]:
    step = max(1, _BLOCK_ROWS // max(at.shape[1], 1))
    return [slice(start, start + step) for start in range(0, len(at), step)]
