"""Text vectors of documents and queries, of length 1."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidkit.embed import embed_texts

__all__ = ["encode", "unit_vectors"]

_FEWEST_TO_CACHE = 32


def encode(texts: Sequence[str], model: str, cache: str | None = None) -> npt.NDArray[np.float32]:
    """Embed texts with a sentence encoder, and scale the vectors to length 1.

    Args:
        texts: n texts, at least one.
        model: as in `sidkit.embed.embed_texts`.
        cache: directory of cached vectors; None for no cache. Fewer than 32 texts, such as one query, are
            not cached, since every call adds a file.

    Returns:
        float32 (n, d).

    Raises:
        ConfigError: if there is no such model.
    """
    kept = cache if len(texts) >= _FEWEST_TO_CACHE else None
    return unit_vectors(embed_texts(texts, model=model, cache=kept))


def unit_vectors(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Scale the rows of a matrix to length 1, float32 (n, d); zero rows stay zero."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    scaled: npt.NDArray[np.float32] = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled
