"""VQ-VAE: an autoencoder whose latent vectors are quantized by one codebook."""

from collections.abc import Sequence

from sidkit.tokenizers.rqvae.rqvae import RQVAE
from sidkit.tokenizers.vq import check_one_size

__all__ = ["VQVAE"]


class VQVAE(RQVAE):
    """An autoencoder with one code an item (van den Oord et al., 2017): `RQVAE` with one level.

    Args:
        codes: codes of the one level.
        latent, hidden, standardize: and all that follow, as of `RQVAE`.

    Attributes:
        codebooks_, standardizer_, whitener_, encoder_, decoder_, history_: as of `RQVAE`.
    """

    method = "vqvae"

    def __init__(
        self,
        codebook_size: int = 256,
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
        super().__init__(
            1,
            check_one_size(codebook_size),
            latent=latent,
            hidden=hidden,
            standardize=standardize,
            whiten=whiten,
            update=update,
            decay=decay,
            estimator=estimator,
            temperature=temperature,
            distance=distance,
            sinkhorn=sinkhorn,
            sinkhorn_epsilon=sinkhorn_epsilon,
            kmeans_start=kmeans_start,
            reset=reset,
            refit=refit,
            on_collapse=on_collapse,
            epochs=epochs,
            plain_epochs=plain_epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            commitment=commitment,
            seed=seed,
            threads=threads,
        )
