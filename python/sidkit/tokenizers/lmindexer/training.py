"""The training of an LMIndexer, level after level, with torch."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sidkit._core import assign_codes
from sidkit.tokenizers.base import Progress, Vectors
from sidkit.tokenizers.lmindexer.network import Losses, Network
from sidkit.tokenizers.parts.kmeans import kmeans, level_seed
from sidkit.tokenizers.parts.perceptron import Perceptron
from sidkit.tokenizers.parts.word_bags import Bags
from sidkit.tokenizers.training.checkpoint import identity_of
from sidkit.tokenizers.training.collapse import CollapseCheck, Health, distinct_rows
from sidkit.tokenizers.training.epochs import (
    EpochTraining,
    forget_moments,
    linear_weights,
    risen_and_fallen,
)

if TYPE_CHECKING:
    from sidkit.tokenizers.lmindexer.lmindexer import LMIndexer

__all__ = ["Learned", "Training"]

#: Learning rate of the map, as a part of that of the others. It starts from vectors that know more of
#: language than some thousand texts can teach; those may bend it, not replace it.
_MAP_RATE = 0.1
_ITERATIONS = 10


@dataclass(frozen=True)
class Learned:
    """What a training gives."""

    map: Perceptron
    codebooks: list[Vectors]
    reader: Perceptron
    history: list[dict[str, float]]
    notes: tuple[str, ...]


class Training(EpochTraining):
    """One training on standardized vectors, float32 (n, dim), and the bags of their texts.

    First come `plain_epochs` that read the words of latents, then `level_epochs` for each level.
    """

    name = "sidkit.lmindexer-checkpoint"

    def __init__(self, settings: "LMIndexer", x: Vectors, bags: Bags, terms: int) -> None:
        super().__init__()
        self.settings, self.threads = settings, settings.threads
        self.epochs = settings.plain_epochs + settings.levels * settings.level_epochs
        self.x, self.bags, self.terms = torch.from_numpy(x), bags, terms
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.network = Network(settings, x, terms)
        self.parameters = dict(self.network.named_parameters())
        self.identity = identity_of(settings.settings(), [x, bags.starts, bags.terms, bags.weights])
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
        #: uint16 (n, levels), of the levels that are done.
        self.tokens = np.zeros((len(x), settings.levels), np.uint16)
        self._begun = 0
        self._distinct = distinct_rows(x)

    def run(self, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> Learned:
        """Train to the end, see `train`."""
        self.train(progress, checkpoint)
        linear = Perceptron(linear_weights(self.network.map))
        reader = Perceptron(linear_weights(self.network.reader))
        codebooks = self._final(linear(self.x.numpy()))
        return Learned(linear, codebooks, reader, self.history, tuple(self.collapse_check.notes))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The tokens of the levels that are done, how many have begun, and the network's temperatures."""
        return {
            "tokens": self.tokens,
            "begun": np.array([self._begun]),
            "temperatures": np.array(self.network.temperatures),
        }

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `state` gave, or raise KeyError or ValueError."""
        self.tokens[:] = state["tokens"]
        (self._begun,) = state["begun"].tolist()
        temperatures = np.broadcast_to(state["temperatures"], len(self.settings.codebook_sizes))
        self.network.temperatures = temperatures.tolist()

    def _one_epoch(self) -> tuple[dict[str, float], bool]:
        """The figures of an epoch, and whether training must stop."""
        plain = self.settings.plain_epochs
        if self.epoch < plain:
            return self._pass(-1, self.epoch / plain, 1 / plain)[0], False
        level, done = divmod(self.epoch - plain, self.settings.level_epochs)
        if not done:
            self._finish(level)
            self._start(level, self.settings.seed)
        length = self.settings.level_epochs
        figures, codes = self._pass(level, done / length, 1 / length)
        stop = self._look_after(level, codes, figures)
        if stop:
            self._begun = level  # its codebook has collapsed, so it is not one to go on from
        return figures, stop

    def _pass(
        self, level: int, part: float, length: float
    ) -> tuple[dict[str, float], npt.NDArray[np.uint16]]:
        """Train one epoch of a level, or plainly if it is -1, from a part of its stage on.

        Returns:
            Mean losses, and the codes of the level, uint16 (n,).
        """
        self.network.begin_epoch(self.epoch)
        codes = np.zeros(len(self.x), np.uint16)
        sums = np.zeros(4)
        batches = self._batches(level)
        for number, rows in enumerate(batches):
            self._set_rate(part + length * number / len(batches))
            losses = self._step(rows, level, self.settings.hints * (1 - part))
            found = (losses.words, losses.quantization, losses.contrast, losses.commitment)
            sums += [one.item() * len(rows) for one in found]
            if level >= 0:
                codes[rows] = losses.codes
        names = ("words", "quantization", "contrast", "commitment")
        figures = {"level": float(level)} | dict(zip(names, (sums / len(codes)).tolist(), strict=True))
        return figures, codes

    def _step(self, rows: npt.NDArray[np.intp], level: int, hinted: float) -> Losses:
        x, bags = self.x[torch.from_numpy(rows)], torch.from_numpy(self.bags.dense(rows, self.terms))
        if level < 0:
            losses = self.network.plain(x, bags, hinted)
        else:
            tokens = torch.from_numpy(self.tokens[rows, :level].astype(np.int64))
            losses = self.network(x, bags, hinted, tokens)
        loss = losses.words + losses.quantization + self.settings.contrast * losses.contrast
        loss = loss + self.settings.commitment * losses.commitment
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return losses

    def _batches(self, level: int) -> list[npt.NDArray[np.intp]]:
        """The rows of each step. Items that share a prefix are in one batch, or the contrast misses them."""
        rng = np.random.default_rng([self.settings.seed, self.epoch])
        order = rng.permutation(len(self.x))
        if level > 0:
            groups = np.zeros(len(order), np.int64)
            for column, size in zip(self.tokens[:, :level].T, self.settings.codebook_sizes, strict=False):
                groups = np.unique(groups * size + column, return_inverse=True)[1]
            places = rng.permutation(groups.max() + 1)[groups]
            order = order[np.argsort(places[order], kind="stable")]
        batches = np.array_split(order, max(1, round(len(order) / self.settings.batch_size)))
        return [batches[number] for number in rng.permutation(len(batches))]

    def _finish(self, level: int) -> None:
        """Write down the tokens of the levels before `level`, as the exact kernel has them now."""
        if level:
            tables = [self._table(earlier) for earlier in range(level)]
            self.tokens[:, :level] = assign_codes(self._latents(), tables, threads=self.threads)

    def _start(self, level: int, seed: int) -> None:
        """Set the codebook of a level anew, from what the levels before leave over."""
        residual, size = self._residuals(level), self.settings.codebook_sizes[level]
        if self.settings.kmeans_start:
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

    def _look_after(self, level: int, codes: npt.NDArray[np.uint16], figures: dict[str, float]) -> bool:
        """Set dead codes anew, and do what the collapse_check says, after an epoch with these codes.

        Returns:
            Whether training must stop.
        """
        so_far = np.column_stack([self.tokens[:, :level], codes])
        health = Health.of(so_far, self.settings.codebook_sizes[: level + 1], self._distinct)
        figures |= {"perplexity": health.perplexities[-1], "unique_rate": health.unique_rate, "reset": 0.0}
        action = self.collapse_check.look(self.epoch, health)
        if action == "repair":
            # With another seed than at the start, or it would end in the same place.
            self._start(level, self.settings.seed + len(self.collapse_check.notes))
        elif health.dead[-1] and self.settings.reset and action is None:
            residual = self._residuals(level)
            dead = np.setdiff1d(np.arange(self.settings.codebook_sizes[level]), codes)
            rng = np.random.default_rng([self.settings.seed, self.epoch, 1])
            self._put(level, dead, residual[rng.choice(len(residual), len(dead), replace=False)])
            figures["reset"] = float(len(dead))
        return action == "stop"

    def _final(self, latents: Vectors) -> list[Vectors]:
        """The codebooks that the tokenizer keeps, for the latents of its finished map.

        The map has moved a little since a level was done. A few rounds of k-means from the trained codewords
        bring them to the middle of the items they stand for, and tokens keep their meaning. Levels that a
        stopped training has not reached start anew.
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
                    start=table if level < self._begun else "bisect",
                    threads=self.threads,
                )
            found.append(table)
            residual = residual - table[assign_codes(residual, [table], threads=self.threads)[:, 0]]
        return found

    def _residuals(self, level: int) -> Vectors:
        """What the levels before `level` leave over of the latents, float32 (n, components)."""
        residual = self._latents()
        for earlier in range(level):
            residual -= self._table(earlier)[self.tokens[:, earlier]]
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
        """Set some codewords of a level, which the optimizer then knows nothing of."""
        self._codebook(level)[torch.as_tensor(rows)] = torch.from_numpy(words)
        forget_moments(self.optimizer, self._codebook(level), rows)

    def _set_rate(self, part: float) -> None:
        rate = self.settings.learning_rate * risen_and_fallen(part)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["part"]
