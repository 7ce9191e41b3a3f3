"""Contrastive reconstruction loss of CoST."""

from collections.abc import Iterable

import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit.errors import ConfigError
from sidkit.tokenizers.parts.arrays import check_vectors
from sidkit.tokenizers.parts.standardize import Standardizer
from sidkit.tokenizers.rqvae.contrast import contrast

__all__ = ["ReconstructionContrast"]


class ReconstructionContrast:
    """Contrastive quantization of CoST (Zhu et al., RecSys 2024, arXiv 2404.14774).

    Among all vectors x of a batch, the item's own vector should be the most similar to its reconstruction y,
    by cosine:

        weight * -1/B sum_i log( exp(cos(y_i, x_i) / t) / sum_j exp(cos(y_i, x_j) / t) )

    The reconstruction error measures how close a reconstruction is; this loss measures whether it can be
    distinguished from the item's neighbours. In the paper it replaces the error; here it is added to it.
    Items with equal vectors are not negatives of each other.

    Args:
        x: float (n, dim), the vectors of `RQVAE.fit`.
        standardize: parameter of the RQ-VAE, which reconstructs standardized vectors.
        weight: weight relative to the reconstruction error.
        temperature: t.

    Raises:
        ConfigError: if a parameter is invalid.
        DataError: if the vectors are not finite.
    """

    def __init__(
        self, x: npt.ArrayLike, *, standardize: bool = True, weight: float = 0.1, temperature: float = 0.1
    ) -> None:
        if not weight >= 0 or not temperature > 0:
            raise ConfigError(
                "the loss is invalid: expected weight >= 0 and temperature > 0, got "
                f"{weight} and {temperature}."
            )
        vectors = check_vectors(x)
        if standardize:
            vectors = Standardizer.fit(vectors).apply(vectors)
        self.weight = weight
        self.temperature = temperature
        self._targets = F.normalize(torch.from_numpy(vectors), dim=1)

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return no parameters."""
        return ()

    def __call__(self, rows: Tensor, latent: Tensor, quantized: Tensor, reconstruction: Tensor) -> Tensor:
        """Compute the weighted loss of a batch."""
        targets = self._targets[rows]
        same = targets @ targets.T > 1 - 1e-6
        return self.weight * contrast(F.normalize(reconstruction, dim=1) / self.temperature, targets, same)
