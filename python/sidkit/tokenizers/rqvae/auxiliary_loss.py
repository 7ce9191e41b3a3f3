"""Losses of one's own in the training of an RQ-VAE."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy.typing as npt

from sidkit.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["AuxiliaryLoss", "CodebookLoss", "LatentLoss", "StatefulLoss", "check_auxiliary_losses"]


@runtime_checkable
class LatentLoss(Protocol):
    """A loss of a batch's latent vectors and reconstruction, such as LETTER's collaborative or CoST's."""

    def parameters(self) -> "Iterable[nn.Parameter]":
        """What is trained along with the autoencoder; may be empty. A `torch.nn.Module` has it already."""

    def __call__(
        self, rows: "Tensor", latent: "Tensor", quantized: "Tensor", reconstruction: "Tensor"
    ) -> "Tensor":
        """The loss, already weighted: a scalar that is added to the others.

        Args:
            rows: int64 (batch,), which rows of the vectors given to `fit` these are.
            latent: float32 (batch, latent), of the encoder.
            quantized: float32 (batch, latent), sums of codewords; gradients pass through to the encoder as
                those of the reconstruction error do. While training is without quantization, the latents.
            reconstruction: float32 (batch, dim), in standardized space.
        """


@runtime_checkable
class CodebookLoss(Protocol):
    """A loss of the codebooks, such as LETTER's diversity loss; not asked while there are no codes yet.

    A term that has `codebook_loss` is taken for this, whether or not it can be called.
    """

    def parameters(self) -> "Iterable[nn.Parameter]":
        """What is trained along with the autoencoder; may be empty."""

    def codebook_loss(self, codebooks: "Sequence[Tensor]", codes: "Tensor") -> "Tensor":
        """The loss, already weighted: a scalar that is added to the others.

        Args:
            codebooks: float32 (codes, latent), one a level.
            codes: int64 (batch, levels), what the batch has chosen of them.
        """


@runtime_checkable
class StatefulLoss(Protocol):
    """What a loss of either kind has besides, if it keeps more than its parameters from batch to batch.

    A training that goes on from a checkpoint ends where an uninterrupted one does only if it gets that back.
    """

    def begin(self) -> None:
        """Forget what another training left; called before the first batch."""

    def state(self) -> Mapping[str, npt.NDArray[Any]]:
        """What the next batch depends on, as named arrays; asked for between two epochs."""

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `state` gave, or raise KeyError or ValueError if it is not that."""


AuxiliaryLoss: TypeAlias = LatentLoss | CodebookLoss


def check_auxiliary_losses(terms: Sequence[AuxiliaryLoss]) -> tuple[AuxiliaryLoss, ...]:
    """The terms as a tuple, or ConfigError if one is neither kind of loss."""
    for number, term in enumerate(terms):
        if not callable(getattr(term, "parameters", None)) or not (
            callable(term) or isinstance(term, CodebookLoss)
        ):
            raise ConfigError(
                f"auxiliary_losses[{number}] must have parameters() and either "
                "__call__(rows, latent, quantized, reconstruction) or codebook_loss(codebooks, codes), "
                f"but it is {type(term).__name__}"
            )
    return tuple(terms)
