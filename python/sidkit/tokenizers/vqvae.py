"""VQ-VAE: an autoencoder whose latent vectors are quantized by one codebook."""

from collections.abc import Sequence
from typing import Literal

from sidkit._settings import Count, NonNegative, Positive, Seed, Width
from sidkit.tokenizers.rqvae.options import EMA, Distance, Gumbel, Sinkhorn
from sidkit.tokenizers.rqvae.rqvae import RQVAE
from sidkit.tokenizers.training.collapse import OnCollapse
from sidkit.tokenizers.vq import check_one_size

__all__ = ["VQVAE"]


class VQVAE(RQVAE):
    """Autoencoder tokenizer with one code per item (van den Oord et al., 2017): `RQVAE` with one level.

    Args:
        codebook_size: number of codewords.
        latent_dim: dimensions of the latent vectors.
        hidden_dims: widths of the encoder's hidden layers; the decoder has them in reverse order.
        epochs: passes over the vectors.
        warmup_epochs: how many of these are without quantization, before the codebook is initialized.
        batch_size: vectors per step.
        learning_rate: maximum learning rate of AdamW.
        weight_decay: weight decay of AdamW.
        commitment: weight of the commitment loss relative to the codebook loss.
        estimator: gradient estimator of the quantization, as for `RQVAE`.
        codebook_update: `gradient`, `ema` or `EMA(decay)`.
        distance: `l2` or `cosine`, as for `RQVAE`.
        sinkhorn: balance the codes of every training batch, as for `RQVAE`.
        kmeans_init: initialize the codebook by k-means of the latent vectors instead of random ones.
        revive_dead_codes: after every epoch, reinitialize unused codes from random latent vectors.
        refit: run k-means on the final latent vectors; otherwise the trained codebook stays.
        on_collapse: action if the perplexity stays low: `repair`, `stop` or `warn`, as for `RQVAE`.
        standardize: scale every dimension to mean 0 and variance 1 first.
        whiten: keep this many principal components, each with variance 1.
        seed: seed of weights, batches and the codebook.
        threads: maximum number of threads; None uses all cores.

    Attributes:
        codebooks_, standardizer_, whitener_, encoder_, decoder_, history_: as for `RQVAE`.
    """

    method = "vqvae"

    def __init__(
        self,
        codebook_size: Width = 256,
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
        kmeans_init: bool = True,
        revive_dead_codes: bool = True,
        refit: bool = True,
        on_collapse: OnCollapse = "repair",
        standardize: bool = True,
        whiten: Width | None = None,
        seed: Seed = 0,
        threads: int | None = None,
    ) -> None:
        super().__init__(
            1,
            check_one_size(codebook_size),
            latent_dim=latent_dim,
            hidden_dims=hidden_dims,
            epochs=epochs,
            warmup_epochs=warmup_epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            commitment=commitment,
            estimator=estimator,
            codebook_update=codebook_update,
            distance=distance,
            sinkhorn=sinkhorn,
            kmeans_init=kmeans_init,
            revive_dead_codes=revive_dead_codes,
            refit=refit,
            on_collapse=on_collapse,
            standardize=standardize,
            whiten=whiten,
            seed=seed,
            threads=threads,
        )
