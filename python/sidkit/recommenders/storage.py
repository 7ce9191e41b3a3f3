"""Recommenders on disk: JSON, Parquet and safetensors; nothing is unpickled."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import checked
from sidkit._files import sha256_of, temporary_directory, write_text
from sidkit._settings import check_arguments
from sidkit._tables import read_parquet, write_parquet
from sidkit.errors import FormatError
from sidkit.ids import SidTable
from sidkit.recommenders.registry import RECOMMENDERS

__all__ = [
    "SIDS",
    "WEIGHTS",
    "build",
    "check_files",
    "checksum_of",
    "load_model",
    "read_description",
    "read_items",
    "read_sids",
    "saved",
    "write_items",
]

DESCRIPTION, WEIGHTS, ITEMS, SIDS = "model.json", "model.safetensors", "items.parquet", "sids.parquet"
#: The course of a training, which recommendations do not need.
_OPTIONAL = frozenset({"history.json"})
_VERSION = 1

T = TypeVar("T")


@checked
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


@contextmanager
def saved(path: str | Path, method: str, settings: dict[str, Any], has_sids: bool) -> Iterator[Path]:
    """Yield a temporary directory, and make its files those of the recommender in `path`.

    `model.json` is added; it holds the SHA-256 of every file. Files of a recommender that was saved in `path`
    before are removed, other files are kept.

    Raises:
        NotADirectoryError: if there is a file at `path`.
    """
    target = Path(path)
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"`{target}` is a file: expected a directory for the recommender")
    target.mkdir(parents=True, exist_ok=True)
    stale = _files_of_former(target)
    with temporary_directory(target) as files:
        yield files
        written = sorted(file.relative_to(files).as_posix() for file in files.rglob("*") if file.is_file())
        described = {
            "version": _VERSION,
            "method": method,
            "settings": settings,
            "sids": has_sids,
            "files": {each: sha256_of(files / each) for each in written},
        }
        for each in written:
            (target / each).parent.mkdir(parents=True, exist_ok=True)
            (files / each).replace(target / each)
    described["checksum"] = checksum_of(described)
    write_text(target / DESCRIPTION, json.dumps(described, indent=2) + "\n")
    for each in stale - set(written):
        (target / each).unlink(missing_ok=True)
        parent = (target / each).parent
        if parent != target and not any(parent.iterdir()):
            parent.rmdir()


def _files_of_former(path: Path) -> set[str]:
    """Names of the files of the recommender in a directory; none if there is no valid description."""
    try:
        return set(read_description(path)["files"])
    except FormatError:
        return set()


def read_description(path: Path, method: str | None = None) -> dict[str, Any]:
    """Read `model.json`, and check that it describes this method, if one is given.

    Raises:
        FormatError: if the file is missing, damaged, or of another version or method.
    """
    file = path / DESCRIPTION
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
        found = described["version"], described["method"], described["settings"], described["files"]
        expected = (int, str, dict, dict)
        if not all(isinstance(value, kind) for value, kind in zip(found, expected, strict=True)):
            raise TypeError("a value has the wrong type")
        checksum = described.pop("checksum", None)
        expected_checksum = checksum_of(described)
        described.setdefault("sids", False)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
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
    if checksum != expected_checksum:
        raise FormatError(
            f"`{file}` is damaged: expected the checksum {expected_checksum[:12]}…, got "
            f"{str(checksum)[:12]}…. Save the recommender again."
        )
    return described  # type: ignore[no-any-return]


def checksum_of(described: dict[str, Any]) -> str:
    """Return the SHA-256 of a description without its checksum."""
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def build(cls: type[T], description: dict[str, Any], path: Path) -> T:
    """Make an unfitted recommender from its settings.

    Raises:
        FormatError: if they are not the settings of the class.
    """
    try:
        built = cls(**description["settings"])
        check_arguments(built)
    except (TypeError, ValueError) as error:
        raise FormatError(
            f"`{path / DESCRIPTION}` does not describe a recommender of this version: {error}. Fit it again."
        ) from error
    return built


def write_items(
    path: Path, item_ids: pl.Series, counts: npt.NDArray[np.int64], removed: npt.NDArray[np.bool_]
) -> None:
    """Write `items.parquet`: the id and training events of every item, and whether it was removed."""
    frame = pl.DataFrame({"item_id": item_ids, "count": counts})
    if removed.any():
        frame = frame.with_columns(removed=removed)
    write_parquet(frame, path / ITEMS)


def read_items(path: Path) -> tuple[pl.Series, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Read `items.parquet`: ids, training events, and which items were removed.

    Raises:
        FormatError: if the file is missing or damaged.
    """
    file = path / ITEMS
    try:
        frame = read_parquet(file)
        ids, counts = frame["item_id"], frame["count"].to_numpy()
        removed = frame["removed"] if "removed" in frame.columns else pl.repeat(False, len(ids), eager=True)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise FormatError(f"`{file}` holds no items of a recommender: {error}. Fit it again.") from error
    damaged = counts.dtype != np.int64 or (counts < 0).any() or removed.dtype != pl.Boolean
    if damaged or frame.null_count().sum_horizontal().item():
        raise FormatError(f"`{file}` is damaged: expected a count of 0 or more for every item. Fit it again.")
    return ids, counts, removed.to_numpy()


def read_sids(path: Path) -> SidTable:
    """Read `sids.parquet`.

    Raises:
        FormatError: if the file is missing or damaged.
    """
    try:
        return SidTable.load(path / SIDS)
    except FileNotFoundError as error:
        raise FormatError(f"`{path / SIDS}` is missing. Fit the recommender again.") from error


def check_files(path: Path, description: dict[str, Any]) -> None:
    """Check that the files of a directory are those that its description was written with.

    Raises:
        FormatError: if a file is missing, damaged or of another recommender.
    """
    for name, expected in description["files"].items():
        file = path / name
        if not file.is_file():
            if name in _OPTIONAL:
                continue
            raise FormatError(f"`{file}` is missing: expected all files of the recommender. Save it again.")
        if sha256_of(file) != expected:
            raise FormatError(
                f"the files in `{path}` do not belong together: expected `{name}` with the SHA-256 of "
                f"`{DESCRIPTION}`, got another one. The file is damaged or of another recommender. "
                "Save the recommender again."
            )
