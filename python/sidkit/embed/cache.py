"""Cache of text vectors, so that only new texts are embedded."""

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

from sidkit._files import UNSEALED, atomic_path, check_seal, seal
from sidkit.errors import FormatError

__all__ = ["VectorCache", "text_keys"]


def text_keys(texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return the SHA-256 of the UTF-8 bytes of each text, uint8 (n, 32)."""
    joined = b"".join(hashlib.sha256(text.encode()).digest() for text in texts)
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, 32)


class VectorCache:
    """Directory of the text vectors of one model.

    Each `add` writes one more file, `<digest>.safetensors`: `keys`, uint8 (n, 32), SHA-256 of the texts, and
    `vectors`, float32 (n, dim). Files never change, so that an interrupt loses nothing and several processes
    may read and write at once. To empty the cache, delete the directory.
    """

    def __init__(self, root: str | os.PathLike[str], model: str) -> None:
        """Open the cache of one model.

        Args:
            root: directory of the caches of all models; created when a vector is added.
            model: hexadecimal digest of everything but the text that determines the vectors.
        """
        self.directory = Path(root) / model[:32]

    def find(
        self, keys: npt.NDArray[np.uint8]
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Yield the cached vectors of these keys, file by file: rows int64 (m,), vectors float32 (m, dim).

        Raises:
            FormatError: if a file is truncated, foreign or damaged.
        """
        rows_by_key = {key.tobytes(): row for row, key in enumerate(keys)}
        for path in sorted(self.directory.glob("*.safetensors")):
            if not rows_by_key:
                return
            kept, vectors = _read(path)
            rows = [rows_by_key.pop(key.tobytes(), -1) for key in kept]
            found = np.array(rows, dtype=np.int64)
            yield found[found >= 0], vectors[found >= 0]

    def add(self, keys: npt.NDArray[np.uint8], vectors: npt.NDArray[np.float32]) -> None:
        """Add the vectors, float32 (n, dim), of the texts with these keys, uint8 (n, 32)."""
        name = hashlib.sha256(keys.tobytes()).hexdigest()[:32]
        arrays: dict[str, npt.NDArray[Any]] = {"keys": np.ascontiguousarray(keys)}
        arrays["vectors"] = np.ascontiguousarray(vectors)
        with atomic_path(self.directory / f"{name}.safetensors") as temporary:
            save_file(arrays, temporary, UNSEALED)
            seal(temporary)


def _read(path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    fix = "Delete it; its texts are embedded again."
    try:
        # The reader checks the header against the size of the file before it allocates memory.
        with safe_open(path, framework="numpy") as file:
            arrays: dict[str, npt.NDArray[Any]] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise FormatError(f"the cache file `{path}` cannot be read: {error}. {fix}") from error
    keys, vectors = arrays.get("keys"), arrays.get("vectors")
    if keys is None or vectors is None or keys.dtype != np.uint8 or vectors.dtype != np.float32:
        raise FormatError(
            f"the cache file `{path}` is foreign: expected `keys` of uint8 and `vectors` of float32, "
            f"got {', '.join(arrays) or 'nothing'}. {fix}"
        )
    if keys.ndim != 2 or keys.shape[1] != 32 or vectors.ndim != 2 or len(keys) != len(vectors):
        raise FormatError(
            f"the cache file `{path}` is damaged: expected keys (n, 32) and vectors (n, dim), "
            f"got shapes {keys.shape} and {vectors.shape}. {fix}"
        )
    if not np.isfinite(vectors).all():
        raise FormatError(f"the cache file `{path}` is damaged: expected finite vectors. {fix}")
    try:
        check_seal(path)
    except FormatError as error:
        raise FormatError(f"{error} {fix}") from error
    return keys, vectors
