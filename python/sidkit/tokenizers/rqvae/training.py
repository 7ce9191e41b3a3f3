"""Training of RQ-VAE."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sidkit._progress import Progress
from sidkit.errors import ConfigError
from sidkit.tokenizers.parts.arrays import Vectors
from sidkit.tokenizers.parts.perceptron import Perceptron
from sidkit.tokenizers.rqvae.auxiliary_loss import AuxiliaryLoss, CodebookLoss, StatefulLoss
from sidkit.tokenizers.rqvae.codebooks import CodebookMaintenance
from sidkit.tokenizers.rqvae.network import Losses, Network
from sidkit.tokenizers.rqvae.options import AutoencoderSettings
from sidkit.tokenizers.training.collapse import CollapseCheck, Health, distinct_rows
from sidkit.tokenizers.training.epochs import (
    EpochTraining,
    forget_moments,
    identity_of,
    linear_weights,
    rate_schedule,
)

__all__ = ["Learned", "Training"]


@dataclass(frozen=True)
class Learned:
    """Result of a training."""

    encoder: Perceptron
    decoder: Perceptron
    codebooks: list[Vectors]
    history: list[dict[str, float]]
    notes: tuple[str, ...]


class Training(EpochTraining):
    """Training of RQ-VAE on standardized vectors, float32 (n, dim).

    Every random choice depends on the seed and the epoch alone, so a training resumed from a checkpoint has
    the same result as an uninterrupted one. This includes auxiliary losses whose state is in their parameters
    or that implement `StatefulLoss`.
    """

    name = "sidkit.rqvae-checkpoint"

    def __init__(
        self, settings: AutoencoderSettings, x: Vectors, auxiliary_losses: Sequence[AuxiliaryLoss] = ()
    ) -> None:
        super().__init__()
        self.settings, self.epochs, self.threads = settings, settings.epochs, settings.threads
        self.auxiliary_losses = auxiliary_losses
        self.x = torch.from_numpy(x)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.network = Network(
                x.shape[1],
                settings.codebook_sizes,
                latent_dim=settings.latent_dim,
                hidden_dims=settings.hidden_dims,
                trainable_codebooks=settings.ema_decay is None,
                rotation=settings.rotation,
                gumbel_temperature=settings.gumbel_temperature,
                epochs=settings.epochs,
                balanced_levels=settings.balanced_levels,
                sinkhorn_epsilon=settings.sinkhorn_epsilon,
                seed=settings.seed,
                threads=settings.threads,
            )
        self.parameters: dict[str, nn.Parameter] = dict(self.network.named_parameters())
        for number, term in enumerate(auxiliary_losses):
            self.parameters |= {f"auxiliary.{number}.{at}": one for at, one in enumerate(term.parameters())}
            if isinstance(term, StatefulLoss):
                term.begin()
        self.identity = identity_of(asdict(settings), [x, *_described(auxiliary_losses)])
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.maintenance = CodebookMaintenance(settings, self.network)
        self.collapse_check = CollapseCheck(settings.on_collapse, [])
        self._distinct = distinct_rows(x)

    def run(self, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> Learned:
        """Run the training, see `train`."""
        self.train(progress, checkpoint)
        return self._learned()

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the moving averages of the codebooks and the state of auxiliary losses."""
        kept = self.maintenance.state()
        for number, term in enumerate(self.auxiliary_losses):
            if isinstance(term, StatefulLoss):
                kept |= {f"term.{number}.{name}": array for name, array in term.state().items()}
        return kept

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restore what `state` returned, or raise KeyError or ValueError."""
        self.maintenance.restore(state)
        for number, term in enumerate(self.auxiliary_losses):
            if isinstance(term, StatefulLoss):
                term.restore(_below(f"term.{number}.", state))

    def _one_epoch(self) -> tuple[dict[str, float], bool]:
        """Train one epoch; return its figures and True if training must stop."""
        warmup = self.epoch < self.settings.warmup_epochs
        if self.epoch == self.settings.warmup_epochs:
            self.maintenance.initialize(self._latents(), self.settings.seed)
        self.network.begin_epoch(self.epoch)
        order = np.random.default_rng([self.settings.seed, self.epoch]).permutation(len(self.x))
        codes = np.zeros((len(order), len(self.settings.codebook_sizes)), np.uint16)
        sums = np.zeros(2 + len(self.auxiliary_losses))
        batches = np.array_split(order, max(1, round(len(order) / self.settings.batch_size)))
        for number, rows in enumerate(batches):
            self._set_rate(self.epoch + number / len(batches))
            losses, terms = self._step(torch.from_numpy(rows), warmup)
            sums += [one.item() * len(rows) for one in terms]
            if not warmup:
                self.maintenance.after_step(losses)
                codes[rows] = losses.codes
        means = sums / len(order)
        figures = {"reconstruction": float(means[0]), "quantization": float(means[1])}
        figures |= {f"auxiliary.{number}": float(mean) for number, mean in enumerate(means[2:])}
        return (figures, False) if warmup else self._end_epoch(codes, figures)

    def _step(self, rows: Tensor, warmup: bool) -> tuple[Losses, list[Tensor]]:
        batch = self.x[rows]
        losses = self.network.autoencode(batch) if warmup else self.network(batch)
        auxiliary = self._auxiliary(rows, losses, warmup)
        loss = losses.reconstruction + losses.codebook + self.settings.commitment * losses.commitment
        for one in auxiliary:
            loss = loss + one
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return losses, [losses.reconstruction, losses.codebook, *auxiliary]

    def _auxiliary(self, rows: Tensor, losses: Losses, warmup: bool) -> list[Tensor]:
        found = []
        for number, term in enumerate(self.auxiliary_losses):
            if not isinstance(term, CodebookLoss):
                found.append(term(rows, losses.latent, losses.quantized, losses.reconstructed))
            elif warmup:
                found.append(torch.zeros(()))
            else:
                codes = torch.from_numpy(losses.codes.astype(np.int64))
                found.append(term.codebook_loss(list(self.network.codebooks), codes))
            if found[-1].ndim or not torch.isfinite(found[-1]):
                raise ConfigError(
                    f"auxiliary_losses[{number}] ({type(term).__name__}) is invalid in epoch {self.epoch}: "
                    f"expected a finite scalar, got {found[-1].detach()}."
                )
        return found

    def _end_epoch(
        self, codes: npt.NDArray[np.uint16], figures: dict[str, float]
    ) -> tuple[dict[str, float], bool]:
        """Revive dead codes and check for a collapse, after an epoch with these codes."""
        health = Health.of(codes, self.settings.codebook_sizes, self._distinct)
        figures |= {f"perplexity.{level}": value for level, value in enumerate(health.perplexities)}
        figures |= {"unique_rate": health.unique_rate, "revived": 0.0}
        action = self.collapse_check.update(self.epoch, health)
        if action == "repair":
            # With another seed than before, or the result would be the same.
            self.maintenance.initialize(self._latents(), self.settings.seed + len(self.collapse_check.notes))
            self._forget([np.arange(size) for size in self.settings.codebook_sizes])
        elif sum(health.dead) and self.settings.revive_dead_codes and action is None:
            revived = self.maintenance.revive(codes, self._latents(), [self.settings.seed, self.epoch, 1])
            self._forget(revived)
            figures["revived"] = float(sum(map(len, revived)))
        return figures, action == "stop"

    def _forget(self, changed: list[npt.NDArray[np.intp]]) -> None:
        """Clear the optimizer state of codewords that were reinitialized."""
        for codebook, rows in zip(self.network.codebooks, changed, strict=True):
            forget_moments(self.optimizer, codebook, rows)

    def _set_rate(self, epoch: float) -> None:
        rate = rate_schedule(epoch / self.settings.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * rate

    @torch.no_grad()
    def _latents(self) -> Vectors:
        return np.concatenate([self.network.encoder(part).numpy() for part in torch.split(self.x, 4096)])

    def _learned(self) -> Learned:
        encoder = Perceptron(linear_weights(self.network.encoder))
        codebooks = self.maintenance.final(encoder(self.x.numpy()))
        decoder = Perceptron(linear_weights(self.network.decoder))
        return Learned(encoder, decoder, codebooks, self.history, tuple(self.collapse_check.notes))


def _described(auxiliary_losses: Sequence[AuxiliaryLoss]) -> Iterator[npt.NDArray[Any] | str]:
    for term in auxiliary_losses:
        yield type(term).__qualname__
        yield from (parameter.detach().numpy() for parameter in term.parameters())


def _below(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
