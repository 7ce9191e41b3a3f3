"""Losses of one's own in the training of an RQ-VAE."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from sidkit.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["CodebookLoss", "ExtraLoss", "LatentLoss", "check_extra_losses"]


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


ExtraLoss: TypeAlias = LatentLoss | CodebookLoss


def check_extra_losses(terms: Sequence[ExtraLoss]) -> tuple[ExtraLoss, ...]:
    """The terms as a tuple, or ConfigError if one is neither kind of loss."""
    for number, term in enumerate(terms):
        if not callable(getattr(term, "parameters", None)) or not (
            callable(term) or isinstance(term, CodebookLoss)
        ):
            raise ConfigError(
                f"extra_losses[{number}] must have parameters() and either "
                "__call__(rows, latent, quantized, reconstruction) or codebook_loss(codebooks, codes), "
                f"but it is {type(term).__name__}"
            )
    return tuple(terms)
