"""Auxiliary losses in the training of RQ-VAE."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy.typing as npt

from sidkit.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["AuxiliaryLoss", "CodebookLoss", "LatentLoss", "StatefulLoss", "check_auxiliary_losses"]


@runtime_checkable
class LatentLoss(Protocol):
    """Loss of latent vectors and reconstructions, such as LETTER's collaborative loss or that of CoST."""

    def parameters(self) -> "Iterable[nn.Parameter]":
        """Return the parameters to train with the autoencoder, as `torch.nn.Module` does; may be empty."""

    def __call__(
        self, rows: "Tensor", latent: "Tensor", quantized: "Tensor", reconstruction: "Tensor"
    ) -> "Tensor":
        """Compute the weighted loss, a scalar.

        Args:
            rows: int64 (batch,), rows of the vectors of `fit`.
            latent: float32 (batch, latent), output of the encoder.
            quantized: float32 (batch, latent), sums of codewords, with the gradient estimator of the
                reconstruction error. During warm-up epochs, the latent vectors.
            reconstruction: float32 (batch, dim), in standardized space.
        """


@runtime_checkable
class CodebookLoss(Protocol):
    """Loss of the codebooks, such as LETTER's diversity loss; not called during warm-up epochs.

    An object with `codebook_loss` is a `CodebookLoss`, whether or not it is callable.
    """

    def parameters(self) -> "Iterable[nn.Parameter]":
        """Return the parameters to train with the autoencoder; may be empty."""

    def codebook_loss(self, codebooks: "Sequence[Tensor]", codes: "Tensor") -> "Tensor":
        """Compute the weighted loss, a scalar.

        Args:
            codebooks: float32 (codes, latent), one per level.
            codes: int64 (batch, levels), codes of the batch.
        """


@runtime_checkable
class StatefulLoss(Protocol):
    """Additional methods of a loss with state besides its parameters.

    A training resumed from a checkpoint has the same result as an uninterrupted one only if the state is
    restored.
    """

    def begin(self) -> None:
        """Reset the state; called before the first batch of a training."""

    def state(self) -> Mapping[str, npt.NDArray[Any]]:
        """Return the state as named arrays; called between two epochs."""

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restore what `state` returned, or raise KeyError or ValueError."""


AuxiliaryLoss: TypeAlias = LatentLoss | CodebookLoss


def check_auxiliary_losses(terms: Sequence[AuxiliaryLoss]) -> tuple[AuxiliaryLoss, ...]:
    """Return the losses as a tuple, or raise ConfigError if an object is not a loss."""
    for number, term in enumerate(terms):
        if not callable(getattr(term, "parameters", None)) or not (
            callable(term) or isinstance(term, CodebookLoss)
        ):
            raise ConfigError(
                f"auxiliary_losses[{number}] is not a loss: expected parameters() and either __call__(rows, "
                "latent, quantized, reconstruction) or codebook_loss(codebooks, codes), got "
                f"{type(term).__name__}."
            )
    return tuple(terms)
