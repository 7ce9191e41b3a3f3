"""Popularity: the same list for everyone, the floor that every model must clear."""

import json
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from sidkit._files import atomic_path, write_text
from sidkit.errors import FormatError

__all__ = ["Popularity"]


class Popularity:
    """Rank items by how often they occur in the training histories; the lower index first on a tie.

    Attributes:
        counts_: occurrences of each item, int64 (items,), once fitted.
    """

    kind = "popularity"
    counts_: NDArray[np.int64]

    def fit(self, interactions: NDArray[np.int32], items: int) -> "Popularity":
        """Count.

        Args:
            interactions: item indices of all training interactions, int32, any length.
            items: how many items the catalogue has.
        """
        self.counts_ = np.bincount(interactions, minlength=items).astype(np.int64)
        return self

    def scores(self, users: int) -> NDArray[np.float32]:
        """The counts as scores for `users` users, a read-only f32 (users, items) view of one row."""
        return np.broadcast_to(self.counts_.astype(np.float32), (users, len(self.counts_)))

    def save(self, folder: str | Path) -> None:
        """Write `model.safetensors` and `model.json` into `folder`, each whole or not at all."""
        folder = Path(folder)
        with atomic_path(folder / "model.safetensors") as path:
            safetensors.numpy.save_file({"counts": self.counts_}, path)
        description = {"kind": self.kind, "settings": {"items": len(self.counts_)}}
        write_text(folder / "model.json", json.dumps(description, indent=2) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> "Popularity":
        """Read what `save` wrote.

        Raises:
            FormatError: if the file is missing, truncated or foreign.
        """
        path = Path(folder) / "model.safetensors"
        try:
            counts = safetensors.numpy.load_file(path)["counts"]
        except (OSError, SafetensorError, KeyError) as error:
            raise FormatError(f"`{path}` does not hold the counts of items ({error}); train again") from error
        if counts.dtype != np.int64 or counts.ndim != 1 or (counts < 0).any():
            raise FormatError(
                f"`{path}` holds {counts.dtype} {counts.shape}, not int64 (items,); train again"
            )
        popularity = cls()
        popularity.counts_ = counts
        return popularity
