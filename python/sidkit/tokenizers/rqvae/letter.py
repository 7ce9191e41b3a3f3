"""Collaborative and diversity losses of LETTER."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit._core import kmeans_fit
from sidkit.errors import ConfigError, DataError
from sidkit.tokenizers.parts.arrays import check_vectors
from sidkit.tokenizers.rqvae.contrast import contrast

__all__ = ["CollaborativeLoss", "DiversityLoss"]


class CollaborativeLoss:
    """Collaborative regularization of LETTER (Wang et al., CIKM 2024, arXiv 2405.07314).

    Aligns an item's quantized latent vector z with its collaborative embedding h, against those of the other
    items of the batch:

        alpha * -1/B sum_i log( exp(z_i . h_i) / sum_j exp(z_i . h_j) )

    In the paper, h comes from a trained recommender and has as many dimensions as z. For other widths, z goes
    through a linear map that is trained with the autoencoder. The embeddings are scaled to a mean squared
    length of 1 and divided by a temperature, so that one weight suits embeddings of any source. An item with
    an embedding of zeros, without interactions, takes no part in the loss.

    Args:
        embeddings: float (n, width), one row for every vector of `RQVAE.fit`, from training events only, such
            as `collaborative_embeddings(split.train, n)`.
        latent_dim: dimensions of the RQ-VAE's latent vectors.
        weight: alpha.
        temperature: a smaller value increases the weight of the most similar other items.
        seed: seed of the linear map, if there is one.

    Raises:
        ConfigError: if a parameter is invalid.
        DataError: if the embeddings are not finite, or all of them are zeros.
    """

    def __init__(
        self,
        embeddings: npt.ArrayLike,
        latent_dim: int,
        *,
        weight: float = 0.02,
        temperature: float = 0.1,
        seed: int = 0,
    ) -> None:
        if not weight >= 0 or not temperature > 0:
            raise ConfigError(
                "the loss is invalid: expected weight >= 0 and temperature > 0, got "
                f"{weight} and {temperature}."
            )
        given = check_vectors(embeddings)
        known = given.any(axis=1)
        if not known.any():
            raise DataError(
                "collaborative embeddings are empty: expected a row that is not zero, got only zeros."
            )
        length = np.sqrt(np.square(given[known], dtype=np.float64).sum(axis=1).mean())
        self.weight = weight
        self._embeddings = torch.from_numpy((given / (length * temperature)).astype(np.float32))
        self._known = torch.from_numpy(known)
        self._map: nn.Linear | None = None
        if given.shape[1] != latent_dim:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                self._map = nn.Linear(latent_dim, given.shape[1], bias=False)

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return the weights of the linear map to collaborative embeddings, if the widths differ."""
        return () if self._map is None else self._map.parameters()

    def __call__(self, rows: Tensor, latent: Tensor, quantized: Tensor, reconstruction: Tensor) -> Tensor:
        """Compute the weighted loss of a batch; 0 with fewer than two items with embeddings."""
        known = self._known[rows]
        if int(known.sum()) < 2:
            return torch.zeros(())
        chosen = quantized[known]
        mapped = chosen if self._map is None else self._map(chosen)
        return self.weight * contrast(mapped, self._embeddings[rows[known]])


class DiversityLoss:
    """Diversity regularization of LETTER (Wang et al., CIKM 2024, arXiv 2405.07314).

    Every `every` batches, codewords are clustered into clusters of equal size. The loss attracts an item's
    codeword e to a random other codeword of its cluster and repels it from all others:

        beta * -1/B sum_i log( exp(e_i . e_plus) / sum_{j != i} exp(e_i . e_j) )

    averaged over levels, where j runs over all codewords but the item's own.

    Args:
        weight: beta.
        clusters: number of clusters of a level's codewords, at most half the number of codewords.
        every: batches between two clusterings.
        seed: seed of the clusters and of the random codewords.

    Raises:
        ConfigError: if a parameter is invalid.
    """

    def __init__(self, *, weight: float = 1e-4, clusters: int = 10, every: int = 50, seed: int = 0) -> None:
        if not weight >= 0:
            raise ConfigError(f"`weight` is invalid: expected a number >= 0, got {weight!r}.")
        if clusters < 1 or every < 1:
            raise ConfigError(
                f"`clusters` and `every` are invalid: expected integers >= 1, got {clusters} and {every}."
            )
        self.weight = weight
        self.clusters = clusters
        self.every = every
        self.seed = seed
        self.begin()

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return no parameters: only the codewords are trained."""
        return ()

    def begin(self) -> None:
        """Reset the clusters; called before a training."""
        self._batches = 0
        self._groups: list[npt.NDArray[np.uint16]] = []

    def state(self) -> Mapping[str, npt.NDArray[Any]]:
        """Return the number of batches, which seeds the random codewords, and the clusters of each level."""
        groups = {f"groups.{level}": groups for level, groups in enumerate(self._groups)}
        return {"batches": np.array([self._batches]), **groups}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restore what `state` returned.

        Raises:
            KeyError: if an array is missing.
            ValueError: if an array has another type or shape.
        """
        (batches,) = state["batches"].tolist()
        groups = [state[f"groups.{level}"] for level in range(len(state) - 1)]
        if type(batches) is not int or any(of.dtype != np.uint16 or of.ndim != 1 for of in groups):
            raise ValueError("the state is invalid: expected uint16 (codes,) per level and one integer.")
        self._batches, self._groups = batches, groups

    def codebook_loss(self, codebooks: Sequence[Tensor], codes: Tensor) -> Tensor:
        """Compute the weighted loss of a batch."""
        if self._batches % self.every == 0:
            self._groups = [self._cluster(words) for words in codebooks]
        rng = np.random.default_rng([self.seed, self._batches])
        self._batches += 1
        losses = [
            self._of_level(words, codes[:, level], self._groups[level], rng)
            for level, words in enumerate(codebooks)
            if len(words) > 2
        ]
        return self.weight * torch.stack(losses).mean() if losses else torch.zeros(())

    def _cluster(self, words: Tensor) -> npt.NDArray[np.uint16]:
        count = max(1, min(self.clusters, len(words) // 2))
        capacity = -(-len(words) // count)
        points = np.ascontiguousarray(words.detach().numpy())
        return kmeans_fit(points, count, iterations=10, init="bisect", seed=self.seed, capacity=capacity)[1]

    def _of_level(
        self, words: Tensor, codes: Tensor, groups: npt.NDArray[np.uint16], rng: np.random.Generator
    ) -> Tensor:
        partners = _partners(codes.numpy(), groups, rng)
        chosen = torch.from_numpy(np.flatnonzero(partners >= 0))
        if not len(chosen):
            return torch.zeros(())
        own = codes[chosen]
        scores = words[own] @ words.T  # (batch, codes)
        scores = scores.scatter(1, own[:, None], -torch.inf)
        return F.cross_entropy(scores, torch.from_numpy(partners)[chosen])


def _partners(
    codes: npt.NDArray[np.int64], groups: npt.NDArray[np.uint16], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Random other codeword of each code's cluster, int64 (batch,); -1 if there is none."""
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], groups[codes])
    sizes = np.bincount(groups)[groups[codes]]
    places = np.empty(len(groups), np.int64)
    places[order] = np.arange(len(groups))
    steps = 1 + (rng.random(len(codes)) * (sizes - 1)).astype(np.int64)
    found = order[starts + (places[codes] - starts + steps) % sizes]
    return np.where(sizes > 1, found, -1)
