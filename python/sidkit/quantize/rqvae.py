"""RQ-VAE: an autoencoder whose latent vectors are residually quantized."""

import os
from collections.abc import Sequence

import numpy.typing as npt

from sidkit._core import Codebooks
from sidkit._extras import require
from sidkit.errors import ConfigError
from sidkit.quantize.extra_loss import ExtraLoss, check_extra_losses
from sidkit.quantize.perceptron import Perceptron
from sidkit.quantize.residual import ResidualTokenizer
from sidkit.quantize.standardize import Standardizer
from sidkit.quantize.tokenizer import Progress, State, Vectors, check_sizes

__all__ = ["RQVAE"]


class RQVAE(ResidualTokenizer):
    """The tokenizer of TIGER (Rajput et al., 2023; RQ-VAE: Lee et al., 2022).

    An encoder makes a latent vector, which is quantized level by level; a decoder makes the vector again of
    the sum of the codewords. Trained with AdamW on the reconstruction error, the codebook loss and the
    commitment loss, with the straight-through estimator. What keeps codebooks from collapsing: standardized
    inputs, codebooks that start from k-means of the latents of a plainly trained autoencoder, codes set anew
    that nothing chose for an epoch, and k-means of the final latents at the end.

    `fit` needs torch; everything else runs without it. Codes in training and in use come from the same
    kernel.

    Args:
        levels: codes per item.
        codes: codes per level; one number, or one a level.
        latent: dimensions of the latent vectors.
        hidden: widths between input and latent; the decoder has them in reverse.
        standardize: give every dimension mean 0 and variance 1 first.
        epochs: passes over the vectors.
        plain_epochs: how many of these are without quantization, before the codebooks start.
        batch_size: vectors a step.
        learning_rate: of AdamW, the highest: it rises over the first twentieth and falls as a cosine.
        weight_decay: of AdamW.
        commitment: weight of the commitment loss beside the codebook loss.
        seed: of weights, batches, codebooks.
        threads: at most; all cores if None.

    Attributes:
        codebooks_: `sidkit.Codebooks` in latent space.
        standardizer_: mean and scale of every dimension.
        encoder_, decoder_: `Perceptron`.
        history_: figures of each epoch: reconstruction, quantization (mean squared errors), perplexity of
            each level, codes set anew, extra losses by number.
    """

    kind = "rqvae"
    standardizer_: Standardizer
    encoder_: Perceptron
    decoder_: Perceptron
    history_: list[dict[str, float]]
    _extra_losses: tuple[ExtraLoss, ...] = ()

    def __init__(
        self,
        levels: int = 3,
        codes: int | Sequence[int] = 256,
        *,
        latent: int = 32,
        hidden: Sequence[int] = (512, 256, 128),
        standardize: bool = True,
        epochs: int = 300,
        plain_epochs: int = 10,
        batch_size: int = 1024,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        commitment: float = 0.25,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        self.levels = levels
        self.codes = codes if isinstance(codes, int) else list(codes)
        self.latent = latent
        self.hidden = list(hidden)
        self.standardize = standardize
        self.epochs = epochs
        self.plain_epochs = plain_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.commitment = commitment
        self.seed = seed
        self.threads = threads
        self._sizes = check_sizes(levels, self.codes)
        self._check_settings()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of codes of each level."""
        return self._sizes

    def fit(
        self,
        x: npt.ArrayLike,
        *,
        progress: Progress | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        extra_losses: Sequence[ExtraLoss] = (),
    ) -> "RQVAE":
        """Learn from vectors.

        Args:
            x: as of every tokenizer.
            progress: as of every tokenizer; a step is an epoch, the figures those of `history_`.
            checkpoint: as of every tokenizer.
            extra_losses: terms that are added to the losses, see `LatentLoss` and `CodebookLoss`. Their
                parameters are trained too, with the same optimizer, and stay with the terms.

        Returns:
            The tokenizer itself.

        Raises:
            ConfigError: if a term is not such a loss, or its loss is not a finite number.
            DataError, FormatError: as of every tokenizer.
        """
        self._extra_losses = check_extra_losses(extra_losses)
        try:
            return super().fit(x, progress=progress, checkpoint=checkpoint)
        finally:
            self._extra_losses = ()

    def _check_settings(self) -> None:
        for name in ("latent", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if any(width < 1 for width in self.hidden):
            raise ConfigError(f"hidden must be widths of at least 1, not {self.hidden}")
        if not 0 <= self.plain_epochs < self.epochs:
            raise ConfigError(
                f"plain_epochs must be in 0..{self.epochs - 1}, less than epochs, not {self.plain_epochs}"
            )
        if not self.learning_rate > 0:
            raise ConfigError(f"learning_rate must be positive, not {self.learning_rate}")
        for name in ("weight_decay", "commitment"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must not be negative, but it is {getattr(self, name)}")

    def _fit(self, x: Vectors, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        require("torch", extra="train")
        from sidkit.quantize.rqvae_training import Training

        standardizer = Standardizer.fit(x) if self.standardize else Standardizer.identity(x.shape[1])
        learned = Training(self, standardizer.apply(x), self._extra_losses).run(progress, checkpoint)
        self.standardizer_ = standardizer
        self.encoder_, self.decoder_ = learned.encoder, learned.decoder
        self.history_ = learned.history
        self._codebooks = Codebooks(learned.codebooks)

    def _latent(self, x: Vectors) -> Vectors:
        return self.encoder_(self.standardizer_.apply(x))

    def _from_latent(self, z: Vectors) -> Vectors:
        return self.standardizer_.invert(self.decoder_(z))

    def _state(self) -> State:
        return (
            self._codebook_state()
            | self.standardizer_.state()
            | self.encoder_.state("encoder")
            | self.decoder_.state("decoder")
        )

    def _restore(self, state: State, dim: int) -> None:
        widths = [dim, *self.hidden, self.latent]
        self.standardizer_ = Standardizer.restore(state, dim)
        self.encoder_ = Perceptron.restore(state, "encoder", widths)
        self.decoder_ = Perceptron.restore(state, "decoder", widths[::-1])
        self.history_ = []
        self._restore_codebooks(state, self.latent)
