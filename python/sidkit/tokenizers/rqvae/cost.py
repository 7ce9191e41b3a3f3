"""The loss by which CoST keeps neighbours apart that reconstruction alone would mix up."""

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
    """CoST's contrastive quantization (Zhu et al., RecSys 2024, arXiv 2404.14774).

    Of all vectors x of a batch, an item's own is to be the most like its reconstruction y, by the cosine:

        weight * -1/B sum_i log( exp(cos(y_i, x_i) / t) / sum_j exp(cos(y_i, x_j) / t) )

    Where the reconstruction error asks how near a reconstruction is, this asks whether it can still be told
    from the item's neighbours. In the paper it takes the place of the error; here it stands beside it.
    Items with equal vectors are no negatives of each other.

    Args:
        x: float (n, dim), the vectors given to `RQVAE.fit`.
        standardize: as of the RQ-VAE, since it is standardized vectors that are reconstructed.
        weight: beside the reconstruction error.
        temperature: t.

    Raises:
        ConfigError: if a setting makes no sense.
        DataError: if the vectors are not finite.
    """

    def __init__(
        self, x: npt.ArrayLike, *, standardize: bool = True, weight: float = 0.1, temperature: float = 0.1
    ) -> None:
        if not weight >= 0 or not temperature > 0:
            raise ConfigError(
                f"weight must not be negative and temperature positive, not {weight} and {temperature}"
            )
        vectors = check_vectors(x)
        if standardize:
            vectors = Standardizer.fit(vectors).apply(vectors)
        self.weight = weight
        self.temperature = temperature
        self._targets = F.normalize(torch.from_numpy(vectors), dim=1)

    def parameters(self) -> Iterable[nn.Parameter]:
        """Nothing of its own is trained."""
        return ()

    def __call__(self, rows: Tensor, latent: Tensor, quantized: Tensor, reconstruction: Tensor) -> Tensor:
        """The weighted loss of a batch."""
        targets = self._targets[rows]
        same = targets @ targets.T > 1 - 1e-6
        return self.weight * contrast(F.normalize(reconstruction, dim=1) / self.temperature, targets, same)
