"""The training loop that all models share."""

import dataclasses
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sidkit.errors import DataError
from sidkit.models import Trained, save_model
from sidkit.train.averaging import WeightAverage
from sidkit.train.batches import Batch, Batches
from sidkit.train.checkpoint import Checkpoint
from sidkit.train.flops import step_flops
from sidkit.train.gemm import gemm_peak
from sidkit.train.history import History
from sidkit.train.memory import peak_memory_bytes, release_free_memory
from sidkit.train.precision import autocast, resolve_device, resolve_precision
from sidkit.train.processes import join
from sidkit.train.settings import TrainSettings

__all__ = ["TrainProgress", "fit"]

_LOG_EVERY = 20  # steps between two entries of the history

Model = TypeVar("Model", bound=Trained)


@dataclass(frozen=True)
class TrainProgress:
    """What a progress bar shows after each step.

    Attributes:
        step: steps done.
        total: steps of the whole training.
        epoch: epochs done, fractional.
        loss: the last step's loss, natural log.
        metrics: of the last evaluation on validation; empty before the first.
    """

    step: int
    total: int
    epoch: float
    loss: float
    metrics: Mapping[str, float]


def fit(
    model: Model,
    batches: Batches,
    loss: Callable[[Model, Batch], Tensor],
    validate: Callable[[Model], Mapping[str, float]],
    settings: TrainSettings,
    folder: Path,
    *,
    data: str,
    settle: Callable[[Model], None] | None = None,
    flops: Callable[[Model, Batch], int] = step_flops,
    on_progress: Callable[[TrainProgress], None] = lambda progress: None,
) -> History:
    """Train `model` in place and leave it with the weights of its best evaluation.

    AdamW, linear warm-up, cosine decay. The weights with the best validation NDCG@10 are kept; with
    `settings.weight_averaging` it is their running means that are validated and kept. A checkpoint
    is written to `folder/checkpoint.safetensors` every so often and on Ctrl-C; calling again with the same
    arguments continues from it, and gives what the uninterrupted training would have given. At the end
    `model.safetensors`, `model.json` and `history.json` are in `folder` and the checkpoint is gone.

    Args:
        model: freshly built; its initial weights are replaced if there is a checkpoint.
        batches: the examples.
        loss: the mean loss of a batch, a scalar.
        validate: metrics of the model on validation, `ndcg@10` among them. Called in evaluation mode without
            gradients.
        settings: see `TrainSettings`.
        folder: where everything is written; made if missing.
        data: a fingerprint of the data, so that a checkpoint is never continued on other data.
        settle: called once with the best weights, before they are saved, to choose what is chosen last; an
            interrupt meanwhile costs no training.
        flops: operations of a step, for the history.
        on_progress: called after every step.

    Raises:
        DataError: if there is no example.
        RunDirectoryError: if the folder holds a checkpoint of another training.
        FormatError: if the checkpoint is damaged.
        KeyboardInterrupt: after Ctrl-C, once the checkpoint is written.
    """
    training = _Training(
        model, batches, loss, validate, settings, Path(folder), data, settle, flops, on_progress
    )
    return training.run()


class _Training:
    """One run of `fit`."""

    def __init__(
        self,
        model: Any,
        batches: Batches,
        loss: Callable[[Any, Batch], Tensor],
        validate: Callable[[Any], Mapping[str, float]],
        settings: TrainSettings,
        folder: Path,
        data: str,
        settle: Callable[[Any], None] | None,
        flops: Callable[[Any, Batch], int],
        on_progress: Callable[[TrainProgress], None],
    ) -> None:
        self.model, self.batches, self.loss, self.validate = model, batches, loss, validate
        self.settings, self.folder = settings, folder
        self.settle, self.count_flops, self.on_progress = settle, flops, on_progress
        self.processes = join()
        self.device = resolve_device(settings.device)
        model.to(self.device)
        self.processes.align(list(model.state_dict().values()))
        self.optimizer = _adamw(model, settings)
        span = settings.weight_averaging * settings.max_steps
        self.average = WeightAverage(model, span) if settings.weight_averaging else None
        self.history = History(model.kind, sum(tensor.numel() for tensor in model.parameters()))
        self.identity = {
            "model": model.kind,
            **model.settings,
            **dataclasses.asdict(settings),
            "precision": resolve_precision(settings.precision, self.device.type),
            "data": data,
        }
        # How often we save, where we train, and what we tell of it do not change what is trained.
        for name in ("checkpoint_every_seconds", "device", "measure_gemm"):
            del self.identity[name]
        if self.processes.size > 1:  # each draws its own dropout
            self.identity["processes"] = self.processes.size
        self.total = settings.max_steps
        self.step = 0
        self.best: dict[str, Tensor] = {}
        self.stale = 0  # evaluations since the best one
        self.losses: list[float] = []  # since the last entry of the history
        self.tokens = 0
        self.flops = 0
        self.peak = 0.0  # operations a second of a plain matrix product, of all processes together
        self.spent = 0.0  # seconds of training steps since the last entry
        self.trained = 0.0  # seconds of training steps, whole training

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.safetensors"

    def run(self) -> History:
        if not self.batches.steps:
            raise DataError(
                "no training history has two events, so there is no next item to learn; users need them "
                "beside the events that validation and test take (two, with leave_last_out)"
            )
        torch.manual_seed(self.settings.seed + 1_000_003 * self.processes.rank)
        if self.processes.of_first(self.checkpoint.exists):
            self.resume()
        if self.settings.measure_gemm:
            self.peak = self.measured_peak()
        self.last_clock = self.last_save = time.monotonic()
        self.last_cpu = time.process_time()
        with _interrupt_flag() as interrupted:
            self.evaluate_if_due()  # the interrupt may have come between a step and its evaluation
            for rows in self.remaining():
                self.train_step(self.batches.load(rows))
                self.stop_if(interrupted)
                if self.evaluate_if_due():
                    self.stop_if(interrupted)
                since = time.monotonic() - self.last_save
                if self.processes.of_first(lambda: since > self.settings.checkpoint_every_seconds):  # noqa: B023
                    self.save()
            if self.settle is not None:
                self.save()
                self.stop_if(interrupted)
        self.finish()
        return self.history

    def remaining(self) -> Iterator[NDArray[np.int64]]:
        """The batches from the present step to the last."""
        while self.step < self.total:
            epoch, done = divmod(self.step, self.batches.steps)
            for rows in self.batches.epoch(epoch)[done : done + self.total - self.step]:
                if 0 < self.settings.patience <= self.stale:
                    return
                yield rows

    def measured_peak(self) -> float:
        """Operations a second of a plain matrix product, summed over the processes."""
        precision = resolve_precision(self.settings.precision, self.device.type)
        peak = torch.tensor(gemm_peak(precision, self.device.type))
        self.processes.add_up([peak])
        return peak.item()

    def stop_if(self, interrupted: threading.Event) -> None:
        if self.processes.any(interrupted.is_set()):
            self.save()
            raise KeyboardInterrupt

    def evaluate_if_due(self) -> bool:
        evaluations = self.history.evaluations
        last = evaluations[-1]["step"] if evaluations else 0
        due = self.step % self.settings.evaluate_every_steps == 0 or self.step == self.total
        if not due or self.step == last:
            return False
        self.evaluate()
        return True

    def train_step(self, batch: Batch) -> None:
        started = time.monotonic()
        rate = self.settings.learning_rate * _schedule(self.step, self.settings.warmup_steps, self.total)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        part = batch.part(self.processes.rank, self.processes.size)
        share = int(part.targets.sum()) / int(batch.targets.sum())
        value = torch.zeros(())  # the loss of this process's part, weighted by its share of the batch
        if share:
            with autocast(self.settings.precision, self.device.type):
                loss = self.loss(self.model, part.to(self.device)) * share
            (loss * batch.weight).backward()  # type: ignore[no-untyped-call]
            value = loss.detach()
        self.add_up(value)
        mean = value.item()
        if self.settings.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.average is not None:
            self.average.update(self.step)
        self.losses.append(mean)
        self.tokens += batch.tokens
        self.spent += time.monotonic() - started
        self.flops += self.count_flops(self.model, batch)
        if len(self.losses) == _LOG_EVERY or self.step == self.total:
            self.log(rate)
            release_free_memory()
        metrics = self.history.evaluations[-1]["metrics"] if self.history.evaluations else {}
        epoch = self.step / self.batches.steps
        self.on_progress(TrainProgress(self.step, self.total, epoch, mean, metrics))

    def add_up(self, value: Tensor) -> None:
        """Sum gradients, and with them the loss, over the processes."""
        if self.processes.size == 1:
            return
        weights = [tensor for tensor in self.model.parameters() if tensor.requires_grad]
        for tensor in weights:
            if tensor.grad is None:
                tensor.grad = torch.zeros_like(tensor)
        self.processes.add_up([value, *(tensor.grad for tensor in weights)])

    def log(self, rate: float) -> None:
        self.trained += self.spent
        spent = max(self.spent, 1e-9)
        entry = {
            "step": self.step,
            "epoch": self.step / self.batches.steps,
            "loss": math.fsum(self.losses) / len(self.losses),
            "lr": rate,
            "tokens_per_second": self.tokens / spent,
            "flops": self.flops,
            "seconds": self.trained,
        }
        if self.peak:
            entry["gemm_share"] = round(self.flops / spent / self.peak, 4)
        self.history.steps.append(entry)
        self.losses, self.tokens, self.flops, self.spent = [], 0, 0, 0.0

    def evaluate(self) -> None:
        started = time.monotonic()
        with self.average.applied() if self.average is not None else nullcontext():
            self.judge(started)

    def judge(self, started: float) -> None:
        """Validate the weights that the model has now, and keep them if they are the best yet."""
        self.model.eval()
        with torch.inference_mode():
            metrics = self.processes.of_first(lambda: dict(self.validate(self.model)))
        better = metrics["ndcg@10"] > self.history.best("ndcg@10")
        self.tick()
        self.history.evaluations.append(
            {
                "step": self.step,
                "epoch": self.step / self.batches.steps,
                "metrics": metrics,
                "seconds": time.monotonic() - started,
                "cpu_seconds": self.history.cpu_seconds,
            }
        )
        self.stale = 0 if better else self.stale + 1
        if better:
            self.history.best_step = self.step
            self.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def save(self) -> None:
        self.tick()
        state = self.history.as_dict() | {"pending": self.pending()}
        taken = Checkpoint.take(
            self.identity, self.step, state, self.model, self.best, self.optimizer, self.average
        )
        taken.generator = self.processes.collect(taken.generator)
        if self.processes.first:
            taken.save(self.checkpoint)
        self.last_save = time.monotonic()

    def pending(self) -> dict[str, Any]:
        """What the next entry of the history needs."""
        return {
            "losses": self.losses,
            "tokens": self.tokens,
            "flops": self.flops,
            "spent": self.spent,
            "trained": self.trained,
        }

    def resume(self) -> None:
        taken = Checkpoint.load(self.checkpoint, self.identity)
        taken.restore(self.model, self.optimizer, self.average, rank=self.processes.rank)
        pending = taken.history.pop("pending")
        self.history = History(**taken.history)
        self.step, self.best = taken.step, taken.best
        self.losses, self.tokens = pending["losses"], pending["tokens"]
        self.flops = pending.get("flops", 0)  # checkpoints of versions that did not count have none
        self.spent, self.trained = pending["spent"], pending["trained"]
        after_best = [entry for entry in self.history.evaluations if entry["step"] > self.history.best_step]
        self.stale = len(after_best)

    def tick(self) -> None:
        """Add the wall and processor time since the last call to the history."""
        now, cpu = time.monotonic(), time.process_time()
        self.history.seconds += now - self.last_clock
        self.history.cpu_seconds += cpu - self.last_cpu
        self.last_clock, self.last_cpu = now, cpu
        self.history.peak_memory_bytes = max(self.history.peak_memory_bytes, peak_memory_bytes())

    def finish(self) -> None:
        self.tick()
        self.history.sum_up()
        self.model.load_state_dict(self.best)
        self.model.eval()
        if self.settle is not None:
            with torch.inference_mode():
                self.settle(self.model)
        self.model.cpu()
        if self.processes.first:
            save_model(self.model, self.folder)
            self.history.save(self.folder / "history.json")
            self.checkpoint.unlink(missing_ok=True)
        self.processes.any(False)  # nobody goes on before the files are there


def _adamw(model: torch.nn.Module, settings: TrainSettings) -> torch.optim.AdamW:
    matrices = [tensor for tensor in model.parameters() if tensor.ndim > 1]
    vectors = [tensor for tensor in model.parameters() if tensor.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), fused=True)


def _schedule(step: int, warmup: int, total: int) -> float:
    """The share of the highest learning rate at `step`: a line up, then half a cosine down."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))


@contextmanager
def _interrupt_flag() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into a flag that is read between steps, so that no step is left half done.

    A second Ctrl-C interrupts at once. Outside the main thread, where signals cannot be caught, nothing
    changes.
    """
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    former = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: Any) -> None:
        flag.set()
        signal.signal(signal.SIGINT, former)

    signal.signal(signal.SIGINT, note)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, former)
