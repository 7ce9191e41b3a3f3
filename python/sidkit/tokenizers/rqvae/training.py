"""The training of an RQ-VAE, with torch."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sidkit.errors import ConfigError
from sidkit.tokenizers.base import Progress, Vectors
from sidkit.tokenizers.parts.perceptron import Perceptron
from sidkit.tokenizers.rqvae.auxiliary_loss import AuxiliaryLoss, CodebookLoss, StatefulLoss
from sidkit.tokenizers.rqvae.codebooks import CodebookCare
from sidkit.tokenizers.rqvae.network import Losses, Network
from sidkit.tokenizers.training.checkpoint import identity_of
from sidkit.tokenizers.training.collapse import CollapseCheck, Health, distinct_rows
from sidkit.tokenizers.training.epochs import (
    EpochTraining,
    forget_moments,
    linear_weights,
    risen_and_fallen,
)

if TYPE_CHECKING:
    from sidkit.tokenizers.rqvae.rqvae import RQVAE

__all__ = ["Learned", "Training"]


@dataclass(frozen=True)
class Learned:
    """What a training gives."""

    encoder: Perceptron
    decoder: Perceptron
    codebooks: list[Vectors]
    history: list[dict[str, float]]
    notes: tuple[str, ...]


class Training(EpochTraining):
    """One training of an RQ-VAE on standardized vectors, float32 (n, dim).

    Every random choice depends on the seed and the epoch only, so a training that goes on from a checkpoint
    ends where an uninterrupted one does. That holds for auxiliary losses too, if all that they keep is in their
    parameters or they are a `StatefulLoss`.
    """

    name = "sidkit.rqvae-checkpoint"

    def __init__(self, settings: "RQVAE", x: Vectors, auxiliary_losses: Sequence[AuxiliaryLoss] = ()) -> None:
        super().__init__()
        self.settings, self.epochs, self.threads = settings, settings.epochs, settings.threads
        self.auxiliary_losses = auxiliary_losses
        self.x = torch.from_numpy(x)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.network = Network(settings, x.shape[1])
        self.parameters: dict[str, nn.Parameter] = dict(self.network.named_parameters())
        for number, term in enumerate(auxiliary_losses):
            self.parameters |= {f"extra.{number}.{at}": one for at, one in enumerate(term.parameters())}
            if isinstance(term, StatefulLoss):
                term.begin()
        self.identity = identity_of(settings.settings(), [x, *_described(auxiliary_losses)])
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.care = CodebookCare(settings, self.network)
        self.collapse_check = CollapseCheck(settings.on_collapse, [])
        self._distinct = distinct_rows(x)

    def run(self, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> Learned:
        """Train to the end, see `train`."""
        self.train(progress, checkpoint)
        return self._learned()

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The running averages of the codebooks, and what auxiliary losses keep."""
        kept = self.care.state()
        for number, term in enumerate(self.auxiliary_losses):
            if isinstance(term, StatefulLoss):
                kept |= {f"term.{number}.{name}": array for name, array in term.state().items()}
        return kept

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `state` gave, or raise KeyError or ValueError."""
        self.care.restore(state)
        for number, term in enumerate(self.auxiliary_losses):
            if isinstance(term, StatefulLoss):
                term.restore(_below(f"term.{number}.", state))

    def _one_epoch(self) -> tuple[dict[str, float], bool]:
        """The figures of an epoch, and whether training must stop."""
        plain = self.epoch < self.settings.plain_epochs
        if self.epoch == self.settings.plain_epochs:
            self.care.start(self._latents(), self.settings.seed)
        self.network.begin_epoch(self.epoch)
        order = np.random.default_rng([self.settings.seed, self.epoch]).permutation(len(self.x))
        codes = np.zeros((len(order), len(self.settings.codebook_sizes)), np.uint16)
        sums = np.zeros(2 + len(self.auxiliary_losses))
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
        for number, term in enumerate(self.auxiliary_losses):
            if not isinstance(term, CodebookLoss):
                found.append(term(rows, losses.latent, losses.quantized, losses.reconstructed))
            elif plain:
                found.append(torch.zeros(()))
            else:
                codes = torch.from_numpy(losses.codes.astype(np.int64))
                found.append(term.codebook_loss(list(self.network.codebooks), codes))
            if found[-1].ndim or not torch.isfinite(found[-1]):
                raise ConfigError(
                    f"auxiliary_losses[{number}] ({type(term).__name__}) must give a finite scalar, "
                    f"but in epoch {self.epoch} it gave {found[-1].detach()}"
                )
        return found

    def _look_after(
        self, codes: npt.NDArray[np.uint16], figures: dict[str, float]
    ) -> tuple[dict[str, float], bool]:
        """Set dead codes anew, and do what the collapse_check says, after an epoch with these codes."""
        health = Health.of(codes, self.settings.codebook_sizes, self._distinct)
        figures |= {f"perplexity.{level}": value for level, value in enumerate(health.perplexities)}
        figures |= {"unique_rate": health.unique_rate, "reset": 0.0}
        action = self.collapse_check.look(self.epoch, health)
        if action == "repair":
            # With another seed than at the start, or it would end in the same place.
            self.care.start(self._latents(), self.settings.seed + len(self.collapse_check.notes))
            self._forget([np.arange(size) for size in self.settings.codebook_sizes])
        elif sum(health.dead) and self.settings.reset and action is None:
            revived = self.care.revive(codes, self._latents(), [self.settings.seed, self.epoch, 1])
            self._forget(revived)
            figures["reset"] = float(sum(map(len, revived)))
        return figures, action == "stop"

    def _forget(self, changed: list[npt.NDArray[np.intp]]) -> None:
        """Clear what the optimizer remembers of codewords that were set anew."""
        for codebook, rows in zip(self.network.codebooks, changed, strict=True):
            forget_moments(self.optimizer, codebook, rows)

    def _set_rate(self, epoch: float) -> None:
        rate = risen_and_fallen(epoch / self.settings.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * rate

    @torch.no_grad()
    def _latents(self) -> Vectors:
        return np.concatenate([self.network.encoder(part).numpy() for part in torch.split(self.x, 4096)])

    def _learned(self) -> Learned:
        encoder = Perceptron(linear_weights(self.network.encoder))
        codebooks = self.care.final(encoder(self.x.numpy()))
        decoder = Perceptron(linear_weights(self.network.decoder))
        return Learned(encoder, decoder, codebooks, self.history, tuple(self.collapse_check.notes))


def _described(auxiliary_losses: Sequence[AuxiliaryLoss]) -> Iterator[npt.NDArray[Any] | str]:
    for term in auxiliary_losses:
        yield type(term).__qualname__
        yield from (parameter.detach().numpy() for parameter in term.parameters())


def _below(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
