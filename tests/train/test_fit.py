"""Training: it learns, an interrupted run equals a whole one, foreign checkpoints are refused."""

import dataclasses
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from sidkit.data import Sequences
from sidkit.errors import ConfigError, FormatError, RunDirectoryError
from sidkit.models import SASRecNetwork, load_model
from sidkit.train import SequenceBatches, TrainSettings, fit

ITEMS = 12
SETTINGS = TrainSettings(
    max_steps=20,
    batch_size=8,
    learning_rate=5e-3,
    warmup_steps=5,
    evaluate_every_steps=5,
    precision="f32",
    seed=1,
)
ROUND = Sequences.from_rows([[(user + step) % ITEMS for step in range(6)] for user in range(40)])


def train(
    folder: Path, settings: TrainSettings = SETTINGS, *, on_progress=lambda _: None, metric=None, settle=None
):
    torch.manual_seed(settings.seed)
    model = SASRecNetwork(ITEMS, d_model=16, layers=1, heads=1, dropout=0.1, max_items=8)
    batches = SequenceBatches(
        ROUND, batch_size=settings.batch_size, max_items=8, padding=ITEMS, seed=settings.seed
    )
    scores = iter(metric or [])
    history = fit(
        model,
        batches,
        lambda model, batch: model(batch.history, batch.target),
        lambda model: {"ndcg@10": next(scores) if metric else accuracy(model)},
        settings,
        folder,
        data="round",
        settle=settle,
        on_progress=on_progress,
    )
    return model, history


def accuracy(model: SASRecNetwork) -> float:
    history = torch.arange(ITEMS)[:, None]
    best = model.scores(model.hidden(history)[:, -1]).argmax(1)
    return (best == (history[:, 0] + 1) % ITEMS).double().mean().item()


def interrupt_at(step: int):
    def on_progress(progress) -> None:
        if progress.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return on_progress


def test_it_learns_the_rule_of_the_world(tmp_path):
    model, history = train(tmp_path, dataclasses.replace(SETTINGS, max_steps=150))
    assert accuracy(model) == 1.0
    assert history.steps[-1]["loss"] < history.steps[0]["loss"] / 2
    assert not (tmp_path / "checkpoint.safetensors").exists()
    written = json.loads((tmp_path / "history.json").read_text())
    assert written["best_step"] == history.best_step
    assert written["seconds"] > 0
    assert written["peak_memory_bytes"] > 0
    assert accuracy(load_model(tmp_path)) == 1.0


@pytest.mark.parametrize("weight_averaging", [0.0, 0.3])
@pytest.mark.parametrize("step", [1, 5, 7, 20])  # 5 steps an epoch and an evaluation
def test_an_interrupted_training_equals_an_uninterrupted_one(tmp_path, step, averaging):
    settings = dataclasses.replace(SETTINGS, weight_averaging=averaging, checkpoint_every_seconds=1e9)
    whole, history = train(tmp_path / "whole", settings)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", settings, on_progress=interrupt_at(step))
    parts, resumed = train(tmp_path / "parts", settings)
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, parts.state_dict()[name]), name
    assert [entry["loss"] for entry in resumed.steps] == [entry["loss"] for entry in history.steps]
    assert [entry["metrics"] for entry in resumed.evaluations] == [e["metrics"] for e in history.evaluations]


def test_the_best_weights_are_kept_and_patience_ends_the_training(tmp_path):
    settings = dataclasses.replace(SETTINGS, max_steps=100, patience=2)
    _, history = train(tmp_path, settings, metric=[0.1, 0.3, 0.2, 0.3, 0.5])
    assert history.best_step == 10
    assert [entry["metrics"]["ndcg@10"] for entry in history.evaluations] == [0.1, 0.3, 0.2, 0.3]


def test_an_interrupt_at_the_evaluation_that_ends_the_training_does_not_prolong_it(tmp_path):
    settings = dataclasses.replace(SETTINGS, max_steps=100, patience=1)
    with pytest.raises(KeyboardInterrupt):  # between the step and its evaluation
        train(tmp_path, settings, metric=[0.3], on_progress=interrupt_at(10))
    _, history = train(tmp_path, settings, metric=[0.2, 0.9])
    assert [entry["metrics"]["ndcg@10"] for entry in history.evaluations] == [0.3, 0.2]


@pytest.mark.parametrize("patience", [0, 1])
def test_an_interrupt_while_the_rest_is_settled_costs_no_training(tmp_path, patience):
    settings = dataclasses.replace(SETTINGS, patience=patience, checkpoint_every_seconds=1e9)
    metric = [0.3, 0.2, 0.1, 0.1]

    def press(model):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, settings, metric=list(metric), settle=press)
    assert not (tmp_path / "model.safetensors").exists()
    steps, settled = [], []
    model, history = train(
        tmp_path, settings, settle=settled.append, on_progress=lambda state: steps.append(state.step)
    )
    assert steps == [] and settled == [model]
    assert history.best_step == 5
    assert (tmp_path / "model.safetensors").exists() and not (tmp_path / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("change", [{"learning_rate": 1e-2}, {"seed": 2}, {"max_steps": 25}])
def test_a_checkpoint_of_other_settings_is_refused(tmp_path, change):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, on_progress=interrupt_at(3))
    (name,) = change
    with pytest.raises(RunDirectoryError, match=rf"of another training \(`{name}`: .* then, .* now\)"):
        train(tmp_path, dataclasses.replace(SETTINGS, **change))


@pytest.mark.parametrize("keep", [0, 7, 100, 2000])
def test_a_truncated_checkpoint_is_refused(tmp_path, keep):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, on_progress=interrupt_at(3))
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FormatError, match="is not a checkpoint of ours"):
        train(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_steps": 0}, "`max_steps` must be greater than 0, not 0"),
        ({"warmup_steps": -1}, "`warmup_steps` must be 0 or more, not -1"),
        ({"weight_averaging": 1.0}, "`weight_averaging` must be below 1, not 1.0"),
        ({"precision": "f16"}, "`precision` must be `auto`, `f32` or `bf16`, not `f16`"),
    ],
)
def test_settings_outside_their_range(change, message):
    with pytest.raises(ConfigError, match=message):
        TrainSettings(**change)


def test_the_same_seed_trains_the_same_model(tmp_path):
    one, _ = train(tmp_path / "one")
    two, _ = train(tmp_path / "two")
    np.testing.assert_array_equal(one.item.weight.detach(), two.item.weight.detach())
