"""Vectors of texts that were embedded before, so that a new item costs one item."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from sidkit._files import atomic_path
from sidkit.errors import FormatError

__all__ = ["VectorCache", "text_keys"]


def text_keys(texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    """SHA-256 of each text's UTF-8 bytes, uint8 (n, 32)."""
    joined = b"".join(hashlib.sha256(text.encode()).digest() for text in texts)
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, 32)


class VectorCache:
    """A folder with the vectors that one model made of texts.

    Each `add` writes one more file, `<digest>.safetensors`: `keys` uint8 (n, 32), the texts' SHA-256, and
    `vectors` f32 (n, dim). A file is never changed, so an interrupt loses nothing, and several processes may
    read and write at once. To empty the cache, delete the folder.
    """

    def __init__(self, root: str | os.PathLike[str], model: str) -> None:
        """Open the cache of one model.

        Args:
            root: the folder of all caches; made when something is added.
            model: a digest of all that decides the vectors besides the text, as hex.
        """
        self.folder = Path(root) / model[:32]

    def find(
        self, keys: npt.NDArray[np.uint8]
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Give what is there of the wanted keys, file by file: rows (m,) and vectors f32 (m, dim).

        Raises:
            FormatError: if a file is truncated, foreign, or not what we wrote.
        """
        wanted = {key.tobytes(): row for row, key in enumerate(keys)}
        for path in sorted(self.folder.glob("*.safetensors")):
            if not wanted:
                return
            kept, vectors = _read(path)
            rows = [wanted.pop(key.tobytes(), -1) for key in kept]
            found = np.array(rows, dtype=np.int64)
            yield found[found >= 0], vectors[found >= 0]

    def add(self, keys: npt.NDArray[np.uint8], vectors: npt.NDArray[np.float32]) -> None:
        """Keep the vectors f32 (n, dim) of the texts with these keys uint8 (n, 32)."""
        name = hashlib.sha256(keys.tobytes()).hexdigest()[:32]
        arrays: dict[str, npt.NDArray[Any]] = {"keys": np.ascontiguousarray(keys)}
        arrays["vectors"] = np.ascontiguousarray(vectors)
        with atomic_path(self.folder / f"{name}.safetensors") as temporary:
            save_file(arrays, temporary)


def _read(path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    hint = "it is not a cache file of ours, or damaged; delete it, and its texts are embedded again"
    try:
        # The reader checks the header against the size of the file before anything is allocated.
        with safe_open(path, framework="numpy") as file:
            arrays: dict[str, npt.NDArray[Any]] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise FormatError(f"`{path}` cannot be read ({error}): {hint}") from error
    keys, vectors = arrays.get("keys"), arrays.get("vectors")
    if keys is None or vectors is None or keys.dtype != np.uint8 or vectors.dtype != np.float32:
        raise FormatError(f"`{path}` must hold `keys` of uint8 and `vectors` of float32: {hint}")
    if keys.ndim != 2 or keys.shape[1] != 32 or vectors.ndim != 2 or len(keys) != len(vectors):
        raise FormatError(f"`{path}` has keys {keys.shape} and vectors {vectors.shape}: {hint}")
    if not np.isfinite(vectors).all():
        raise FormatError(f"`{path}` has vectors that are not finite: {hint}")
    return keys, vectors
