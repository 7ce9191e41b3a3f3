"""The training loop: it learns, an interrupted training equals a whole one, other checkpoints are refused."""

import dataclasses
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from sidkit.data import Sequences
from sidkit.errors import ConfigError, DataError, FormatError, RunDirectoryError
from sidkit.models import SASRecNetwork
from sidkit.train import Checkpoint, History, SequenceBatches, Training, TrainSettings, fit

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
    path: Path | None = None,
    settings: TrainSettings = SETTINGS,
    *,
    callback=lambda _: None,
    metric=None,
    validation=True,
    select=None,
    keep=False,
    dropout=0.1,
    every_seconds=1e9,
):
    """Train a small SASRec, with a checkpoint if there is a path; `metric` are the results of evaluations."""
    torch.manual_seed(settings.seed)
    network = SASRecNetwork(ITEMS, d_model=16, layers=1, heads=1, dropout=dropout, max_items=8)
    scores = iter(metric or [])
    training = Training(
        method="sasrec",
        network=network,
        batches=SequenceBatches(
            ROUND, batch_size=settings.batch_size, max_items=8, padding=ITEMS, seed=settings.seed
        ),
        loss=lambda network, batch: network(batch.history, batch.target),
        settings=settings,
        evaluate=(lambda network: {"ndcg@10": next(scores) if metric else accuracy(network)})
        if validation
        else None,
        select=select,
        identity={"data": "round"},
    )
    checkpoint = [] if path is None else [Checkpoint(path, every_seconds=every_seconds, keep=keep)]
    return network, fit(training, [*checkpoint, callback])


def accuracy(network: SASRecNetwork) -> float:
    history = torch.arange(ITEMS)[:, None]
    best = network.scores(network.hidden(history)[:, -1]).argmax(1)
    return (best == (history[:, 0] + 1) % ITEMS).double().mean().item()


def interrupt_at(step: int, number=signal.SIGINT):
    def callback(progress) -> None:
        if progress.step == step:
            os.kill(os.getpid(), number)

    return callback


def checkpoint_file(path: Path) -> Path:
    return Checkpoint(path).file


def test_it_learns_the_rule_of_the_world(tmp_path):
    network, history = train(tmp_path, dataclasses.replace(SETTINGS, max_steps=150))
    assert accuracy(network) == 1.0
    assert not network.training
    assert history.steps[-1]["loss"] < history.steps[0]["loss"] / 2
    assert not checkpoint_file(tmp_path).exists()
    history.save(tmp_path / "history.json")
    assert History.load(tmp_path / "history.json") == history
    assert history.seconds > 0
    assert history.peak_memory_bytes > 0


@pytest.mark.parametrize("text", ["", "[]", '{"no": 1}', '{"model": "sasrec"'])
def test_other_files_are_no_histories(tmp_path, text):
    (tmp_path / "history.json").write_text(text)
    with pytest.raises(FormatError, match="is not the history of a training"):
        History.load(tmp_path / "history.json")


@pytest.mark.parametrize("validation", [True, False])
@pytest.mark.parametrize("averaging", [0.0, 0.3])
@pytest.mark.parametrize("step", [1, 5, 7, 20])  # 5 steps an epoch and an evaluation
def test_an_interrupted_training_equals_an_uninterrupted_one(tmp_path, step, averaging, validation):
    settings = dataclasses.replace(SETTINGS, weight_averaging=averaging)
    whole, history = train(None, settings, validation=validation)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, settings, callback=interrupt_at(step), validation=validation)
    parts, resumed = train(tmp_path, settings, validation=validation)
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, parts.state_dict()[name]), name
    assert [entry["loss"] for entry in resumed.steps] == [entry["loss"] for entry in history.steps]
    assert [entry["metrics"] for entry in resumed.evaluations] == [e["metrics"] for e in history.evaluations]
    assert resumed.best_step == history.best_step


def test_sigterm_writes_a_checkpoint_and_ends_the_process_with_its_status(tmp_path):
    whole, _ = train(None)
    with pytest.raises(SystemExit) as ended:
        train(tmp_path, callback=interrupt_at(7, signal.SIGTERM))
    assert ended.value.code == 128 + signal.SIGTERM
    assert checkpoint_file(tmp_path).exists()
    parts, _ = train(tmp_path)
    assert torch.equal(whole.item.weight, parts.item.weight)


def test_a_former_handler_of_sigterm_is_called_after_the_checkpoint(tmp_path):
    written = []
    former = signal.signal(signal.SIGTERM, lambda *_: written.append(checkpoint_file(tmp_path).exists()))
    try:
        with pytest.raises(SystemExit):
            train(tmp_path, callback=interrupt_at(3, signal.SIGTERM))
        os.kill(os.getpid(), signal.SIGTERM)  # it is in place again
    finally:
        signal.signal(signal.SIGTERM, former)
    assert written == [True, True]


def test_handlers_are_restored():
    former = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        train(None, callback=interrupt_at(2))
    train(None)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == former


def test_a_checkpoint_is_written_at_intervals(tmp_path):
    steps = []

    def look(progress):
        if checkpoint_file(tmp_path).exists():
            steps.append(progress.step)

    torch.manual_seed(0)
    network = SASRecNetwork(ITEMS, d_model=8, layers=1, heads=1, max_items=8)
    batches = SequenceBatches(ROUND, batch_size=8, max_items=8, padding=ITEMS, seed=0)
    training = Training(
        method="sasrec",
        network=network,
        batches=batches,
        loss=lambda network, batch: network(batch.history, batch.target),
        settings=dataclasses.replace(SETTINGS, max_steps=4),
    )
    fit(training, [Checkpoint(tmp_path, every_seconds=0.0), look])
    assert steps == [2, 3, 4]


def test_the_best_weights_are_kept_and_patience_ends_the_training():
    settings = dataclasses.replace(SETTINGS, max_steps=100, patience=2)
    _, history = train(None, settings, metric=[0.1, 0.3, 0.2, 0.3, 0.5])
    assert history.best_step == 10
    assert [entry["metrics"]["ndcg@10"] for entry in history.evaluations] == [0.1, 0.3, 0.2, 0.3]


@pytest.mark.parametrize("averaging", [0.0, 0.3])
def test_without_validation_the_last_weights_are_kept(averaging):
    settings = dataclasses.replace(SETTINGS, weight_averaging=averaging, evaluate_every_steps=20)
    last, history = train(None, settings, metric=[0.3])
    alone, without = train(None, settings, validation=False)
    assert torch.equal(last.item.weight, alone.item.weight)
    assert without.evaluations == [] and without.best_step == history.best_step == 20
    assert not alone.training


def test_an_interrupt_at_the_evaluation_that_ends_the_training_does_not_prolong_it(tmp_path):
    settings = dataclasses.replace(SETTINGS, max_steps=100, patience=1)
    with pytest.raises(KeyboardInterrupt):  # between the step and its evaluation
        train(tmp_path, settings, metric=[0.3], callback=interrupt_at(10))
    _, history = train(tmp_path, settings, metric=[0.2, 0.9])
    assert [entry["metrics"]["ndcg@10"] for entry in history.evaluations] == [0.3, 0.2]


@pytest.mark.parametrize("patience", [0, 1])
def test_an_interrupt_in_post_training_selection_costs_no_training(tmp_path, patience):
    settings = dataclasses.replace(SETTINGS, patience=patience)
    metric = [0.3, 0.2, 0.1, 0.1]

    def press(network):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, settings, metric=list(metric), select=press)
    steps, selected = [], []
    network, history = train(
        tmp_path, settings, select=selected.append, callback=lambda state: steps.append(state.step)
    )
    assert steps == [] and selected == [network]
    assert history.best_step == 5
    assert not checkpoint_file(tmp_path).exists()


def test_a_kept_checkpoint_holds_the_finished_training_until_it_is_removed(tmp_path):
    first, _ = train(tmp_path, keep=True)
    steps = []
    again, history = train(tmp_path, keep=True, callback=lambda state: steps.append(state.step))
    assert steps == []
    assert torch.equal(first.item.weight, again.item.weight)
    assert len(history.evaluations) == 4
    Checkpoint(tmp_path).remove()
    Checkpoint(tmp_path).remove()  # it need not be there
    assert not checkpoint_file(tmp_path).exists()


def test_without_an_example_nothing_is_trained():
    network = SASRecNetwork(ITEMS, d_model=8, layers=1, heads=1)
    batches = SequenceBatches(
        Sequences.from_rows([[1], []]), batch_size=8, max_items=8, padding=ITEMS, seed=0
    )
    training = Training(
        method="sasrec", network=network, batches=batches, loss=lambda *_: None, settings=SETTINGS
    )
    with pytest.raises(DataError, match="no example: expected a history of two events"):
        fit(training)


@pytest.mark.parametrize("change", [{"learning_rate": 1e-2}, {"seed": 2}, {"max_steps": 25}])
def test_a_checkpoint_of_other_settings_is_refused(tmp_path, change):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, callback=interrupt_at(3))
    (name,) = change
    with pytest.raises(RunDirectoryError, match=rf"of another training: `{name}`: expected .*, got "):
        train(tmp_path, dataclasses.replace(SETTINGS, **change))


@pytest.mark.parametrize("keep", [0, 7, 100, 2000])
def test_a_truncated_checkpoint_is_refused(tmp_path, keep):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, callback=interrupt_at(3))
    path = checkpoint_file(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FormatError, match="is not a checkpoint of sidkit"):
        train(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_steps": 0}, "`max_steps` must be greater than 0, got 0"),
        ({"warmup_steps": -1}, "`warmup_steps` must be 0 or more, got -1"),
        ({"weight_averaging": 1.0}, "`weight_averaging` must be below 1, got 1.0"),
        ({"precision": "f16"}, "`precision` is invalid: expected one of auto, f32, bf16, got 'f16'"),
    ],
)
def test_settings_outside_their_range(change, message):
    with pytest.raises(ConfigError, match=message):
        TrainSettings(**change)


def test_the_same_seed_trains_the_same_model():
    one, _ = train()
    two, _ = train()
    np.testing.assert_array_equal(one.item.weight.detach(), two.item.weight.detach())
