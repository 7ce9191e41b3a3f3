"""Training of LMIndexer, level by level."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sidkit._core import assign_codes
from sidkit._progress import Progress
from sidkit.tokenizers.lmindexer.network import Losses, Network
from sidkit.tokenizers.lmindexer.options import LMIndexerSettings
from sidkit.tokenizers.parts.arrays import Vectors
from sidkit.tokenizers.parts.kmeans import kmeans, level_seed
from sidkit.tokenizers.parts.perceptron import Perceptron
from sidkit.tokenizers.parts.word_bags import Bags
from sidkit.tokenizers.training.collapse import CollapseCheck, Health, distinct_rows
from sidkit.tokenizers.training.epochs import (
    EpochTraining,
    forget_moments,
    identity_of,
    linear_weights,
    rate_schedule,
)

__all__ = ["Learned", "Training"]

#: Learning rate of the map relative to the others. It is initialized from embeddings of a language model,
#: which a few thousand texts may adapt but not replace.
_MAP_RATE = 0.1
_ITERATIONS = 10


@dataclass(frozen=True)
class Learned:
    """Result of a training."""

    map: Perceptron
    codebooks: list[Vectors]
    reader: Perceptron
    history: list[dict[str, float]]
    notes: tuple[str, ...]


class Training(EpochTraining):
    """Training of LMIndexer on standardized vectors, float32 (n, dim), and the bags of their texts.

    `warmup_epochs` predict words from latent vectors; then follow `epochs_per_level` for each level.
    """

    name = "sidkit.lmindexer-checkpoint"

    def __init__(self, settings: LMIndexerSettings, x: Vectors, bags: Bags, terms: int) -> None:
        super().__init__()
        self.settings, self.threads = settings, settings.threads
        levels = len(settings.codebook_sizes)
        self.epochs = settings.warmup_epochs + levels * settings.epochs_per_level
        self.x, self.bags, self.terms = torch.from_numpy(x), bags, terms
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.network = Network(
                x,
                terms,
                codebook_sizes=settings.codebook_sizes,
                latent_dim=settings.latent_dim,
                seed=settings.seed,
                threads=settings.threads,
            )
        self.parameters = dict(self.network.named_parameters())
        self.identity = identity_of(asdict(settings), [x, bags.starts, bags.terms, bags.weights])
        moved = [one for name, one in self.parameters.items() if name.startswith("map.")]
        free = [one for name, one in self.parameters.items() if name.startswith(("reader.", "hints."))]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": moved, "part": _MAP_RATE, "weight_decay": 0.0},
                {"params": free, "part": 1.0, "weight_decay": settings.weight_decay},
                {"params": list(self.network.codebooks), "part": 1.0, "weight_decay": 0.0},
            ]
        )
        self.collapse_check = CollapseCheck(settings.on_collapse, [])
        #: uint16 (n, levels), codes of the finished levels.
        self.codes = np.zeros((len(x), levels), np.uint16)
        self._begun = 0
        self._distinct = distinct_rows(x)

    def run(self, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> Learned:
        """Run the training, see `train`."""
        self.train(progress, checkpoint)
        linear = Perceptron(linear_weights(self.network.map))
        reader = Perceptron(linear_weights(self.network.reader))
        codebooks = self._final(linear(self.x.numpy()))
        return Learned(linear, codebooks, reader, self.history, tuple(self.collapse_check.notes))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the codes of finished levels, the number of begun levels, and the temperatures."""
        return {
            "codes": self.codes,
            "begun": np.array([self._begun]),
            "temperatures": np.array(self.network.temperatures),
        }

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restore what `state` returned, or raise KeyError or ValueError."""
        self.codes[:] = state["codes"]
        (self._begun,) = state["begun"].tolist()
        temperatures = np.broadcast_to(state["temperatures"], len(self.settings.codebook_sizes))
        self.network.temperatures = temperatures.tolist()

    def _one_epoch(self) -> tuple[dict[str, float], bool]:
        """Train one epoch; return its figures and True if training must stop."""
        warmup = self.settings.warmup_epochs
        if self.epoch < warmup:
            return self._pass(-1, self.epoch / warmup, 1 / warmup)[0], False
        level, done = divmod(self.epoch - warmup, self.settings.epochs_per_level)
        if not done:
            self._finish(level)
            self._initialize(level, self.settings.seed)
        length = self.settings.epochs_per_level
        figures, codes = self._pass(level, done / length, 1 / length)
        stop = self._end_epoch(level, codes, figures)
        if stop:
            self._begun = level  # its collapsed codebook must not initialize the final one
        return figures, stop

    def _pass(
        self, level: int, part: float, length: float
    ) -> tuple[dict[str, float], npt.NDArray[np.uint16]]:
        """Train one epoch of a level, or of the warm-up if it is -1.

        Args:
            level: the level.
            part: completed share of its epochs.
            length: share of one epoch.

        Returns:
            Mean losses, and the codes of the level, uint16 (n,).
        """
        self.network.begin_epoch(self.epoch)
        codes = np.zeros(len(self.x), np.uint16)
        sums = np.zeros(4)
        batches = self._batches(level)
        for number, rows in enumerate(batches):
            self._set_rate(part + length * number / len(batches))
            losses = self._step(rows, level, self.settings.hint_rate * (1 - part))
            found = (losses.words, losses.quantization, losses.contrastive, losses.commitment)
            sums += [one.item() * len(rows) for one in found]
            if level >= 0:
                codes[rows] = losses.codes
        names = ("words", "quantization", "contrastive", "commitment")
        figures = {"level": float(level)} | dict(zip(names, (sums / len(codes)).tolist(), strict=True))
        return figures, codes

    def _step(self, rows: npt.NDArray[np.intp], level: int, hinted: float) -> Losses:
        x, bags = self.x[torch.from_numpy(rows)], torch.from_numpy(self.bags.dense(rows, self.terms))
        if level < 0:
            losses = self.network.read(x, bags, hinted)
        else:
            prefix = torch.from_numpy(self.codes[rows, :level].astype(np.int64))
            losses = self.network(x, bags, hinted, prefix)
        loss = losses.words + losses.quantization + self.settings.contrastive_weight * losses.contrastive
        loss = loss + self.settings.commitment * losses.commitment
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return losses

    def _batches(self, level: int) -> list[npt.NDArray[np.intp]]:
        """Rows of each step; items with one prefix share a batch, as the contrastive loss requires."""
        rng = np.random.default_rng([self.settings.seed, self.epoch])
        order = rng.permutation(len(self.x))
        if level > 0:
            groups = np.zeros(len(order), np.int64)
            for column, size in zip(self.codes[:, :level].T, self.settings.codebook_sizes, strict=False):
                groups = np.unique(groups * size + column, return_inverse=True)[1]
            places = rng.permutation(groups.max() + 1)[groups]
            order = order[np.argsort(places[order], kind="stable")]
        batches = np.array_split(order, max(1, round(len(order) / self.settings.batch_size)))
        return [batches[number] for number in rng.permutation(len(batches))]

    def _finish(self, level: int) -> None:
        """Fix the codes of the levels before `level`, by exact assignment."""
        if level:
            tables = [self._table(earlier) for earlier in range(level)]
            self.codes[:, :level] = assign_codes(self._latents(), tables, threads=self.threads)

    def _initialize(self, level: int, seed: int) -> None:
        """Initialize the codebook of a level from the residuals of the levels before."""
        residual, size = self._residuals(level), self.settings.codebook_sizes[level]
        if self.settings.kmeans_init:
            table = kmeans(
                residual, size, iterations=_ITERATIONS, seed=level_seed(seed, level), threads=self.threads
            )
        else:
            rng = np.random.default_rng([seed, level, 2])
            table = residual[rng.choice(len(residual), size, replace=False)]
        self._put(level, np.arange(size), table)
        left = residual - table[assign_codes(residual, [table], threads=self.threads)[:, 0]]
        spread = np.square(residual, dtype=np.float64).sum(axis=1).mean()
        error = np.square(left, dtype=np.float64).sum(axis=1).mean()
        self.network.temperatures[level] = float(max(error, 1e-3 * spread, 1e-9))
        self._begun = level + 1

    def _end_epoch(self, level: int, codes: npt.NDArray[np.uint16], figures: dict[str, float]) -> bool:
        """Revive dead codes and check for a collapse, after an epoch with these codes.

        Returns:
            True if training must stop.
        """
        so_far = np.column_stack([self.codes[:, :level], codes])
        health = Health.of(so_far, self.settings.codebook_sizes[: level + 1], self._distinct)
        figures |= {"perplexity": health.perplexities[-1], "unique_rate": health.unique_rate, "revived": 0.0}
        action = self.collapse_check.update(self.epoch, health)
        if action == "repair":
            # With another seed than before, or the result would be the same.
            self._initialize(level, self.settings.seed + len(self.collapse_check.notes))
        elif health.dead[-1] and self.settings.revive_dead_codes and action is None:
            residual = self._residuals(level)
            dead = np.setdiff1d(np.arange(self.settings.codebook_sizes[level]), codes)
            rng = np.random.default_rng([self.settings.seed, self.epoch, 1])
            self._put(level, dead, residual[rng.choice(len(residual), len(dead), replace=False)])
            figures["revived"] = float(len(dead))
        return action == "stop"

    def _final(self, latents: Vectors) -> list[Vectors]:
        """Compute the final codebooks for the latent vectors of the trained map.

        The map has moved since a level was finished. A few iterations of k-means from the trained codewords
        move these to the means of their items, and codes keep their meaning. Levels that a stopped training
        has not reached are initialized by k-means.
        """
        residual, found = latents, []
        for level, size in enumerate(self.settings.codebook_sizes):
            table = self._table(level)
            if level >= self._begun or self.settings.refit:
                table = kmeans(
                    residual,
                    size,
                    iterations=_ITERATIONS,
                    seed=level_seed(self.settings.seed, level),
                    init=table if level < self._begun else "bisect",
                    threads=self.threads,
                )
            found.append(table)
            residual = residual - table[assign_codes(residual, [table], threads=self.threads)[:, 0]]
        return found

    def _residuals(self, level: int) -> Vectors:
        """Residuals of the latent vectors after the levels before `level`, float32 (n, latent)."""
        residual = self._latents()
        for earlier in range(level):
            residual -= self._table(earlier)[self.codes[:, earlier]]
        return residual

    @torch.no_grad()
    def _latents(self) -> Vectors:
        return np.concatenate([self.network.map(part).numpy() for part in torch.split(self.x, 4096)])

    def _table(self, level: int) -> Vectors:
        return self._codebook(level).detach().numpy().copy()

    def _codebook(self, level: int) -> nn.Parameter:
        codebook: nn.Parameter = list(self.network.codebooks)[level]
        return codebook

    @torch.no_grad()
    def _put(self, level: int, rows: Sequence[int] | npt.NDArray[np.intp], words: Vectors) -> None:
        """Set some codewords of a level and clear their optimizer state."""
        self._codebook(level)[torch.as_tensor(rows)] = torch.from_numpy(words)
        forget_moments(self.optimizer, self._codebook(level), rows)

    def _set_rate(self, part: float) -> None:
        rate = self.settings.learning_rate * rate_schedule(part)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["part"]
