"""k-means of residuals, level by level."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from sidkit._core import assign_codes

__all__ = ["STARTS", "bisect", "kmeans", "plus_plus", "residual_kmeans"]

Vectors = npt.NDArray[np.float32]

#: k-means++ looks at no more than this many rows per codeword; the iterations look at all of them.
_SAMPLE_PER_CODE = 64
_TRIALS = 4
_POWER_ITERATIONS = 8
_BLOCK = 8192


def residual_kmeans(
    x: Vectors,
    sizes: Sequence[int],
    *,
    iterations: int,
    seed: int,
    start: str = "bisect",
    threads: int | None = None,
) -> Iterator[Vectors]:
    """Codebooks, float32 (size, dim), one a level: k-means of what the levels before have left over."""
    residual = x
    for level, size in enumerate(sizes):
        rng = np.random.default_rng([seed, level])
        codebook = kmeans(residual, size, iterations=iterations, rng=rng, start=start)
        yield codebook
        residual = residual - codebook[assign_codes(residual, [codebook], threads=threads)[:, 0]]


def kmeans(
    x: Vectors,
    size: int,
    *,
    iterations: int,
    rng: np.random.Generator,
    start: str = "bisect",
    first: Vectors | None = None,
) -> Vectors:
    """One codebook, float32 (size, dim), of vectors, float32 (n, dim), n at least `size`.

    Lloyd's algorithm. A codeword that loses all its vectors restarts at a vector of the fullest codeword.
    `first`, if given, is the start.
    """
    codebook = _STARTS[start](x, size, rng) if first is None else first
    codes = _nearest(x, codebook)
    for _ in range(iterations):
        codebook = _means(x, codes, codebook, rng)
        before, codes = codes, _nearest(x, codebook)
        if np.array_equal(before, codes):
            break
    return codebook


def bisect(x: Vectors, size: int, rng: np.random.Generator) -> Vectors:
    """A start for k-means: means of `size` parts, float32 (size, dim).

    Always the part with the largest squared error is cut in two at its mean, across its principal direction.
    Residuals are nearly isotropic clouds; single vectors, such as k-means++ picks, lie far outside of them,
    catch few vectors each, and leave most to the one codeword near the centre. Means of parts do not.
    """
    parts = [_Part(x, np.arange(len(x)))]
    while len(parts) < size:
        worst = max(range(len(parts)), key=lambda index: parts[index].error)
        if not parts[worst].error > 0:  # every distinct vector is a codeword already
            return np.concatenate(
                [[part.mean for part in parts], x[rng.integers(len(x), size=size - len(parts))]]
            )
        parts += parts.pop(worst).cut(x, rng)
    return np.stack([part.mean for part in parts])


def plus_plus(x: Vectors, size: int, rng: np.random.Generator) -> Vectors:
    """A start for k-means: `size` of the vectors, by greedy k-means++ (Arthur and Vassilvitskii, 2007)."""
    if len(x) > _SAMPLE_PER_CODE * size:
        x = x[np.sort(rng.choice(len(x), _SAMPLE_PER_CODE * size, replace=False))]
    norms = np.einsum("ij,ij->i", x, x)
    chosen = [int(rng.integers(len(x)))]
    nearest = _distances(x, norms, chosen)[:, 0]
    for _ in range(size - 1):
        total = nearest.sum(dtype=np.float64)
        if total <= 0:  # every distinct vector is a codeword already
            chosen.append(int(rng.integers(len(x))))
            continue
        trials = np.searchsorted(np.cumsum(nearest, dtype=np.float64), rng.random(_TRIALS) * total)
        trials = np.minimum(trials, len(x) - 1)
        candidates = np.minimum(nearest[:, None], _distances(x, norms, trials))
        best = int(candidates.sum(axis=0, dtype=np.float64).argmin())
        chosen.append(int(trials[best]))
        nearest = candidates[:, best]
    return x[chosen].copy()


_STARTS = {"bisect": bisect, "kmeans++": plus_plus}
STARTS = tuple(_STARTS)


class _Part:
    """Some rows of the vectors, their mean and their squared distance from it."""

    def __init__(self, x: Vectors, rows: npt.NDArray[np.int64]) -> None:
        self.rows = rows
        self.mean: Vectors = x[rows].mean(axis=0, dtype=np.float64).astype(np.float32)
        self.error = float(np.square(x[rows] - self.mean).sum(dtype=np.float64)) if len(rows) > 1 else 0.0

    def cut(self, x: Vectors, rng: np.random.Generator) -> "list[_Part]":
        centred: Vectors = x[self.rows] - self.mean
        direction: Vectors = rng.standard_normal((x.shape[1], 1), dtype=np.float32)
        for _ in range(_POWER_ITERATIONS):
            direction = _unit(np.matmul(centred.T, centred @ direction))
        side = (centred @ direction)[:, 0] < 0
        if side.all() or not side.any():  # rounding, among vectors that are all but equal
            side = np.arange(len(side)) < len(side) // 2
        return [_Part(x, self.rows[side]), _Part(x, self.rows[~side])]


def _nearest(x: Vectors, codebook: Vectors) -> npt.NDArray[np.intp]:
    """Nearest codewords by float32 matrix products: near ties do not matter while codewords still move."""
    norms = np.square(codebook).sum(axis=1)
    codes = np.empty(len(x), np.intp)
    for begin in range(0, len(x), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        codes[rows] = (norms - 2 * (x[rows] @ codebook.T)).argmin(axis=1)
    return codes


def _unit(vector: Vectors) -> Vectors:
    length = np.float32(np.linalg.norm(vector))
    return vector / length if length > 0 else vector


def _means(x: Vectors, codes: npt.NDArray[np.intp], codebook: Vectors, rng: np.random.Generator) -> Vectors:
    counts = np.bincount(codes, minlength=len(codebook))
    order = np.argsort(codes, kind="stable")
    used = np.flatnonzero(counts)
    starts = np.concatenate([[0], np.cumsum(counts[used])[:-1]])
    sums = np.add.reduceat(x[order], starts, axis=0, dtype=np.float64)
    means = codebook.copy()
    means[used] = sums / counts[used, None]
    for empty in np.flatnonzero(counts == 0):
        fullest = int(counts.argmax())
        members = np.flatnonzero(codes == fullest)
        means[empty] = x[members[rng.integers(len(members))]]
        counts[fullest] //= 2
    return means


def _distances(x: Vectors, norms: Vectors, rows: Sequence[int] | npt.NDArray[np.int64]) -> Vectors:
    return np.maximum(norms[:, None] + norms[rows] - 2 * (x @ x[rows].T), 0)
