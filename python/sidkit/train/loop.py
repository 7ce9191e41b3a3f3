"""The training loop of all recommenders."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sidkit._arguments import checked
from sidkit.errors import DataError
from sidkit.train.batches.batch import Batch, Batches
from sidkit.train.callbacks import TrainProgress
from sidkit.train.checkpoint import Checkpoint, TrainingState
from sidkit.train.history import History
from sidkit.train.interrupts import Interrupt, catch_interrupts
from sidkit.train.memory import peak_memory_bytes, release_free_memory
from sidkit.train.optimizer import WeightAverage, adamw, clip_gradients, learning_rate_share
from sidkit.train.options import TrainSettings
from sidkit.train.precision import autocast, resolve_device, resolve_precision
from sidkit.train.processes import join
from sidkit.train.throughput import gemm_peak, step_flops

__all__ = ["Callback", "Training", "fit"]

_LOG_EVERY = 20  # steps between two entries of the history

Network = TypeVar("Network", bound=nn.Module)
Callback = Checkpoint | Callable[[TrainProgress], None]


@checked
@dataclass(kw_only=True)
class Training(Generic[Network]):
    """One training: a network, its examples, and how it is optimized and evaluated.

    Attributes:
        method: name of the model in the history and in checkpoints.
        network: with its initial weights; trained in place.
        batches: the examples.
        loss: mean loss of a batch, a scalar.
        settings: settings of the loop.
        evaluate: metrics of the network on validation; called in evaluation mode without gradients. None for
            no validation: the last weights are kept.
        score: number by which the weights are chosen, higher is better, from the metrics of an evaluation;
            minus infinity for weights that must not be kept. By default NDCG@10.
        from_start: evaluate the initial weights too, and keep them if no later ones are better.
        select: post-training selection of what is no weight, called once with the weights that are kept. It
            can be interrupted without losing the training.
        flops: floating-point operations of a step, for the history.
        identity: anything else that decides what is trained, as JSON values; a checkpoint with another
            identity is refused.
    """

    method: str
    network: Network
    batches: Batches
    loss: Callable[[Network, Batch], Tensor]
    settings: TrainSettings
    evaluate: Callable[[Network], Mapping[str, float]] | None = None
    score: Callable[[Mapping[str, float]], float] = itemgetter("ndcg@10")
    from_start: bool = False
    select: Callable[[Network], None] | None = None
    flops: Callable[[Network, Batch], int] = step_flops
    identity: Mapping[str, Any] = field(default_factory=dict)


@checked
def fit(training: Training[Any], callbacks: Iterable[Callback] = ()) -> History:
    """Train a network in place, in evaluation mode and on the CPU afterwards.

    AdamW, linear learning-rate warm-up, then the schedule of the settings. The network keeps the weights with
    the best score on validation, NDCG@10 by default, or the last ones without validation; with
    `weight_averaging` these are running means. A `Checkpoint` among the callbacks makes the training
    resumable: after an interruption, the same call continues, and gives what the uninterrupted training would
    have given. With another number of processes, it continues with other draws of dropout and negatives.

    Args:
        training: what is trained, and how.
        callbacks: called with a `TrainProgress` after every step; and at most one `Checkpoint`.

    Raises:
        DataError: if there is no example.
        RunDirectoryError: if the checkpoint is of another training.
        FormatError: if the checkpoint is damaged.
        KeyboardInterrupt: after Ctrl-C, once the checkpoint is written.
        SystemExit: after SIGTERM, once the checkpoint is written.
    """
    return _Loop(training, callbacks).run()


class _Loop:
    """State of one call of `fit`."""

    def __init__(self, training: Training[Any], callbacks: Iterable[Callback]) -> None:
        self.training = training
        self.network, self.batches, self.settings = training.network, training.batches, training.settings
        callbacks = list(callbacks)
        self.callbacks = [each for each in callbacks if not isinstance(each, Checkpoint)]
        self.checkpoint = next((each for each in callbacks if isinstance(each, Checkpoint)), None)
        self.processes = join()
        self.device = resolve_device(self.settings.device)
        self._kind: Literal["cpu", "cuda"] = "cuda" if self.device.type == "cuda" else "cpu"
        self.network.to(self.device)
        self.processes.align(list(self.network.state_dict().values()))
        self.optimizer = adamw(
            self.network,
            learning_rate=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
        )
        span = self.settings.weight_averaging * self.settings.max_steps
        self.average = WeightAverage(self.network, span) if self.settings.weight_averaging else None
        parameters = sum(tensor.numel() for tensor in self.network.parameters())
        self.history = History(training.method, parameters)
        self.identity = self._identity()
        self.total = self.settings.max_steps
        self.step = 0
        self.best: dict[str, Tensor] = {}
        self.stale = 0  # evaluations since the best one
        self.losses: list[float] = []  # since the last entry of the history
        self.tokens = 0
        self.flops = 0
        self.peak = 0.0  # operations per second of a plain matrix product, summed over the processes
        self.spent = 0.0  # seconds of training steps since the last entry
        self.trained = 0.0  # seconds of training steps, whole training

    def _identity(self) -> dict[str, Any]:
        settings = dataclasses.asdict(self.settings)
        for name in ("device", "measure_gemm"):  # they do not change what is trained
            del settings[name]
        identity = {
            **self.training.identity,
            "method": self.training.method,
            **settings,
            "precision": resolve_precision(self.settings.precision, self._kind),
        }
        if self.checkpoint is not None and self.checkpoint.identity:
            identity["identity"] = self.checkpoint.identity
        return identity

    def run(self) -> History:
        if not self.batches.steps:
            raise DataError(
                "the training histories hold no example: expected a history of two events or more, got none. "
                "Users need them in addition to the events of validation and test (two with leave_last_out)."
            )
        self.seed_dropout()
        if self.processes.of_first(lambda: self.checkpoint is not None and self.checkpoint.file.exists()):
            self.resume()
        if self.settings.measure_gemm:
            self.peak = self.measured_peak()
        self.last_clock = self.last_save = time.monotonic()
        self.last_cpu = time.process_time()
        with catch_interrupts() as interrupt:
            self.evaluate_if_due()  # the interrupt may have come between a step and its evaluation
            for rows in self.remaining():
                self.train_step(self.batches.load(rows, self.processes.rank, self.processes.size))
                self.stop_if(interrupt)
                if self.evaluate_if_due():
                    self.stop_if(interrupt)
                if self.save_is_due():
                    self.save()
            if self.training.select is not None or (self.checkpoint is not None and self.checkpoint.keep):
                self.save()
                self.stop_if(interrupt)
        self.finish()
        return self.history

    def seed_dropout(self, after: int = 0) -> None:
        """Seed torch's random generator, differently in every process, for the steps after one."""
        torch.manual_seed(self.settings.seed + 1_000_003 * self.processes.rank + 15_485_863 * after)

    def remaining(self) -> Iterator[NDArray[np.int64]]:
        """Yield the batches from the present step to the last."""
        while self.step < self.total:
            epoch, done = divmod(self.step, self.batches.steps)
            for rows in islice(self.batches.epoch(epoch), done, done + self.total - self.step):
                if 0 < self.settings.patience <= self.stale:
                    return
                yield rows

    def measured_peak(self) -> float:
        """Return the operations per second of a plain matrix product, summed over the processes."""
        precision = resolve_precision(self.settings.precision, self._kind)
        peak = torch.tensor(gemm_peak(precision, self.device.type))
        self.processes.add_up([peak])
        return peak.item()

    def stop_if(self, interrupt: Interrupt) -> None:
        if self.processes.any(interrupt.number is not None):
            self.save()
            interrupt.obey()

    def evaluate_if_due(self) -> bool:
        if self.training.evaluate is None:
            return False
        evaluations = self.history.evaluations
        last = evaluations[-1]["step"] if evaluations else -1 if self.training.from_start else 0
        due = self.step % self.settings.evaluate_every_steps == 0 or self.step == self.total
        if not due or self.step == last:
            return False
        with self.average.applied() if self.average is not None else nullcontext():
            self.evaluate(self.training.evaluate)
        return True

    def train_step(self, batch: Batch) -> None:
        started = time.monotonic()
        settings = self.settings
        share = learning_rate_share(self.step, settings.warmup_steps, self.total, settings.schedule)
        rate = settings.learning_rate * share
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        value = torch.zeros(())  # the loss of this process's part, weighted by its share of the batch
        if batch.share:
            with autocast(settings.precision, self._kind):
                loss = self.training.loss(self.network, batch.to(self.device)) * batch.share
            (loss * batch.weight).backward()  # type: ignore[no-untyped-call]
            value = loss.detach()
        self.add_up(value)
        mean = value.item()
        if settings.clip_norm:
            clip_gradients(self.network, settings.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.average is not None:
            self.average.update(self.step)
        self.losses.append(mean)
        self.tokens += batch.tokens
        self.spent += time.monotonic() - started
        if batch.share:
            self.flops += round(self.training.flops(self.network, batch) / batch.share)
        if len(self.losses) == _LOG_EVERY or self.step == self.total:
            self.log(rate)
            release_free_memory()
        metrics = self.history.evaluations[-1]["metrics"] if self.history.evaluations else {}
        progress = TrainProgress(self.step, self.total, self.step / self.batches.steps, mean, metrics)
        for callback in self.callbacks:
            callback(progress)

    def add_up(self, value: Tensor) -> None:
        """Sum gradients and the loss over the processes."""
        if self.processes.size == 1:
            return
        weights = [tensor for tensor in self.network.parameters() if tensor.requires_grad]
        for tensor in weights:
            if tensor.grad is None:
                tensor.grad = torch.zeros_like(tensor)
            elif tensor.grad.is_sparse:
                tensor.grad = tensor.grad.to_dense()
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

    def evaluate(self, measure: Callable[[Any], Mapping[str, float]]) -> None:
        """Evaluate the present weights on validation, and keep them if they are the best yet."""
        started = time.monotonic()
        self.network.eval()
        with torch.inference_mode():
            metrics = self.processes.of_first(lambda: dict(measure(self.network)))
        better = self.training.score(metrics) > self.best_score()
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
            self.best = self.copied_weights()

    def best_score(self) -> float:
        """Return the highest score of an evaluation so far, or minus infinity."""
        scores = (self.training.score(entry["metrics"]) for entry in self.history.evaluations)
        return max(scores, default=-math.inf)

    def copied_weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.network.named_parameters()}

    def save_is_due(self) -> bool:
        checkpoint = self.checkpoint
        if checkpoint is None:
            return False
        since = time.monotonic() - self.last_save
        return self.processes.of_first(lambda: since > checkpoint.every_seconds)

    def save(self) -> None:
        """Write the checkpoint, if there is one."""
        if self.checkpoint is None:
            return
        self.tick()
        pending = {  # for the next entry of the history
            "losses": self.losses,
            "tokens": self.tokens,
            "flops": self.flops,
            "spent": self.spent,
            "trained": self.trained,
        }
        state = TrainingState(
            self.identity,
            self.step,
            self.history.as_dict() | {"pending": pending},
            dict(self.network.named_parameters()),
            self.best,
            TrainingState.moments_of(self.network, self.optimizer),
            dict(self.average.tensors) if self.average is not None else {},
        )
        state.generator = self.processes.collect(state.generator)
        if self.processes.first:
            state.save(self.checkpoint.file)
        self.last_save = time.monotonic()

    def resume(self) -> None:
        assert self.checkpoint is not None
        state = TrainingState.load(self.checkpoint.file, self.identity)
        state.restore(self.network, self.optimizer, self.average)
        if not state.restore_generator(self.processes.rank, self.processes.size):
            self.seed_dropout(after=state.step)
        pending = state.history.pop("pending")
        self.history = History(**state.history)
        self.step, self.best = state.step, state.best
        self.losses, self.tokens, self.flops = pending["losses"], pending["tokens"], pending["flops"]
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
        if self.training.evaluate is None:
            self.history.best_step = self.step
            with self.average.applied() if self.average is not None else nullcontext():
                self.best = self.copied_weights()
        self.history.summarize()
        self.network.load_state_dict(self.best, strict=False)  # buffers are not trained
        self.network.eval()
        if self.training.select is not None:
            with torch.inference_mode():
                self.training.select(self.network)
        self.network.cpu()
        if self.checkpoint is not None and self.processes.first and not self.checkpoint.keep:
            self.checkpoint.remove()
        self.processes.any(False)  # all processes end together
