"""Concurrent trainings on one GPU, each as a CUDA graph on a separate stream."""

import math
import time
import types
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from inputs import Inputs, Table, packed, padded, prefixes
from searcher import Searcher
from torch import Tensor, nn

from sidkit.models import DecoderOnlyNetwork, TIGERNetwork
from sidkit.models.layers.dropout import ByteDropout
from sidkit.train import step_flops
from sidkit.train.batches.batch import Batch

__all__ = ["Setting", "Trainer", "build", "flops_of_an_epoch"]


@dataclass
class Setting:
    """Settings of one training.

    Attributes:
        model: `tiger` or `decoderonly`.
        ids: name of the table of Semantic IDs.
        sizes: arguments of the network that differ from the defaults.
        batch: approximate number of targets per step.
        epochs: passes over the data; fewer if the time limit ends first.
        weight_averaging: share of all steps over which weights are averaged.
        beam: beam width in validation.
        evaluations: number of evaluations on validation.
    """

    model: str = "tiger"
    ids: str = "rqkmeans"
    sizes: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    batch: int = 1280
    epochs: float = 100
    learning_rate: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 0.035
    clip_norm: float = 1.0
    label_smoothing: float = 0.0
    token_masking: float = 0.0
    weight_averaging: float = 0.02
    beam: int = 20
    evaluations: int = 25


class DeviceDropout(nn.Module):
    """Dropout with its rate as a tensor, so that models with different rates share compiled code."""

    def __init__(self, rate: float, device: torch.device) -> None:
        super().__init__()
        self.register_buffer("rate", torch.tensor(rate, device=device), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        kept = torch.rand(x.shape, device=x.device) >= self.rate
        return (x * kept) * (1 / (1 - self.rate)).to(x.dtype)


def _embedded_on_device(self, items: Tensor, masking: float = 0.0) -> Tensor:
    """Replace `TokenModel._embedded`; token masking is drawn on the device."""
    vectors = self.tokens((items + self.offsets).flatten(1))
    if masking:
        vectors = vectors * (torch.rand(vectors.shape[:2], device=vectors.device) >= masking)[..., None]
    return vectors


def build(setting: Setting, inputs: Inputs, device: torch.device) -> nn.Module:
    """Make the network with its initial weights."""
    torch.manual_seed(setting.seed)
    kind = {"tiger": TIGERNetwork, "decoderonly": DecoderOnlyNetwork}[setting.model]
    return kind(inputs.facts["sizes"][setting.ids], **setting.sizes).to(device)


def _prepare(model: nn.Module, device: torch.device, compiled: bool) -> None:
    """Draw dropout and token masking on the device, and compile the blocks."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, ByteDropout):
                setattr(module, name, DeviceDropout(child.rate, device))
    model._embedded = types.MethodType(_embedded_on_device, model)
    if compiled:
        torch._dynamo.config.recompile_limit = 64
        blocks = model.blocks if isinstance(model, DecoderOnlyNetwork) else [*model.encoder, *model.decoder]
        for block in blocks:
            block.compile(dynamic=False)


class Trainer:
    """One training, in steps without synchronization with the device."""

    def __init__(
        self,
        name: str,
        setting: Setting,
        inputs: Inputs,
        device: torch.device,
        *,
        compiled: bool,
        validation: Searcher | None,
    ) -> None:
        self.name, self.setting, self.inputs, self.device = name, setting, inputs, device
        self.model = build(setting, inputs, device)
        self.averaged = build(setting, inputs, device).eval()  # the averaged weights, for validation
        _prepare(self.model, device, compiled)
        self.cuda = device.type == "cuda"
        self.stream = torch.cuda.Stream() if self.cuda else None
        self.weights = list(self.model.parameters())
        self.average = [weight.detach().clone() for weight in self.weights]
        self.rate = torch.tensor(setting.learning_rate, device=device)
        matrices = [weight for weight in self.weights if weight.ndim > 1]
        vectors = [weight for weight in self.weights if weight.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": setting.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=self.rate, betas=(0.9, 0.98), fused=self.cuda, capturable=self.cuda
        )
        self.tables, self.rows_per_epoch = self._tables()
        tokens = torch.zeros(inputs.items + 1, len(self.model.sizes), dtype=torch.int64)
        tokens[:-1] = torch.from_numpy(inputs.tokens[setting.ids])
        self.tokens = tokens.to(device)
        self.validation, self.budget, self.clock = validation, math.inf, time.monotonic()
        self.generator = torch.Generator().manual_seed(setting.seed + 1)
        self.loss = torch.zeros((), device=device)
        self.steps_per_epoch = sum(self._rows(table) // table.rows for table in self.tables)
        self.total = max(1, round(setting.epochs * self.steps_per_epoch))
        self.share = 1 / max(1.0, setting.weight_averaging * self.total)
        self.every = max(1, self.total // setting.evaluations)
        self.step, self.spent, self.epoch, self.pending = 0, 0.0, 0, []
        self.evaluations: list[dict[str, Any]] = []
        self.best: dict[str, Tensor] = {}
        self.best_step, self.logged, self.progress, self.next_progress = 0, 0, 0.0, 0.0
        self.chosen = [torch.zeros(table.rows, dtype=torch.int64, device=device) for table in self.tables]
        self.graphs: list[Any] = []

    def _tables(self) -> tuple[list[Table], int | None]:
        setting, most = self.setting, self.model.max_items
        if setting.model == "decoderonly":
            return padded(self.inputs, most, setting.batch, self.device)
        if self.model.block_causal:
            rows = max(1, round(setting.batch / most))
            return packed(self.inputs, most, rows, setting.seed, self.device)
        return prefixes(self.inputs, most, setting.batch, self.device)

    def _rows(self, table: Table) -> int:
        return self.rows_per_epoch or len(table.read)

    def _loss(self, table: Table, chosen: Tensor) -> Tensor:
        setting, model = self.setting, self.model
        read, write = table.read[chosen], table.write[chosen]
        real = write < self.inputs.items
        settings = {"label_smoothing": setting.label_smoothing, "token_masking": setting.token_masking}
        if setting.model == "decoderonly":
            return _decoderonly_losses(model, self.tokens[write], real, **settings).sum()
        if table.segments is not None:
            history, target = self.tokens[read], self.tokens[write]
            return model.sequence_losses(
                history, target, real, segments=table.segments[chosen], **settings
            ).sum()
        padding = (read == self.inputs.items)[..., None].expand(-1, -1, len(model.sizes))
        padding = padding.flatten(1)[:, None, None]  # (B, 1, 1, T·L)
        mask = torch.zeros(padding.shape, device=read.device).masked_fill(padding, -torch.inf)
        memory = model.encode_vectors(model._inputs(self.tokens[read], None, setting.token_masking), mask)
        return model.decode(
            memory, self.tokens[write[:, 0]], mask, label_smoothing=setting.label_smoothing
        ).sum()

    def _train(self, table: Table, chosen: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False):
            loss = self._loss(table, chosen)
        loss.backward()
        if self.setting.clip_norm:
            nn.utils.clip_grad_norm_(self.weights, self.setting.clip_norm, foreach=True)
        self.optimizer.step()
        torch._foreach_lerp_(self.average, [weight.detach() for weight in self.weights], self.share)
        self.loss += loss.detach()

    def capture(self) -> None:
        """Run each shape a few times, restore the weights, and record a CUDA graph of each."""
        if not self.cuda:
            return
        state = [weight.detach().clone() for weight in self.weights]
        with torch.cuda.stream(self.stream):
            self.rate.fill_(0.0)
            for table, chosen in zip(self.tables, self.chosen, strict=True):
                for _ in range(3):
                    self._train(table, chosen)
            self.stream.synchronize()
        for table, chosen in zip(self.tables, self.chosen, strict=True):
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self.stream):
                self._train(table, chosen)
            self.graphs.append(graph)
        torch.cuda.synchronize()
        with torch.no_grad():
            torch._foreach_copy_(self.weights, state)
            torch._foreach_copy_(self.average, state)
            for moments in self.optimizer.state.values():
                for tensor in moments.values():
                    tensor.zero_()
            self.loss.zero_()
        torch.cuda.synchronize()

    @property
    def done(self) -> bool:
        return self.progress >= 1

    def begin(self, seconds: float = math.inf) -> None:
        """Start the clock; the learning rate decays over the steps, or over `seconds` if these end first."""
        self.budget = self.spent + seconds
        self.clock = time.monotonic() - self.spent

    def advance(self, steps: int) -> None:
        """Queue some steps, and validate at regular intervals."""
        with torch.cuda.stream(self.stream) if self.stream else nullcontext():
            for _ in range(steps):
                self.spent = time.monotonic() - self.clock
                self.progress = max(self.step / self.total, self.spent / self.budget)
                if self.done:
                    break
                if self.progress >= self.next_progress and self.step:
                    self.next_progress = self.progress + 1 / self.setting.evaluations
                    self.validate()
                self._one()
            if self.done:
                self.validate()

    def _one(self) -> None:
        setting = self.setting
        if not self.pending:
            self.pending = self._epoch()
            self.epoch += 1
        which, rows = self.pending.pop()
        ahead = self.progress / setting.warmup if setting.warmup else 1.0
        wave = 0.5 * (1 + math.cos(math.pi * min(1, self.progress)))
        self.rate.fill_(setting.learning_rate * min(1.0, ahead + 1e-3) * wave)
        self.chosen[which].copy_(rows)
        if self.graphs:
            self.graphs[which].replay()
        else:
            self._train(self.tables[which], self.chosen[which])
        self.step += 1
        if self.step == min(
            self.steps_per_epoch, 4 / self.share
        ):  # restart the average without the initial weights
            torch._foreach_copy_(self.average, [weight.detach() for weight in self.weights])

    def _epoch(self) -> list[tuple[int, Tensor]]:
        """Return the batches of an epoch in random order."""
        batches = []
        for which, table in enumerate(self.tables):
            rows = self._rows(table)
            first = self.epoch % (len(table.read) // rows) * rows
            order = (torch.randperm(rows, generator=self.generator) + first).to(self.device)
            batches += [(which, part) for part in order.split(table.rows) if len(part) == table.rows]
        order = torch.randperm(len(batches), generator=self.generator).tolist()
        return [batches[index] for index in order]

    def validate(self) -> None:
        """Evaluate the averaged weights, and keep them if they are the best so far."""
        if self.validation is None:
            return
        with torch.no_grad():
            torch._foreach_copy_(list(self.averaged.parameters()), self.average)
        began = time.monotonic()
        with torch.autocast(self.device.type, torch.bfloat16):
            metrics = self.validation.metrics(self.averaged, self.setting.beam)
        mean = self.loss.item() / max(1, self.step - self.logged)
        self.loss.zero_()
        self.logged = self.step
        entry = {
            "step": self.step,
            "epoch": round(self.step / self.steps_per_epoch, 3),
            "loss": round(mean, 4),
            "metrics": {name: round(value, 5) for name, value in metrics.items()},
            "seconds": round(time.monotonic() - began, 3),
            "progress": round(self.progress, 4),
        }
        better = metrics["ndcg@10"] > max((e["metrics"]["ndcg@10"] for e in self.evaluations), default=-1.0)
        self.evaluations.append(entry)
        print(self.name, entry, flush=True)
        if better:
            self.best_step = self.step
            self.best = {name: tensor.clone() for name, tensor in self.averaged.state_dict().items()}

    def save(self, path: Path) -> None:
        state = {
            "weights": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict()["state"],
            "best": self.best,
            "generator": self.generator.get_state(),
            "pending": self.pending,
        }
        names = ("step", "spent", "epoch", "evaluations", "best_step", "logged", "progress", "next_progress")
        state |= {name: getattr(self, name) for name in names}
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint; the tensors of the graphs stay in place."""
        state = torch.load(path, map_location=self.device, weights_only=False)
        with torch.no_grad():
            self.model.load_state_dict(state.pop("weights"))
            torch._foreach_copy_(self.average, state.pop("average"))
        moments = state.pop("optimizer")
        for index, weight in enumerate(w for group in self.optimizer.param_groups for w in group["params"]):
            if index not in moments:  # saved before the first step
                continue
            if self.graphs:
                for name, tensor in self.optimizer.state[weight].items():
                    tensor.copy_(moments[index][name])
            else:
                self.optimizer.state[weight] = dict(moments[index])
        self.generator.set_state(state.pop("generator").cpu())
        for name, value in state.items():
            setattr(self, name, value)


def _decoderonly_losses(model, events: Tensor, real: Tensor, *, label_smoothing: float, token_masking: float):
    """Return the losses of `DecoderOnlyNetwork.forward` without shapes that depend on the data."""
    x = model.dropout(model._sequence(events, token_masking)[:, :-1])
    at = model._rotations(0, x.shape[1])
    for block in model.blocks:
        x = block(x, at)
    h = model.norm(x).unflatten(1, events.shape[1:]).flatten(0, 1)
    labels = events.masked_fill(~real[..., None], -100).flatten(0, 1)
    return model._losses(h, labels, label_smoothing)


def flops_of_an_epoch(trainer: Trainer) -> tuple[int, int]:
    """Count the operations and tokens of a pass over the data, as `step_flops` does."""
    operations = tokens = 0
    model, levels = trainer.model, len(trainer.model.sizes)
    for table in trainer.tables:
        rows = trainer._rows(table)
        read, write = table.read[:rows].cpu(), table.write[:rows].cpu()
        real = write < trainer.inputs.items
        if table.segments is not None:
            _, lengths = torch.unique(table.segments[:rows].cpu()[real], return_counts=True)
        elif trainer.setting.model == "decoderonly":
            lengths = real.sum(1)
        else:
            for length in range(1, read.shape[1] + 1):
                users = int(((read < trainer.inputs.items).sum(1) == length).sum())
                if users:
                    one = torch.ones(users, dtype=torch.int64)
                    history = torch.zeros(users, length, levels, dtype=torch.int64)
                    operations += step_flops(model, Batch(history, one, one, 1.0, one, 0))
                    tokens += users * (length + 1) * levels
            continue
        empty = torch.zeros(len(lengths), 1, dtype=torch.int64)
        operations += step_flops(model, Batch(empty, empty, empty, 1.0, lengths, 0))
        both = 1 if trainer.setting.model == "decoderonly" else 2
        tokens += int(lengths.sum()) * levels * both
    return operations, tokens
