"""Text vectors from sentence-transformers models."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Count, checked
from sidkit._extras import require
from sidkit.embed.cache import VectorCache, text_keys
from sidkit.embed.model import model_digest, model_directory
from sidkit.errors import ConfigError, DataError, FormatError

__all__ = ["embed_texts"]

# Texts between two writes to the cache: an interrupt loses at most this work.
CHUNK = 2048

Piece = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]


@checked
def embed_texts(
    texts: Sequence[str],
    *,
    model: str | os.PathLike[str] = "minilm",
    batch_size: Count = 64,
    max_tokens: int | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> npt.NDArray[np.float32]:
    """Embed texts, each distinct text once, in batches of similar length.

    The vectors are the output of the model, unchanged; those of `minilm` and most other models have length 1.

    Args:
        texts: n texts; the empty text has a vector too.
        model: `minilm`, a directory, or a name on the Hugging Face hub, see `model_directory`.
        batch_size: texts per forward pass.
        max_tokens: length at which a text is truncated, in tokens; by default, and at most, the limit of the
            model (256 for `minilm`).
        cache: directory that keeps the vectors, so that only new texts are embedded next time and an
            interrupted call continues.
        progress: called as `progress(done, total)` with numbers of distinct texts.

    Returns:
        float32 (n, dim).

    Raises:
        ConfigError: if there is no such model, or an argument has an invalid value.
        DataError: if there are no texts, or a vector of the model is not finite.
        FormatError: if a file of the cache is damaged.
    """
    if batch_size < 1 or (max_tokens is not None and max_tokens < 3):
        raise ConfigError(
            "embedding settings are invalid: expected batch_size >= 1 and max_tokens >= 3, "
            f"got {batch_size=}, {max_tokens=}. Correct them."
        )
    if len(texts) == 0:
        raise DataError("there are no texts to embed: expected at least one, got none. Pass texts.")
    first: dict[str, int] = {}
    original = np.array([first.setdefault(text, row) for row, text in enumerate(texts)])
    rows = np.array(list(first.values()))
    directory = model_directory(model)
    store = None
    if cache is not None:
        key = hashlib.sha256(f"{model_digest(directory)} {max_tokens}".encode()).hexdigest()
        store = VectorCache(cache, key)
    out, done = np.empty((0, 0), dtype=np.float32), 0
    for piece, vectors in _pieces(list(first), directory, batch_size, max_tokens, store):
        if not len(out):
            out = np.empty((len(texts), vectors.shape[1]), dtype=np.float32)
        if vectors.shape[1] != out.shape[1]:
            widths = sorted({vectors.shape[1], out.shape[1]}, reverse=True)
            raise FormatError(
                f"the cache `{cache}` is mixed up: expected vectors of one width, got {widths[0]} and "
                f"{widths[1]}. Delete it; its texts are embedded again."
            )
        out[rows[piece]] = vectors
        done += len(piece)
        if progress:
            progress(done, len(rows))
    copies = np.flatnonzero(original != np.arange(len(original)))
    out[copies] = out[original[copies]]
    return out


def _pieces(
    texts: list[str], directory: Path, batch_size: Count, max_tokens: int | None, store: VectorCache | None
) -> Iterator[Piece]:
    """Yield rows of `texts` and their vectors: first the cached ones, then the others batch by batch."""
    missing = np.ones(len(texts), dtype=bool)
    keys = text_keys(texts) if store else np.empty((0, 32), dtype=np.uint8)
    for rows, vectors in store.find(keys) if store else ():
        missing[rows] = False
        yield rows, vectors
    if not missing.any():
        return
    encoder = _load(directory, max_tokens)
    rest = np.flatnonzero(missing)
    # The longest first, so that a batch too large for the memory fails at once.
    rest = rest[np.argsort(-_lengths(encoder, [texts[row] for row in rest]), kind="stable")]
    for start in range(0, len(rest), CHUNK):
        chunk = rest[start : start + CHUNK]
        fresh = []
        for begin in range(0, len(chunk), batch_size):
            rows = chunk[begin : begin + batch_size]
            fresh.append(_encode(encoder, [texts[row] for row in rows]))
            yield rows, fresh[-1]
        if store:
            store.add(keys[chunk], np.concatenate(fresh))


@lru_cache(maxsize=2)  # a query at a time must not load the weights again
def _load(directory: Path, max_tokens: int | None) -> Any:
    # torch takes seconds to import, and a complete cache does not need it.
    require("sentence_transformers", extra="embed")
    import transformers
    from sentence_transformers import SentenceTransformer

    logging: Any = transformers.utils.logging  # without types
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        encoder = SentenceTransformer(str(directory), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"`{directory}` cannot be loaded as a sentence-transformers model: {error}. Use another model."
        ) from error
    finally:
        if shown:
            logging.enable_progress_bar()
    if max_tokens is not None:
        encoder.max_seq_length = min(max_tokens, encoder.max_seq_length or max_tokens)
    return encoder


def _lengths(encoder: Any, texts: list[str]) -> npt.NDArray[np.int64]:
    """Return the number of tokens of each text, int64 (n,)."""
    tokenizer = encoder.tokenizer
    if not callable(tokenizer):  # not a tokenizer of transformers
        return np.array([len(text) for text in texts])
    lengths: list[int] = []
    for start in range(0, len(texts), CHUNK):
        tokens = tokenizer(texts[start : start + CHUNK], truncation=True, max_length=encoder.max_seq_length)
        lengths += map(len, tokens["input_ids"])
    return np.array(lengths)


def _encode(encoder: Any, texts: list[str]) -> npt.NDArray[np.float32]:
    vectors = encoder.encode(texts, batch_size=len(texts), show_progress_bar=False, convert_to_numpy=True)
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if not np.isfinite(vectors).all():
        row = int(np.argmin(np.isfinite(vectors).all(axis=1)))
        raise DataError(
            f"a text vector of the model is invalid: expected finite numbers, got others for "
            f"{texts[row][:80]!r}. Use another model or drop the text."
        )
    return vectors
