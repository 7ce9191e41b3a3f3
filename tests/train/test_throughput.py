"""Operations of a step as torch counts them, the speed of a matrix product, what a history tells."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from tests.train.test_loop import SETTINGS, interrupt_at, train
from torch.utils.flop_counter import FlopCounterMode

from sidkit.models import (
    ActionPieceNetwork,
    DecoderOnlyNetwork,
    GRU4RecNetwork,
    RQTransformerNetwork,
    SASRecNetwork,
    TIGERNetwork,
)
from sidkit.train import History, gemm_peak, loop, step_flops
from sidkit.train.batches.batch import Batch
from sidkit.train.checkpoint import TrainingState

ITEMS, B, T, D = 30, 3, 7, 16
SIZES = (5, 4, 3)
TOKENS = np.stack([np.arange(ITEMS) % size for size in SIZES], 1).astype(np.uint16)
SPELLED = torch.from_numpy(TOKENS.astype(np.int64))


def of_items(lengths=(T,) * B):
    """Histories of these lengths, padded on the right."""
    lengths = torch.tensor(lengths)
    drawn = torch.randint(0, ITEMS, (len(lengths), int(lengths.max()) + 1))
    real = torch.arange(int(lengths.max())) < lengths[:, None]
    history, target = (part.masked_fill(~real, ITEMS) for part in (drawn[:, :-1], drawn[:, 1:]))
    return Batch(history, target, torch.arange(len(lengths)), 1.0, lengths, int(lengths.sum()))


def counted(run):
    """What torch counts, forward and backward; with attention written out as products.

    By itself it does not count products that are added in place, as the softmax loss does.
    """
    in_place = {
        torch.ops.aten.addmm_: lambda _, one, other, *__, **___: 2 * one[0] * one[1] * other[1],
    }
    with (
        torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
        FlopCounterMode(display=False, custom_mapping=in_place) as counter,
    ):
        run().sum().backward()
    return counter.get_total_flops()


def not_causal(blocks, width, length):
    """What torch computes of attention beyond the pairs that count: all pairs, two products, three times."""
    return 3 * blocks * B * 4 * width * (length**2 - length * (length + 1) // 2)


def test_sasrec():
    model, batch = SASRecNetwork(ITEMS, d_model=D, layers=2, heads=2, max_items=T), of_items()
    found = counted(lambda: model(batch.history, batch.target))
    assert step_flops(model, batch) == found - not_causal(2, D, T)


def test_gru4rec():
    model, batch = GRU4RecNetwork(ITEMS, d_model=D, layers=2, max_items=T), of_items()
    found = counted(lambda: model(batch.history, batch.target))
    # The first state is zero, and torch has no use for its gradient.
    assert found <= step_flops(model, batch) <= found + 2 * B * 6 * D**2
    head = 3 * 2 * D * B * T
    assert step_flops(model, batch) - step_flops(model, batch, scored=11) == head * (ITEMS - 11)


def test_decoderonly():
    model, batch = DecoderOnlyNetwork(SIZES, d_model=D, layers=2, heads=2, max_items=T), of_items()
    real = batch.target < ITEMS
    found = counted(lambda: model(SPELLED[batch.target], real))
    assert step_flops(model, batch) == found - not_causal(2, D, T * len(SIZES))


@pytest.mark.parametrize("buckets", [0, 4])
def test_tiger(buckets):
    model = TIGERNetwork(
        SIZES, d_model=D, heads=3, d_head=8, d_ff=24, encoder_layers=2, decoder_layers=3, user_buckets=buckets
    )
    history, target, users = SPELLED[torch.randint(0, ITEMS, (B, T))], SPELLED[:B], torch.arange(B)
    batch = Batch(history, target, users, 1.0, torch.ones(B, dtype=torch.int64), 0)
    found = counted(lambda: model(history, target, users if buckets else None))
    assert step_flops(model, batch) == found - not_causal(3, 3 * 8, len(SIZES))


@pytest.mark.parametrize("buckets", [0, 4])
def test_tiger_with_a_block_causal_encoder(buckets):
    inner, levels, layers = 3 * 8, len(SIZES), (2, 3)
    model = TIGERNetwork(
        SIZES,
        d_model=D,
        heads=3,
        d_head=8,
        d_ff=24,
        encoder_layers=layers[0],
        decoder_layers=layers[1],
        user_buckets=buckets,
        encoder="block_causal",
    )
    batch, extra = of_items(), int(buckets > 0)
    real, users = batch.target < ITEMS, torch.arange(B) if buckets else None
    tokens = [SPELLED[part] for part in (batch.history, batch.target)]
    found = counted(lambda: model.sequence_losses(*tokens, real, users))
    # All pairs of positions less those that count, in the encoder and between decoder and encoder.
    positions, blocks = T * levels, levels**2 * T * (T + 1) // 2
    later = positions**2 - blocks
    beyond = layers[0] * (later + extra * positions) + layers[1] * later
    unseen = 3 * B * 4 * inner * beyond + T * not_causal(layers[1], inner, levels)
    assert step_flops(model, batch) == found - unseen


def test_pieces():
    """Of all positions where none is padding; padding is nothing."""
    model = ActionPieceNetwork(SIZES, 9, d_model=D, heads=3, d_head=8, d_ff=24)
    pieces, target = torch.randint(0, model.padding, (B, 7)), SPELLED[:B]
    batch = Batch(pieces, target, torch.arange(B), 1.0, torch.ones(B, dtype=torch.int64), 0)
    found = counted(lambda: model(pieces, target))
    assert step_flops(model, batch) == found - not_causal(4, 3 * 8, len(SIZES))
    padded = torch.nn.functional.pad(pieces, (0, 5), value=model.padding)
    assert step_flops(model, dataclasses.replace(batch, history=padded)) == step_flops(model, batch)


def test_a_recurrent_rqtransformer_differs_in_its_layers():
    settings = {"d_model": D, "layers": 2, "heads": 2, "max_items": T}
    batch = of_items()
    models = [
        RQTransformerNetwork.for_items(SIZES, TOKENS, backbone=kind, **settings)
        for kind in ("gru", "attention")
    ]
    scores = []
    for model, layers in zip(models, (12, 24), strict=True):
        attention = 2 * 3 * 4 * D * B * (T * (T + 1) // 2) if layers == 24 else 0
        scores.append(step_flops(model, batch) - 2 * 3 * layers * D**2 * B * T - attention)
    assert scores[0] == scores[1] > 0  # what is left is the same


@pytest.mark.parametrize("content", [0, 6])
def test_rqtransformer(content):
    vectors = np.random.default_rng(0).normal(size=(ITEMS, content)).astype(np.float32) if content else None
    settings = {"d_model": D, "layers": 2, "heads": 2, "max_items": T, "backbone": "attention"}
    model, batch = RQTransformerNetwork.for_items(SIZES, TOKENS, vectors, **settings), of_items()
    found = counted(lambda: model(batch.history, batch.target))
    assert step_flops(model, batch) == found - not_causal(2, D, T)


@pytest.mark.parametrize(
    "model",
    [
        SASRecNetwork(ITEMS, d_model=D, layers=1, heads=1),
        GRU4RecNetwork(ITEMS, d_model=D),
        DecoderOnlyNetwork(SIZES, d_model=D, layers=1, heads=1),
        RQTransformerNetwork.for_items(SIZES, TOKENS, d_model=D, layers=1, heads=1),
    ],
    ids=lambda model: type(model).__name__,
)
def test_padding_is_no_work(model):
    batch = of_items((2, 7, 1, 4))
    rows = [
        Batch(part[0][:, :length], part[1][:, :length], part[2], 1.0, torch.tensor([length]), length)
        for part, length in (
            ((batch.history[row : row + 1], batch.target[row : row + 1], torch.tensor([0])), length)
            for row, length in enumerate((2, 7, 1, 4))
        )
    ]
    assert step_flops(model, batch) == sum(step_flops(model, row) for row in rows)


def test_the_speed_of_a_product_is_measured_once_and_draws_nothing():
    state = torch.get_rng_state()
    peak = gemm_peak("f32")
    assert 1e8 < peak < 1e14
    assert gemm_peak("f32") == peak
    assert torch.equal(torch.get_rng_state(), state)


PEAK = 1e6  # operations per second; so slow that every share is far from 0, however busy the machine is


def test_a_history_tells_what_was_reached(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "gemm_peak", lambda precision, device: PEAK)
    _, history = train(tmp_path, dataclasses.replace(SETTINGS, max_steps=50))
    history.save(tmp_path / "history.json")
    written = json.loads((tmp_path / "history.json").read_text())
    # 40 histories of 5 positions an epoch of 5 steps.
    model = SASRecNetwork(12, d_model=16, layers=1, heads=1, max_items=8)
    rows = 400 * torch.ones(1, dtype=torch.int64)
    row = Batch(torch.zeros(1, 5), torch.zeros(1, 5), rows, 1.0, torch.tensor([5]), 5)
    assert written["flops"] == history.flops == 400 * step_flops(model, row)
    seconds = history.steps[-1]["seconds"]
    assert written["tokens_per_second"] == pytest.approx(50 * 8 * 5 / seconds)
    assert written["gemm_share"] == pytest.approx(history.flops / seconds / PEAK, rel=1e-3)
    assert sum(entry["flops"] for entry in history.steps) == history.flops
    assert all(entry["gemm_share"] > 0 for entry in history.steps)


def test_the_measurement_can_be_left_out_and_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "gemm_peak", lambda precision, device: PEAK)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, callback=interrupt_at(7))
    before = TrainingState.load(tmp_path / "checkpoint.safetensors", identity(tmp_path))
    assert before.history["pending"]["flops"] > 0
    left_out, history = train(tmp_path, dataclasses.replace(SETTINGS, measure_gemm=False))  # is continued
    measured, whole = train()
    assert torch.equal(left_out.item.weight, measured.item.weight)
    assert history.gemm_share is None and whole.gemm_share > 0
    assert history.flops == whole.flops > 0


def identity(directory):
    from safetensors import safe_open

    with safe_open(directory / "checkpoint.safetensors", framework="pt") as file:
        return json.loads(file.metadata()["checkpoint"])["identity"]


def test_entries_of_earlier_versions_are_left_out_of_the_sum():
    old = {"step": 20, "seconds": 2.0, "tokens_per_second": 100.0}
    new = {"step": 40, "seconds": 3.0, "tokens_per_second": 400.0, "flops": 7, "gemm_share": 0.5}
    history = History("sasrec", 1, steps=[old, new])
    history.summarize()
    assert (history.tokens_per_second, history.flops, history.gemm_share) == (200.0, 7, 0.5)
    history = History("sasrec", 1, steps=[old])
    history.summarize()
    assert (history.tokens_per_second, history.flops, history.gemm_share) == (100.0, 0, None)
