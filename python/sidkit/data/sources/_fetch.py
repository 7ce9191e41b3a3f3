"""Cache of the datasets that are known by name."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import polars as pl

from sidkit._arguments import checked
from sidkit._files import atomic_directory, sha256_of
from sidkit.data.sources import DATASETS
from sidkit.data.sources._base import DatasetSource, Progress
from sidkit.errors import DataError

__all__ = ["cache_directory", "fetch"]

TABLES = ("interactions.parquet", "items.parquet")


@checked
def cache_directory() -> Path:
    """Return the directory of cached datasets and vectors: `SIDKIT_CACHE`, or the cache of the system."""
    if given := os.environ.get("SIDKIT_CACHE"):
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "sidkit" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/sidkit"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sidkit"


@checked
def fetch(name: str, cache: str | os.PathLike[str] | None = None, progress: Progress | None = None) -> Path:
    """Return the directory of a dataset that is known by name; download and convert it first if necessary.

    `ml-100k` is MovieLens 100K from the wheel of RecBole 1.2.1, which pip downloads and whose SHA-256 is
    checked. `amazon-<category>` is a 5-core dataset of the Amazon product data of 2014: put its two files
    where the error message says, or set `SIDKIT_AMAZON_URL` to the address of their directory. There is no
    published checksum of these; `source.json` records the SHA-256 of the files that were read.

    Args:
        name: one of `DATASETS`.
        cache: cache directory, by default `cache_directory()`.
        progress: called as `progress(done, total)` with bytes, for each file that is downloaded or read.

    Returns:
        A directory with interactions.parquet, items.parquet and source.json, for `load_dataset`.

    Raises:
        ConfigError: if there is no such dataset.
        DataError: if a file is missing or damaged, or a cached file was changed.
    """
    source: DatasetSource = DATASETS[name](name)
    root = cache_directory() if cache is None else Path(cache)
    directory = root / "datasets" / name
    if not _is_current(directory, source.version):
        _make(source, root / "downloads" / name, directory, progress)
    return directory


def _is_current(directory: Path, version: int) -> bool:
    """Return whether this version of the conversion made the directory; its tables must be unchanged."""
    try:
        described = json.loads((directory / "source.json").read_bytes())
        if described["converter"] != version:
            return False
        written = {table: described["tables"][table] for table in TABLES}
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"`{directory / 'source.json'}` is damaged: expected a description of the tables, got {error!r}. "
            f"Delete `{directory}` and fetch the dataset again."
        ) from error
    for table, digest in written.items():
        path = directory / table
        found = sha256_of(path) if path.is_file() else "no file"
        if found != digest:
            raise DataError(
                f"`{path}` was changed after it was written: expected SHA-256 {digest}, got {found}. "
                f"Delete `{directory}` and fetch the dataset again."
            )
    return True


def _make(source: DatasetSource, downloads: Path, directory: Path, progress: Progress | None) -> None:
    made = source.read(downloads, progress)
    with atomic_directory(directory) as temporary:
        _write(made.interactions, temporary / TABLES[0])
        _write(made.items, temporary / TABLES[1])
        described: dict[str, Any] = {
            "name": source.name,
            "converter": source.version,
            "made_from": {path.name: sha256_of(path) for path in made.files},
            "tables": {table: sha256_of(temporary / table) for table in TABLES},
        }
        (temporary / "source.json").write_text(json.dumps(described, indent=2) + "\n")


def _write(table: pl.DataFrame, path: Path) -> None:
    table.write_parquet(path, compression="zstd")
