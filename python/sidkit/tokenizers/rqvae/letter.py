"""The losses by which LETTER makes an RQ-VAE aware of behaviour, and its codes diverse."""

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
    """LETTER's collaborative regularization (Wang et al., CIKM 2024, arXiv 2405.07314).

    An item's quantized latent z is drawn to the item's collaborative vector h, away from those of the other
    items of the batch:

        alpha * -1/B sum_i log( exp(z_i . h_i) / sum_j exp(z_i . h_j) )

    The paper takes h from a trained recommender, of as many dimensions as z. Other widths are allowed here: z
    goes through a linear map then, which is trained along. The vectors are scaled to a mean squared length of
    1 and divided by a temperature, so that one weight suits vectors of any origin. An item with a vector of
    zeros, of which nothing is known, neither is drawn anywhere nor stands against another.

    Args:
        vectors: float (n, width), a row for every vector given to `RQVAE.fit`; made of training events only,
            such as `collaborative_embeddings(split.train, n)`.
        latent: dimensions of the RQ-VAE's latent vectors.
        weight: alpha.
        temperature: the smaller, the more the nearest of the other items count.
        seed: of the linear map, if there is one.

    Raises:
        ConfigError: if a setting makes no sense.
        DataError: if the vectors are not finite, or all of them are zeros.
    """

    def __init__(
        self,
        vectors: npt.ArrayLike,
        latent: int,
        *,
        weight: float = 0.02,
        temperature: float = 0.1,
        seed: int = 0,
    ) -> None:
        if not weight >= 0 or not temperature > 0:
            raise ConfigError(
                f"weight must not be negative and temperature positive, not {weight} and {temperature}"
            )
        given = check_vectors(vectors)
        known = given.any(axis=1)
        if not known.any():
            raise DataError("all collaborative vectors are zeros, so there is nothing to be drawn to")
        length = np.sqrt(np.square(given[known], dtype=np.float64).sum(axis=1).mean())
        self.weight = weight
        self._vectors = torch.from_numpy((given / (length * temperature)).astype(np.float32))
        self._known = torch.from_numpy(known)
        self._map: nn.Linear | None = None
        if given.shape[1] != latent:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                self._map = nn.Linear(latent, given.shape[1], bias=False)

    def parameters(self) -> Iterable[nn.Parameter]:
        """The linear map from latents to collaborative vectors, if they differ in width."""
        return () if self._map is None else self._map.parameters()

    def __call__(self, rows: Tensor, latent: Tensor, quantized: Tensor, reconstruction: Tensor) -> Tensor:
        """The weighted loss of a batch; 0 without two items of which something is known."""
        known = self._known[rows]
        if int(known.sum()) < 2:
            return torch.zeros(())
        chosen = quantized[known]
        mapped = chosen if self._map is None else self._map(chosen)
        return self.weight * contrast(mapped, self._vectors[rows[known]])


class DiversityLoss:
    """LETTER's diversity regularization (Wang et al., CIKM 2024, arXiv 2405.07314).

    Codewords are parted into clusters of equal size, anew every `every` batches. An item's codeword e is
    drawn to another of its cluster, taken at random, and away from all others, so that codewords are spread
    out by cluster and items over codewords:

        beta * -1/B sum_i log( exp(e_i . e_plus) / sum_{j != i} exp(e_i . e_j) )

    on average over levels, where j goes over all codewords but the item's own.

    Args:
        weight: beta.
        clusters: of the codewords of a level; a level with fewer than twice as many codewords has half as
            many clusters as codewords.
        every: batches between two clusterings.
        seed: of the clusters and of what is taken at random.

    Raises:
        ConfigError: if a setting makes no sense.
    """

    def __init__(self, *, weight: float = 1e-4, clusters: int = 10, every: int = 50, seed: int = 0) -> None:
        if not weight >= 0:
            raise ConfigError(f"weight must not be negative, not {weight}")
        if clusters < 1 or every < 1:
            raise ConfigError(f"clusters and every must be at least 1, not {clusters} and {every}")
        self.weight = weight
        self.clusters = clusters
        self.every = every
        self.seed = seed
        self.begin()

    def parameters(self) -> Iterable[nn.Parameter]:
        """Nothing: only the codewords are trained."""
        return ()

    def begin(self) -> None:
        """Forget the clusters of another training."""
        self._batches = 0
        self._groups: list[npt.NDArray[np.uint16]] = []

    def state(self) -> Mapping[str, npt.NDArray[Any]]:
        """The batches so far, which decide what is taken at random, and the clusters of each level."""
        groups = {f"groups.{level}": groups for level, groups in enumerate(self._groups)}
        return {"batches": np.array([self._batches]), **groups}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take over what `state` gave.

        Raises:
            KeyError: if something is missing of it.
            ValueError: if it is of other types.
        """
        (batches,) = state["batches"].tolist()
        groups = [state[f"groups.{level}"] for level in range(len(state) - 1)]
        if type(batches) is not int or any(of.dtype != np.uint16 or of.ndim != 1 for of in groups):
            raise ValueError("clusters are uint16 (codes,) a level, and batches an integer")
        self._batches, self._groups = batches, groups

    def codebook_loss(self, codebooks: Sequence[Tensor], codes: Tensor) -> Tensor:
        """The weighted loss of a batch."""
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
    """Another codeword of each code's cluster at random, int64 (batch,); -1 if it is alone there."""
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], groups[codes])
    sizes = np.bincount(groups)[groups[codes]]
    places = np.empty(len(groups), np.int64)
    places[order] = np.arange(len(groups))
    steps = 1 + (rng.random(len(codes)) * (sizes - 1)).astype(np.int64)
    found = order[starts + (places[codes] - starts + steps) % sizes]
    return np.where(sizes > 1, found, -1)
