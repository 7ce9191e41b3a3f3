"""Throughput: floating-point operations of a training step, and the speed of a plain matrix product.

The operations are those of the model, independent of the program that computes them: matrix products and
inner products over real positions, a multiplication and an addition counted as two. Padding is not counted,
and causal attention counts the pairs of a position and those not after it. The backward pass takes twice the
operations of the forward pass, once for the gradient of the input and once for that of the weights.
Recomputation that saves memory is not counted, nor are embedding look-ups, norms, activations, dropout, the
softmax and the optimizer. These are the "model FLOPs" in the utilization of Chowdhery et al. (PaLM, 2022,
arXiv 2204.02311, appendix B).

Shapes: P real positions of a batch, D = d_model, N items, L levels, K_l tokens of level l.
"""

import time
from functools import cache
from typing import Literal, cast

import torch
from torch import Tensor, nn

from sidkit._arguments import checked
from sidkit.models import (
    ActionPieceNetwork,
    DecoderOnlyNetwork,
    GRU4RecNetwork,
    RQTransformerNetwork,
    SASRecNetwork,
    TIGERNetwork,
)
from sidkit.train.batches.batch import Batch

__all__ = ["gemm_peak", "step_flops"]

_BOTH_WAYS = 3  # forward once, backward twice
_WIDTH = 1024  # 2.1 Gflop per product: milliseconds, and large enough for the full speed of a core
_SECONDS = 0.2


@checked
def step_flops(model: nn.Module, batch: Batch, scored: int | None = None) -> int:
    """Count the floating-point operations of one step, forward and backward.

    Args:
        model: a network of `sidkit.models`.
        batch: input of the step.
        scored: items that SASRec, GRU4Rec and RQTransformer score at every position; None for all.

    Returns:
        The number of operations; 0 for other networks, whose operations are not known.
    """
    if isinstance(model, TIGERNetwork):
        extra = int(model.user is not None)
        if model.block_causal:
            return _BOTH_WAYS * _tiger_one_pass(model, batch.targets, extra)
        users, items = batch.history.shape[:2]
        read = min(items, model.max_items) * len(model.sizes) + extra
        return _BOTH_WAYS * _tiger(model, torch.full((users,), read))
    if isinstance(model, ActionPieceNetwork):
        return _BOTH_WAYS * _tiger(model.tiger, (batch.history != model.padding).sum(1))
    lengths = batch.targets
    positions = int(lengths.sum())
    if isinstance(model, DecoderOnlyNetwork):
        width, levels = model.begin.numel(), len(model.sizes)
        heads = 2 * width * sum(model.sizes) * positions
        return _BOTH_WAYS * (len(model.blocks) * _block(width, lengths * levels) + heads)
    if isinstance(model, RQTransformerNetwork):
        width = model.norm.normalized_shape[0]
        recurrent = model.backbone == "gru"
        one = _recurrent(width, positions) if recurrent else _block(width, lengths)
        body = len(model.recurrent if recurrent else model.blocks) * one
        scores = 2 * width * positions * (model.tree.level_nodes[-1] if scored is None else scored)
        # Content is given, so only its projection has a gradient.
        content = 0
        if model.vectors.project is not None and scored is None:
            content = 2 * 2 * model.vectors.content.numel() * width
        return _BOTH_WAYS * (body + scores) + content
    if not isinstance(model, SASRecNetwork | GRU4RecNetwork):
        return 0  # a network of a plug-in
    width = model.item.embedding_dim
    body = len(model.layers) * _recurrent(width, positions) if isinstance(model, GRU4RecNetwork) else 0
    body += len(model.blocks) * _block(width, lengths) if isinstance(model, SASRecNetwork) else 0
    return _BOTH_WAYS * (body + 2 * width * (model.items if scored is None else scored) * positions)


def _block(width: int, lengths: Tensor) -> int:
    """Count a `CausalBlock` over sequences: 12 D² weights per position, two inner products per pair."""
    pairs = int((lengths * (lengths + 1)).sum()) // 2
    return 24 * width**2 * int(lengths.sum()) + 4 * width * pairs


def _recurrent(width: int, positions: int) -> int:
    """Count a GRU over positions: three gates over input and state, 6 D² weights."""
    return 12 * width**2 * positions


def _tiger(model: TIGERNetwork, read: Tensor) -> int:
    """Count the forward pass with so many encoder positions per user, int64 (B,), and L decoder positions."""
    within, across = int((read**2).sum()), int(len(model.sizes) * read.sum())
    return _encoder_decoder(model, read, len(read), within=within, across=across)


def _tiger_one_pass(model: TIGERNetwork, items: Tensor, extra: int) -> int:
    """Count the forward pass over whole histories, with one target after each item.

    Args:
        model: a network with a block-causal encoder.
        items: items of each history, int64 (B,).
        extra: positions before the items, to which all positions attend.
    """
    levels, targets = len(model.sizes), int(items.sum())
    across = levels**2 * int((items * (items + 1)).sum()) // 2  # pairs of positions of items
    across += extra * levels * targets
    within = across + extra * len(items)
    return _encoder_decoder(model, items * levels + extra, targets, within=within, across=across)


def _encoder_decoder(model: TIGERNetwork, read: Tensor, targets: int, *, within: int, across: int) -> int:
    """Count the forward pass of encoder and decoder.

    Args:
        model: the network, for the sizes of its layers.
        read: encoder positions of each history, int64 (B,).
        targets: number of generated items.
        within: pairs of positions of the encoder's attention.
        across: pairs of positions of the decoder's attention to the encoder.
    """
    settings, levels = cast("dict[str, int]", model.settings), len(model.sizes)
    width, inner, wide = settings["d_model"], settings["heads"] * settings["d_head"], settings["d_ff"]
    positions, generated = int(read.sum()), levels * targets
    encoder = 8 * positions * width * inner + 4 * within * inner + 4 * positions * width * wide
    itself = 8 * generated * width * inner + 2 * (levels + 1) * generated * inner
    cross = 4 * (generated + positions) * width * inner + 4 * across * inner
    decoder = itself + cross + 4 * generated * width * wide
    heads = 2 * width * sum(model.sizes) * targets
    return len(model.encoder) * encoder + len(model.decoder) * decoder + heads


@checked
def gemm_peak(precision: Literal["f32", "bf16"], device: str = "cpu") -> float:
    """Measure the operations per second of a plain product of two square matrices, the fastest within 0.2 s.

    Measured once per process for each precision, device and number of torch threads.

    Args:
        precision: number format of the matrices.
        device: device of the matrices, `cpu` or `cuda`.
    """
    return _measured(precision, device, torch.get_num_threads())


@cache
def _measured(precision: str, device: str, threads: int) -> float:
    # A separate generator, so that the measurement does not change what a training draws.
    made = torch.rand(_WIDTH, _WIDTH, generator=torch.Generator().manual_seed(0))
    matrix = made.to(device, torch.bfloat16 if precision == "bf16" else torch.float32)
    out = torch.empty_like(matrix)
    least, began = float("inf"), time.perf_counter()
    while True:
        started = time.perf_counter()
        torch.mm(matrix, matrix, out=out)
        if device == "cuda":
            torch.cuda.synchronize()
        ended = time.perf_counter()
        least = min(least, ended - started)
        if ended - began > _SECONDS:
            return float(2 * _WIDTH**3 / least)
