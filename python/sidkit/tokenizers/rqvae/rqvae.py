"""RQ-VAE: an autoencoder whose latent vectors are residually quantized."""

import os
from collections.abc import Sequence

import numpy.typing as npt

from sidkit._core import Codebooks
from sidkit._extras import require
from sidkit.errors import ConfigError
from sidkit.tokenizers.base import Progress, State, Vectors
from sidkit.tokenizers.parts.checks import check_widths
from sidkit.tokenizers.parts.perceptron import Perceptron
from sidkit.tokenizers.parts.residual import ResidualTokenizer
from sidkit.tokenizers.parts.standardize import Standardizer
from sidkit.tokenizers.parts.whiten import Whitener
from sidkit.tokenizers.rqvae.auxiliary_loss import AuxiliaryLoss, CodebookLoss, check_auxiliary_losses
from sidkit.tokenizers.rqvae.checks import check_settings

__all__ = ["RQVAE"]


class RQVAE(ResidualTokenizer):
    """The tokenizer of TIGER (Rajput et al., 2023; RQ-VAE: Lee et al., 2022).

    An encoder makes a latent vector, which is quantized level by level; a decoder makes the vector again of
    the sum of the codewords. Trained with AdamW on the reconstruction error, the codebook loss and the
    commitment loss, by default with the straight-through estimator. What keeps codebooks from collapsing:
    standardized inputs, codebooks that start from k-means of the latents of a plainly trained autoencoder,
    codes set anew that nothing chose for an epoch, k-means of the final latents at the end, and a collapse_check.

    `fit` needs torch; everything else runs without it. Codes in training and in use come from the same
    kernel.

    Args:
        levels: codes per item.
        codebook_size: codewords per level; one number, or one a level.
        latent: dimensions of the latent vectors.
        hidden: widths between input and latent; the decoder has them in reverse.
        standardize: give every dimension mean 0 and variance 1 first.
        whiten: then take so many principal components, each with variance 1; `decode` gives only what they
            hold. All of the standardized vector if None.
        update: of codebooks, `gradient` or `ema`, running averages of the vectors that chose a codeword (van
            den Oord et al., 2017, appendix A.1).
        decay: of the running averages, per step.
        estimator: how the gradient of the reconstruction gets to the encoder: `straight-through`; `rotation`
            (Fifty et al., 2024, arXiv 2410.06424); `gumbel`, by mixtures of codewords drawn at random that
            become harder during the training (Jang et al., 2017), to encoder and codebooks.
        temperature: of the mixtures at first; it falls to a tenth.
        distance: `l2`, or `cosine`: all codewords of a level are kept at one length, so that the nearest one
            has the smallest angle.
        sinkhorn: levels whose codes are balanced within every training batch by optimal transport: `none`,
            `last` (LC-Rec) or `all`. Codes in use are always the nearest.
        sinkhorn_epsilon: how soft the balance is, at least 0.003.
        kmeans_start: start codebooks from k-means of the latents, or else from random ones.
        reset: set codes anew that nothing chose for an epoch.
        refit: k-means of the final latents at the end; otherwise the trained codebooks stay.
        on_collapse: what is done if a level's perplexity or the unique rate stays low: `repair` (codebooks
            start anew), `stop` (training ends there) or `warn`. Each warns and leaves a note in `notes`.
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
        whitener_: principal components, or None.
        encoder_, decoder_: `Perceptron`.
        history_: figures of each epoch: reconstruction, quantization (mean squared errors), perplexity of
            each level, unique rate, codes set anew, auxiliary losses by number.
    """

    method = "rqvae"
    standardizer_: Standardizer
    whitener_: Whitener | None
    encoder_: Perceptron
    decoder_: Perceptron
    history_: list[dict[str, float]]
    _auxiliary_losses: tuple[AuxiliaryLoss, ...] = ()

    def __init__(
        self,
        levels: int = 3,
        codebook_size: int | Sequence[int] = 256,
        *,
        latent: int = 32,
        hidden: Sequence[int] = (512, 256, 128),
        standardize: bool = True,
        whiten: int | None = None,
        update: str = "gradient",
        decay: float = 0.99,
        estimator: str = "straight-through",
        temperature: float = 1.0,
        distance: str = "l2",
        sinkhorn: str = "none",
        sinkhorn_epsilon: float = 0.05,
        kmeans_start: bool = True,
        reset: bool = True,
        refit: bool = True,
        on_collapse: str = "repair",
        epochs: int = 300,
        plain_epochs: int = 10,
        batch_size: int = 1024,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        commitment: float = 0.25,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        self._keep_shape(levels, codebook_size)
        self.latent = latent
        self.hidden = check_widths("hidden", hidden)
        self.standardize = standardize
        self.whiten = whiten
        self.update = update
        self.decay = decay
        self.estimator = estimator
        self.temperature = temperature
        self.distance = distance
        self.sinkhorn = sinkhorn
        self.sinkhorn_epsilon = sinkhorn_epsilon
        self.kmeans_start = kmeans_start
        self.reset = reset
        self.refit = refit
        self.on_collapse = on_collapse
        self.epochs = epochs
        self.plain_epochs = plain_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.commitment = commitment
        self.seed = seed
        self.threads = threads
        check_settings(self)

    def fit(
        self,
        x: npt.ArrayLike,
        *,
        progress: Progress | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        auxiliary_losses: Sequence[AuxiliaryLoss] = (),
    ) -> "RQVAE":
        """Learn from vectors.

        Args:
            x: as of every tokenizer.
            progress: as of every tokenizer; a step is an epoch, the figures those of `history_`.
            checkpoint: as of every tokenizer.
            auxiliary_losses: terms that are added to the losses, see `LatentLoss` and `CodebookLoss`. Their
                parameters are trained too, with the same optimizer, and stay with the terms.

        Returns:
            The tokenizer itself.

        Raises:
            ConfigError: if a term is not such a loss, or its loss is not a finite number.
            DataError, FormatError: as of every tokenizer.
        """
        terms = check_auxiliary_losses(auxiliary_losses)
        if self.update == "ema" and any(isinstance(term, CodebookLoss) for term in terms):
            raise ConfigError('a CodebookLoss has no gradient to follow with update="ema"; hint: "gradient"')
        self._auxiliary_losses = terms
        try:
            return super().fit(x, progress=progress, checkpoint=checkpoint)
        finally:
            self._auxiliary_losses = ()

    def _fit(self, x: Vectors, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        require("torch", extra="train")
        from sidkit.tokenizers.rqvae.training import Training

        standardizer = Standardizer.fit_if(self.standardize, x)
        z = standardizer.apply(x)
        whitener = None if self.whiten is None else Whitener.fit(z, self.whiten)
        z = z if whitener is None else whitener.apply(z)
        learned = Training(self, z, self._auxiliary_losses).run(progress, checkpoint)
        self.standardizer_, self.whitener_ = standardizer, whitener
        self.notes = learned.notes
        self.encoder_, self.decoder_ = learned.encoder, learned.decoder
        self.history_ = learned.history
        self._codebooks = Codebooks(learned.codebooks)

    def _latent(self, x: Vectors) -> Vectors:
        z = self.standardizer_.apply(x)
        z = z if self.whitener_ is None else self.whitener_.apply(z)
        return self.encoder_(z, self.threads)

    def _from_latent(self, z: Vectors) -> Vectors:
        x = self.decoder_(z, self.threads)
        return self.standardizer_.invert(x if self.whitener_ is None else self.whitener_.invert(x))

    def _state(self) -> State:
        return (
            self._codebook_state()
            | self.standardizer_.state()
            | ({} if self.whitener_ is None else self.whitener_.state())
            | self.encoder_.state("encoder")
            | self.decoder_.state("decoder")
        )

    def _restore(self, state: State, dim: int) -> None:
        widths = [self.whiten or dim, *self.hidden, self.latent]
        self.whitener_ = None if self.whiten is None else Whitener.restore(state, dim, self.whiten)
        self.standardizer_ = Standardizer.restore(state, dim)
        self.encoder_ = Perceptron.restore(state, "encoder", widths)
        self.decoder_ = Perceptron.restore(state, "decoder", widths[::-1])
        self.history_ = []
        self._restore_codebooks(state, self.latent)
