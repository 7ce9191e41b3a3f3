"""Texts to vectors, with any sentence-transformers model."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._extras import require
from sidkit.embed.cache import VectorCache, text_keys
from sidkit.embed.model import model_digest, model_folder
from sidkit.errors import ConfigError, DataError, FormatError

__all__ = ["embed_texts"]

# Texts between two writes to the cache: the work that an interrupt can lose.
CHUNK = 2048

Piece = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]


def embed_texts(
    texts: Sequence[str],
    *,
    model: str | os.PathLike[str] = "minilm",
    batch_size: int = 64,
    max_tokens: int | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> npt.NDArray[np.float32]:
    """Embed texts, each distinct one once, texts of about one length together.

    The vectors are as the model gives them: those of `minilm` and most others have length 1. A text of more
    tokens than the limit loses its end.

    Args:
        texts: n texts; the empty text has a vector too.
        model: `minilm`, a folder, or a name on the Hugging Face hub, see `model_folder`.
        batch_size: texts in one forward pass.
        max_tokens: the limit; by default, and at most, the model's own (256 for `minilm`).
        cache: a folder that keeps the vectors, so that only new texts are embedded next time, and an
            interrupted call goes on from where it was.
        progress: called with the number of texts done and of all, as the work goes on.

    Returns:
        f32 (n, dim).

    Raises:
        ConfigError: if there is no such model, or a setting makes no sense.
        DataError: if there are no texts, or the model's vector of one is not finite.
        FormatError: if a file of the cache is damaged.
    """
    if batch_size < 1 or (max_tokens is not None and max_tokens < 3):
        raise ConfigError(
            f"batch_size must be at least 1 and max_tokens at least 3; got {batch_size=}, {max_tokens=}"
        )
    if len(texts) == 0:
        raise DataError("there are no texts to embed")
    first: dict[str, int] = {}
    original = np.array([first.setdefault(text, row) for row, text in enumerate(texts)])
    rows = np.array(list(first.values()))
    folder = model_folder(model)
    store = None
    if cache is not None:
        key = hashlib.sha256(f"{model_digest(folder)} {max_tokens}".encode()).hexdigest()
        store = VectorCache(cache, key)
    out, done = np.empty((0, 0), dtype=np.float32), 0
    for piece, vectors in _pieces(list(first), folder, batch_size, max_tokens, store):
        if not len(out):
            out = np.empty((len(texts), vectors.shape[1]), dtype=np.float32)
        if vectors.shape[1] != out.shape[1]:
            widths = sorted({vectors.shape[1], out.shape[1]}, reverse=True)
            raise FormatError(
                f"the cache `{cache}` has vectors of {widths[0]} and of {widths[1]} numbers for one model: "
                "files of another model were put there; delete it, and its texts are embedded again"
            )
        out[rows[piece]] = vectors
        done += len(piece)
        if progress:
            progress(done, len(rows))
    copies = np.flatnonzero(original != np.arange(len(original)))
    out[copies] = out[original[copies]]
    return out


def _pieces(
    texts: list[str], folder: Path, batch_size: int, max_tokens: int | None, store: VectorCache | None
) -> Iterator[Piece]:
    """Rows of `texts` and their vectors: first what the cache has, then batch by batch what it has not."""
    missing = np.ones(len(texts), dtype=bool)
    keys = text_keys(texts) if store else np.empty((0, 32), dtype=np.uint8)
    for rows, vectors in store.find(keys) if store else ():
        missing[rows] = False
        yield rows, vectors
    if not missing.any():
        return
    encoder = _load(folder, max_tokens)
    rest = np.flatnonzero(missing)
    # The longest first: if they do not fit into memory, that shows at once.
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


def _load(folder: Path, max_tokens: int | None) -> Any:
    # Only now: torch takes seconds to import, and a full cache does without it.
    require("sentence_transformers", extra="embed")
    import transformers
    from sentence_transformers import SentenceTransformer

    logging: Any = transformers.utils.logging  # without types
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        encoder = SentenceTransformer(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"`{folder}` cannot be loaded as a sentence-transformers model: {error}") from error
    finally:
        if shown:
            logging.enable_progress_bar()
    if max_tokens is not None:
        encoder.max_seq_length = min(max_tokens, encoder.max_seq_length or max_tokens)
    return encoder


def _lengths(encoder: Any, texts: list[str]) -> npt.NDArray[np.int64]:
    """Tokens of each text, int64 (n,), so that the texts of a batch need little padding."""
    tokenizer = encoder.tokenizer
    if not callable(tokenizer):  # not one of transformers
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
        raise DataError(f"the model's vector of a text is not finite; the text is {texts[row][:80]!r}")
    return vectors
