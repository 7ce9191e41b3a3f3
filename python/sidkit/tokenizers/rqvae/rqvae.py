"""RQ-VAE: an autoencoder whose latent vectors are residually quantized."""

import os
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from sidkit._arguments import check_argument, checked
from sidkit._core import Codebooks
from sidkit._extras import require
from sidkit._progress import Progress
from sidkit._settings import Count, Depth, NonNegative, Positive, Seed, Width
from sidkit.errors import ConfigError, DataError
from sidkit.tokenizers.parts.arrays import State, Vectors
from sidkit.tokenizers.parts.checks import (
    check_choice,
    check_counts,
    check_counts_or_none,
    check_flags,
    check_non_negative,
    check_positive,
    check_seed,
    check_widths,
)
from sidkit.tokenizers.parts.perceptron import Perceptron
from sidkit.tokenizers.parts.residual import ResidualTokenizer
from sidkit.tokenizers.parts.standardize import Standardizer
from sidkit.tokenizers.parts.whiten import Whitener
from sidkit.tokenizers.rqvae.auxiliary_loss import AuxiliaryLoss, CodebookLoss, check_auxiliary_losses
from sidkit.tokenizers.rqvae.options import (
    EMA,
    LETTER,
    AutoencoderSettings,
    CoST,
    Distance,
    Gumbel,
    Sinkhorn,
    resolved,
)
from sidkit.tokenizers.training.collapse import ON_COLLAPSE, OnCollapse

__all__ = ["RQVAE"]


class RQVAE(ResidualTokenizer):
    """RQ-VAE tokenizer: the tokenizer of TIGER (Rajput et al., 2023; RQ-VAE: Lee et al., 2022).

    An encoder maps a vector to a latent vector, which is quantized level by level; a decoder reconstructs the
    vector from the sum of the codewords. AdamW minimizes the reconstruction error, the codebook loss and the
    commitment loss, by default with the straight-through estimator. Codebook collapse is prevented by
    standardized inputs, warm-up epochs without quantization, k-means initialization of the codebooks from the
    latent vectors, dead-code revival, a codebook-collapse check, and k-means of the final latent vectors.

    `fit` needs torch; everything else runs without it. Training and `encode` assign codes with the same
    kernel.

    Args:
        levels: codes per item.
        codebook_size: codewords per level: one number, or one per level.
        latent_dim: dimensions of the latent vectors.
        hidden_dims: widths of the encoder's hidden layers; the decoder has them in reverse order.
        epochs: passes over the vectors.
        warmup_epochs: how many of these are without quantization, before the codebooks are initialized.
        batch_size: vectors per step.
        learning_rate: maximum learning rate of AdamW, after a linear warm-up over the first twentieth and
            before a cosine decay.
        weight_decay: weight decay of AdamW.
        commitment: weight of the commitment loss relative to the codebook loss.
        estimator: gradient estimator of the quantization: `straight-through`, `rotation` (Fifty et al., 2024,
            arXiv 2410.06424), `gumbel` or `Gumbel(temperature)`.
        codebook_update: `gradient`, `ema` or `EMA(decay)`.
        distance: `l2`, or `cosine`: all codewords of a level have the same length, so that the nearest
            codeword has the smallest angle.
        sinkhorn: balance the codes of every training batch at the `last` level or at `all` levels, or by
            `Sinkhorn(levels, epsilon)`; None for no balancing. `encode` always assigns the nearest codewords.
        auxiliary_loss: additional losses: `letter` or `LETTER(collaborative_weight, diversity_weight)`, for
            codes that reflect collaborative signal; `cost` or `CoST(weight)`, which separates neighbours.
        kmeans_init: initialize codebooks by k-means of the latent vectors instead of random ones.
        revive_dead_codes: after every epoch, reinitialize unused codes from residuals of random vectors.
        refit: run k-means on the final latent vectors; otherwise the trained codebooks stay.
        on_collapse: action if a level's perplexity or the unique rate stays low: `repair` (reinitialize the
            codebooks), `stop` (end the training) or `warn`. Each warns and adds a note to `notes`.
        standardize: scale every dimension to mean 0 and variance 1 first.
        whiten: keep this many principal components, each with variance 1; `decode` returns only their part.
            None keeps the standardized vector.
        seed: seed of weights, batches and codebooks.
        threads: maximum number of threads; None uses all cores.

    Attributes:
        codebooks_: `sidkit.tokenizers.Codebooks` in latent space.
        standardizer_: mean and scale of every dimension.
        whitener_: principal components, or None.
        encoder_, decoder_: `Perceptron`.
        history_: figures of each epoch: reconstruction, quantization (mean squared errors), perplexity of
            each level, unique rate, number of revived codes, auxiliary losses by number.
    """

    method = "rqvae"
    standardizer_: Standardizer
    whitener_: Whitener | None
    encoder_: Perceptron
    decoder_: Perceptron
    history_: list[dict[str, float]]
    _auxiliary_losses: tuple[AuxiliaryLoss, ...] = ()
    _collaborative_embeddings: npt.ArrayLike | None = None

    def __init__(
        self,
        levels: Depth = 3,
        codebook_size: Width | Sequence[Width] = 256,
        *,
        latent_dim: Width = 32,
        hidden_dims: Sequence[Width] = (512, 256, 128),
        epochs: Count = 300,
        warmup_epochs: int = 10,
        batch_size: Count = 1024,
        learning_rate: Positive = 2e-3,
        weight_decay: NonNegative = 1e-2,
        commitment: NonNegative = 0.25,
        estimator: Gumbel | Literal["straight-through", "rotation", "gumbel"] = "straight-through",
        codebook_update: EMA | Literal["gradient", "ema"] = "gradient",
        distance: Distance = "l2",
        sinkhorn: Sinkhorn | Literal["last", "all"] | None = None,
        auxiliary_loss: LETTER | CoST | Literal["letter", "cost"] | None = None,
        kmeans_init: bool = True,
        revive_dead_codes: bool = True,
        refit: bool = True,
        on_collapse: OnCollapse = "repair",
        standardize: bool = True,
        whiten: Width | None = None,
        seed: Seed = 0,
        threads: int | None = None,
    ) -> None:
        self._set_sizes(levels, codebook_size)
        self.latent_dim = latent_dim
        self.hidden_dims = hidden_dims
        self.epochs = epochs
        self.warmup_epochs = warmup_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.commitment = commitment
        self.estimator = estimator
        self.codebook_update = codebook_update
        self.distance = distance
        self.sinkhorn = sinkhorn
        self.auxiliary_loss = auxiliary_loss
        self.kmeans_init = kmeans_init
        self.revive_dead_codes = revive_dead_codes
        self.refit = refit
        self.on_collapse = on_collapse
        self.standardize = standardize
        self.whiten = whiten
        self.seed = seed
        self.threads = threads
        self._check_parameters()

    @property
    def fit_inputs(self) -> tuple[str, ...]:
        """Collaborative embeddings, if the auxiliary losses are those of LETTER."""
        return ("collaborative_embeddings",) if isinstance(self._auxiliary(), LETTER) else ()

    @checked
    def fit(
        self,
        x: npt.ArrayLike,
        y: None = None,
        *,
        collaborative_embeddings: npt.ArrayLike | None = None,
        auxiliary_losses: Sequence[AuxiliaryLoss] = (),
        progress: Progress | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> "RQVAE":
        """Learn from vectors.

        Args:
            x: see `Tokenizer.fit`.
            y: ignored; present for scikit-learn pipelines.
            collaborative_embeddings: float (n, width), for `auxiliary_loss="letter"`: such as
                `sidkit.embed.collaborative_embeddings(split.train, n)`, from training events only.
            auxiliary_losses: further losses, see `LatentLoss` and `CodebookLoss`. Their parameters are
                trained by the same optimizer.
            progress: see `Tokenizer.fit`; a step is an epoch, the figures are those of `history_`.
            checkpoint: see `Tokenizer.fit`.

        Returns:
            The tokenizer itself.

        Raises:
            ConfigError: if an object is not an auxiliary loss, or its value is not finite.
            DataError: if `x` is invalid, or collaborative embeddings are missing or invalid.
            FormatError: if the checkpoint belongs to other parameters or data, or is damaged.
        """
        terms = check_auxiliary_losses(auxiliary_losses)
        if self._settings().ema_decay is not None and any(isinstance(term, CodebookLoss) for term in terms):
            raise ConfigError(_NEEDS_GRADIENT)
        if self.fit_inputs and collaborative_embeddings is None:
            raise DataError(
                "collaborative embeddings are missing: expected one row per vector for "
                'auxiliary_loss="letter", got None. '
                " Call fit(x, collaborative_embeddings=...)."
            )
        self._auxiliary_losses, self._collaborative_embeddings = terms, collaborative_embeddings
        try:
            return super().fit(x, progress=progress, checkpoint=checkpoint)
        finally:
            self._auxiliary_losses, self._collaborative_embeddings = (), None

    def _fit(self, x: Vectors, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        require("torch", extra="train")
        from sidkit.tokenizers.rqvae.training import Training

        terms = [*self._own_losses(x), *self._auxiliary_losses]
        standardizer = Standardizer.fit_if(self.standardize, x)
        z = standardizer.apply(x)
        whitener = None if self.whiten is None else Whitener.fit(z, self.whiten)
        z = z if whitener is None else whitener.apply(z)
        learned = Training(self._settings(), z, terms).run(progress, checkpoint)
        self.standardizer_, self.whitener_ = standardizer, whitener
        self.notes = learned.notes
        self.encoder_, self.decoder_ = learned.encoder, learned.decoder
        self.history_ = learned.history
        self._codebooks = Codebooks(learned.codebooks)

    def _own_losses(self, x: Vectors) -> list[AuxiliaryLoss]:
        """The losses of `auxiliary_loss`."""
        chosen = self._auxiliary()
        if isinstance(chosen, LETTER):
            from sidkit.tokenizers.rqvae.letter import CollaborativeLoss, DiversityLoss

            return [
                CollaborativeLoss(
                    np.asarray(self._collaborative_embeddings),
                    self.latent_dim,
                    weight=chosen.collaborative_weight,
                    seed=self.seed,
                ),
                DiversityLoss(weight=chosen.diversity_weight, seed=self.seed),
            ]
        if isinstance(chosen, CoST):
            from sidkit.tokenizers.rqvae.cost import ReconstructionContrast

            return [ReconstructionContrast(x, standardize=self.standardize, weight=chosen.weight)]
        return []

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

    def _restore(self, state: State, dim: Count) -> None:
        widths = [self.whiten or dim, *self.hidden_dims, self.latent_dim]
        self.whitener_ = None if self.whiten is None else Whitener.restore(state, dim, self.whiten)
        self.standardizer_ = Standardizer.restore(state, dim)
        self.encoder_ = Perceptron.restore(state, "encoder", widths)
        self.decoder_ = Perceptron.restore(state, "decoder", widths[::-1])
        self.history_ = []
        self._restore_codebooks(state, self.latent_dim)

    def _auxiliary(self) -> object:
        return resolved("auxiliary_loss", self.auxiliary_loss, (LETTER, CoST), None, "letter", "cost")

    def _settings(self) -> AutoencoderSettings:
        """Resolve the parameters, or raise ConfigError."""
        estimator = resolved("estimator", self.estimator, (Gumbel,), "straight-through", "rotation", "gumbel")
        update = resolved("codebook_update", self.codebook_update, (EMA,), "gradient", "ema")
        sinkhorn = resolved("sinkhorn", self.sinkhorn, (Sinkhorn,), None, "last", "all")
        check_choice("distance", self.distance, ("l2", "cosine"))
        check_choice("on_collapse", self.on_collapse, ON_COLLAPSE)
        balanced = 0
        if isinstance(sinkhorn, Sinkhorn):
            balanced = 1 if sinkhorn.levels == "last" else len(self.codebook_sizes)
        return AutoencoderSettings(
            codebook_sizes=self.codebook_sizes,
            latent_dim=self.latent_dim,
            hidden_dims=tuple(check_widths("hidden_dims", self.hidden_dims)),
            epochs=self.epochs,
            warmup_epochs=self.warmup_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            commitment=self.commitment,
            gumbel_temperature=estimator.temperature if isinstance(estimator, Gumbel) else None,
            rotation=estimator == "rotation",
            ema_decay=update.decay if isinstance(update, EMA) else None,
            cosine=self.distance == "cosine",
            balanced_levels=balanced,
            sinkhorn_epsilon=sinkhorn.epsilon if isinstance(sinkhorn, Sinkhorn) else Sinkhorn().epsilon,
            kmeans_init=self.kmeans_init,
            revive_dead_codes=self.revive_dead_codes,
            refit=self.refit,
            on_collapse=self.on_collapse,
            seed=self.seed,
            threads=self.threads,
        )

    def _check_parameters(self) -> None:
        check_counts(self, "latent_dim", "epochs", "batch_size")
        check_counts_or_none(self, "whiten", "threads")
        check_flags(self, "kmeans_init", "revive_dead_codes", "refit", "standardize")
        check_positive(self, "learning_rate")
        check_non_negative(self, "weight_decay", "commitment")
        check_seed(self.seed)
        check_argument("warmup_epochs", self.warmup_epochs, int)
        if not 0 <= self.warmup_epochs < self.epochs:
            raise ConfigError(
                f"`warmup_epochs` is invalid: expected a number in 0..{self.epochs - 1}, below `epochs`, got "
                f"{self.warmup_epochs}."
            )
        settings, auxiliary = self._settings(), self._auxiliary()
        if settings.gumbel_temperature is not None and settings.balanced_levels:
            raise ConfigError(
                "`estimator` and `sinkhorn` contradict each other: expected one of them, got mixtures of "
                "codewords (gumbel) and a balanced choice of one codeword. Leave one of them out."
            )
        if self.whiten is not None and not self.standardize:
            raise ConfigError(
                "`whiten` needs centred vectors: expected standardize=True, got False. Set standardize=True."
            )
        if isinstance(auxiliary, LETTER) and settings.ema_decay is not None:
            raise ConfigError(_NEEDS_GRADIENT)
        if isinstance(auxiliary, CoST) and self.whiten is not None:
            raise ConfigError(
                f"CoST compares reconstructions with whole vectors: expected whiten=None, got {self.whiten}. "
                "Leave one of them out."
            )


_NEEDS_GRADIENT = (
    'a loss of the codebooks needs gradients: expected codebook_update="gradient", got moving averages. '
    'Set codebook_update="gradient".'
)
