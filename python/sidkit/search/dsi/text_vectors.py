"""Token vectors of texts from a frozen sentence encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._extras import require
from sidkit.embed import model_directory

__all__ = ["TextVectors", "token_vectors"]

_BATCH = 64


@dataclass(frozen=True, eq=False)
class TextVectors:
    """Vectors of the first tokens of n texts.

    Attributes:
        values: float16 (n, tokens, width), zero after the end of a text.
        lengths: tokens of each text, int64 (n,), at least 1.
    """

    values: npt.NDArray[np.float16]
    lengths: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def width(self) -> int:
        """Dimensions of a vector."""
        return int(self.values.shape[2])


def token_vectors(texts: Sequence[str], model: str, max_tokens: int) -> TextVectors:
    """Compute the output vectors of a sentence encoder for the first tokens of each text.

    Args:
        texts: n texts.
        model: as in `sidkit.embed.embed_texts`.
        max_tokens: tokens of each text that are read, the two special tokens included.

    Raises:
        ConfigError: if there is no such model.
    """
    require("sentence_transformers", extra="search")
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(str(model_directory(model)), local_files_only=True)
    encoder.max_seq_length = min(max_tokens, encoder.max_seq_length or max_tokens)
    values = np.zeros((len(texts), max_tokens, 0), np.float16)
    lengths = np.ones(len(texts), np.int64)
    for start in range(0, len(texts), _BATCH):
        found: Any = encoder.encode(
            list(texts[start : start + _BATCH]), output_value="token_embeddings", show_progress_bar=False
        )
        if not start:
            values = np.zeros((len(texts), max_tokens, found[0].shape[1]), np.float16)
        for row, each in enumerate(found, start):
            lengths[row] = len(each)
            values[row, : len(each)] = each.cpu().numpy()
    return TextVectors(values, lengths)
