"""The training of an RQ-VAE, with torch."""

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sidkit.errors import ConfigError
from sidkit.quantize.extra_loss import CodebookLoss, ExtraLoss, StatefulLoss
from sidkit.quantize.perceptron import Perceptron
from sidkit.quantize.rqvae_checkpoint import Snapshot, identity_of, load_checkpoint
from sidkit.quantize.rqvae_codebooks import CodebookCare
from sidkit.quantize.rqvae_network import Losses, Network
from sidkit.quantize.tokenizer import Progress, Vectors
from sidkit.quantize.watchdog import Health, Watchdog

if TYPE_CHECKING:
    from sidkit.quantize.rqvae import RQVAE

__all__ = ["Learned", "Training"]

_WARM_UP = 0.05
_SECONDS_BETWEEN_CHECKPOINTS = 20.0


@dataclass(frozen=True)
class Learned:
    """What a training gives."""

    encoder: Perceptron
    decoder: Perceptron
    codebooks: list[Vectors]
    history: list[dict[str, float]]
    notes: tuple[str, ...]


class Training:
    """One training of an RQ-VAE on standardized vectors, float32 (n, dim).

    Every random choice depends on the seed and the epoch only, so a training that goes on from a checkpoint
    ends where an uninterrupted one does. That holds for extra losses too, if all that they keep is in their
    parameters or they are a `StatefulLoss`.
    """

    def __init__(self, settings: "RQVAE", x: Vectors, extra_losses: Sequence[ExtraLoss] = ()) -> None:
        self.settings = settings
        self.extra_losses = extra_losses
        self.x = torch.from_numpy(x)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.network = Network(settings, x.shape[1])
        self.parameters: dict[str, nn.Parameter] = dict(self.network.named_parameters())
        for number, term in enumerate(extra_losses):
            self.parameters |= {f"extra.{number}.{at}": one for at, one in enumerate(term.parameters())}
            if isinstance(term, StatefulLoss):
                term.begin()
        self.identity = identity_of(self)
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.care = CodebookCare(settings, self.network)
        self.watchdog = Watchdog(settings.on_collapse, [])
        self._distinct = len(np.unique(x.view(f"V{x.itemsize * x.shape[1]}")))
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        self._snapshot: Snapshot | None = None

    def run(self, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> Learned:
        """Train to the end; with `checkpoint`, go on from there and leave the state there now and then."""
        path = None if checkpoint is None else Path(checkpoint)
        if path is not None and path.exists():
            load_checkpoint(self, path)
        threads = torch.get_num_threads()
        try:
            torch.set_num_threads(self.settings.threads or threads)
            self._run(progress, path)
        except BaseException:  # an interrupt above all
            if path is not None and self._snapshot is not None:
                self._snapshot.save(path)
            raise
        finally:
            torch.set_num_threads(threads)
        if path is not None:
            path.unlink(missing_ok=True)
        return self._learned()

    def _run(self, progress: Progress | None, path: Path | None) -> None:
        saved, epochs = time.monotonic(), self.settings.epochs
        while self.epoch < epochs:
            figures, stop = self._one_epoch()
            # After a stop, the epochs that are left count as done.
            self.epoch = epochs if stop else self.epoch + 1
            self.history.append(figures)
            if path is not None:
                self._snapshot = Snapshot.take(self)
                if time.monotonic() - saved > _SECONDS_BETWEEN_CHECKPOINTS:
                    self._snapshot.save(path)
                    saved = time.monotonic()
            if progress is not None:
                progress(self.epoch, epochs, figures)

    def _one_epoch(self) -> tuple[dict[str, float], bool]:
        """The figures of an epoch, and whether training must stop."""
        plain = self.epoch < self.settings.plain_epochs
        if self.epoch == self.settings.plain_epochs:
            self.care.start(self._latents(), self.settings.seed)
        self.network.begin_epoch(self.epoch)
        order = np.random.default_rng([self.settings.seed, self.epoch]).permutation(len(self.x))
        codes = np.zeros((len(order), len(self.settings.sizes)), np.uint16)
        sums = np.zeros(2 + len(self.extra_losses))
        batches = np.array_split(order, max(1, round(len(order) / self.settings.batch_size)))
        for number, rows in enumerate(batches):
            self._set_rate(self.epoch + number / len(batches))
            losses, terms = self._step(torch.from_numpy(rows), plain)
            sums += [one.item() * len(rows) for one in terms]
            if not plain:
                self.care.after_step(losses)
                codes[rows] = losses.codes
        means = sums / len(order)
        figures = {"reconstruction": float(means[0]), "quantization": float(means[1])}
        figures |= {f"extra.{number}": float(mean) for number, mean in enumerate(means[2:])}
        return (figures, False) if plain else self._look_after(codes, figures)

    def _step(self, rows: Tensor, plain: bool) -> tuple[Losses, list[Tensor]]:
        batch = self.x[rows]
        losses = self.network.plain(batch) if plain else self.network(batch)
        extra = self._extra(rows, losses, plain)
        loss = losses.reconstruction + losses.codebook + self.settings.commitment * losses.commitment
        for one in extra:
            loss = loss + one
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return losses, [losses.reconstruction, losses.codebook, *extra]

    def _extra(self, rows: Tensor, losses: Losses, plain: bool) -> list[Tensor]:
        found = []
        for number, term in enumerate(self.extra_losses):
            if not isinstance(term, CodebookLoss):
                found.append(term(rows, losses.latent, losses.quantized, losses.reconstructed))
            elif plain:
                found.append(torch.zeros(()))
            else:
                codes = torch.from_numpy(losses.codes.astype(np.int64))
                found.append(term.codebook_loss(list(self.network.codebooks), codes))
            if found[-1].ndim or not torch.isfinite(found[-1]):
                raise ConfigError(
                    f"extra_losses[{number}] ({type(term).__name__}) must give a finite scalar, "
                    f"but in epoch {self.epoch} it gave {found[-1].detach()}"
                )
        return found

    def _look_after(
        self, codes: npt.NDArray[np.uint16], figures: dict[str, float]
    ) -> tuple[dict[str, float], bool]:
        """Set dead codes anew, and do what the watchdog says, after an epoch with these codes."""
        health = Health.of(codes, self.settings.sizes, self._distinct)
        figures |= {f"perplexity.{level}": value for level, value in enumerate(health.perplexities)}
        figures |= {"unique_rate": health.unique_rate, "reset": 0.0}
        action = self.watchdog.look(self.epoch, health)
        if action == "repair":
            # With another seed than at the start, or it would end in the same place.
            self.care.start(self._latents(), self.settings.seed + len(self.watchdog.notes))
            self._forget([np.arange(size) for size in self.settings.sizes])
        elif sum(health.dead) and self.settings.reset and action is None:
            revived = self.care.revive(codes, self._latents(), [self.settings.seed, self.epoch, 1])
            self._forget(revived)
            figures["reset"] = float(sum(map(len, revived)))
        return figures, action == "stop"

    def _forget(self, changed: list[npt.NDArray[np.intp]]) -> None:
        """Clear what the optimizer remembers of codewords that were set anew."""
        for codebook, rows in zip(self.network.codebooks, changed, strict=True):
            for moment in ("exp_avg", "exp_avg_sq"):
                if moment in self.optimizer.state.get(codebook, {}):
                    self.optimizer.state[codebook][moment][torch.from_numpy(rows)] = 0

    def _set_rate(self, epoch: float) -> None:
        part = epoch / self.settings.epochs
        rate = min(1.0, part / _WARM_UP + 1e-3) * (0.5 + 0.5 * math.cos(math.pi * part))
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * rate

    @torch.no_grad()
    def _latents(self) -> Vectors:
        return np.concatenate([self.network.encoder(part).numpy() for part in torch.split(self.x, 4096)])

    def _learned(self) -> Learned:
        encoder = Perceptron(_weights(self.network.encoder))
        codebooks = self.care.final(encoder(self.x.numpy()))
        decoder = Perceptron(_weights(self.network.decoder))
        return Learned(encoder, decoder, codebooks, self.history, tuple(self.watchdog.notes))


def _weights(layers: nn.Sequential) -> list[tuple[Vectors, Vectors]]:
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    return [(layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy()) for layer in linear]
