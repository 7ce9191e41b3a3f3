"""Recommenders on disk: JSON, Parquet and safetensors; nothing is unpickled."""

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
import safetensors.numpy
from safetensors import SafetensorError

from sidkit._files import atomic_path, write_text
from sidkit.errors import ConfigError, FormatError
from sidkit.ids import SidTable
from sidkit.recommenders.registry import RECOMMENDERS

__all__ = [
    "SIDS",
    "WEIGHTS",
    "build",
    "check_fingerprint",
    "load_model",
    "read_arrays",
    "read_description",
    "read_items",
    "read_sids",
    "write_arrays",
    "write_description",
    "write_items",
]

DESCRIPTION, WEIGHTS, ITEMS, SIDS = "model.json", "model.safetensors", "items.parquet", "sids.parquet"
_VERSION = 1

T = TypeVar("T")


def load_model(path: str | Path) -> Any:
    """Load a recommender that `save` wrote, of any method.

    Args:
        path: its directory.

    Raises:
        FormatError: if a file is missing, truncated, or does not fit the others.
        ConfigError: if the method is unknown, such as that of a plug-in that is not installed.

    Example:
        >>> model = sidkit.load_model("shop-model")
        >>> ids, scores = model.recommend([50, 172, 181], k=10)
    """
    description = read_description(Path(path))
    return RECOMMENDERS[description["method"]].load(path)


def write_description(
    path: Path, method: str, settings: dict[str, Any], item_ids: pl.Series, sids: SidTable | None
) -> None:
    """Write `model.json`."""
    described = {
        "version": _VERSION,
        "method": method,
        "settings": settings,
        "items": {"count": len(item_ids), "type": str(item_ids.dtype)},
        "sids": sids is not None,
        "fingerprint": _fingerprint(item_ids, sids),
    }
    write_text(path / DESCRIPTION, json.dumps(described, indent=2) + "\n")


def read_description(path: Path, method: str | None = None) -> dict[str, Any]:
    """Read `model.json`, and check that it describes this method, if one is given.

    Raises:
        FormatError: if the file is missing, damaged, or of another version or method.
    """
    file = path / DESCRIPTION
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
        found = described["version"], described["method"], described["settings"], described["fingerprint"]
        expected = (int, str, dict, str)
        if not all(isinstance(value, kind) for value, kind in zip(found, expected, strict=True)):
            raise TypeError("a value has the wrong type")
        described.setdefault("sids", False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"`{file}` does not describe a recommender ({error!r}): expected a directory that `save` wrote"
        ) from error
    if described["version"] != _VERSION:
        raise FormatError(f"`{file}` has version {described['version']}: expected version {_VERSION}")
    if method is not None and described["method"] != method:
        raise FormatError(
            f"`{file}` describes another recommender: expected `{method}`, got `{described['method']}`. "
            "Use `sidkit.load_model` for a recommender of any method."
        )
    return described  # type: ignore[no-any-return]


def build(cls: type[T], description: dict[str, Any], path: Path) -> T:
    """Make an unfitted recommender from its settings.

    Raises:
        FormatError: if they are not the settings of the class.
    """
    try:
        return cls(**description["settings"])
    except (TypeError, ConfigError) as error:
        raise FormatError(
            f"`{path / DESCRIPTION}` does not describe a recommender of this version: {error}. Fit it again."
        ) from error


def write_items(path: Path, item_ids: pl.Series, counts: npt.NDArray[np.int64]) -> None:
    """Write `items.parquet`: the id and the training events of every item."""
    with atomic_path(path / ITEMS) as temporary:
        pl.DataFrame({"item_id": item_ids, "count": counts}).write_parquet(temporary)


def read_items(path: Path) -> tuple[pl.Series, npt.NDArray[np.int64]]:
    """Read `items.parquet`.

    Raises:
        FormatError: if the file is missing or damaged.
    """
    file = path / ITEMS
    try:
        frame = pl.read_parquet(file)
        ids, counts = frame["item_id"], frame["count"].to_numpy()
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise FormatError(f"`{file}` holds no items of a recommender: {error}. Fit it again.") from error
    if counts.dtype != np.int64 or (counts < 0).any() or frame.null_count().sum_horizontal().item():
        raise FormatError(f"`{file}` is damaged: expected a count of 0 or more for every item. Fit it again.")
    return ids, counts


def read_sids(path: Path) -> SidTable:
    """Read `sids.parquet`.

    Raises:
        FormatError: if the file is missing or damaged.
    """
    try:
        return SidTable.load(path / SIDS)
    except FileNotFoundError as error:
        raise FormatError(f"`{path / SIDS}` is missing. Fit the recommender again.") from error


def check_fingerprint(
    path: Path, description: dict[str, Any], item_ids: pl.Series, sids: SidTable | None
) -> None:
    """Check that the files of a directory belong together.

    Raises:
        FormatError: if items or Semantic IDs are not those that the recommender was saved with.
    """
    if _fingerprint(item_ids, sids) != description["fingerprint"]:
        raise FormatError(
            f"the files in `{path}` do not belong together: the items or Semantic IDs are not those that the "
            "recommender was saved with. Save it again."
        )


def write_arrays(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Write arrays to `model.safetensors`."""
    with atomic_path(path / WEIGHTS) as temporary:
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        safetensors.numpy.save_file(contiguous, temporary)


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read arrays from `model.safetensors`.

    Raises:
        FormatError: if the file is missing or damaged.
    """
    file = path / WEIGHTS
    try:
        return safetensors.numpy.load_file(file)
    except (OSError, SafetensorError) as error:
        raise FormatError(f"`{file}` is not a readable safetensors file ({error}). Fit it again.") from error


def _fingerprint(item_ids: pl.Series, sids: SidTable | None) -> str:
    digest = hashlib.sha256()
    for column in (item_ids.cast(pl.String), *([] if sids is None else [sids.item_ids.cast(pl.String)])):
        digest.update("\0".join(column.to_list()).encode())
        digest.update(b"\1")
    if sids is not None:
        digest.update(str(list(sids.layout.sizes)).encode())
        digest.update(np.ascontiguousarray(sids.tokens).tobytes())
    return digest.hexdigest()
