"""Data sets by name: fetched or found, converted once, kept in a cache, checked when read again."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl

from sidkit._files import atomic_folder, sha256_of
from sidkit.data import amazon, movielens
from sidkit.data.download import download
from sidkit.errors import ConfigError, DataError

__all__ = ["built_in_names", "cache_folder", "fetch"]

Progress = Callable[[int, int], None]

# Raised when a converter changes what it writes, so that what an older one made is made again.
CONVERTER = 1
TABLES = ("interactions.parquet", "items.parquet")


def built_in_names() -> tuple[str, ...]:
    """The names that `fetch` and `load_dataset` know."""
    return ("ml-100k", *(f"amazon-{category}" for category in amazon.CATEGORIES))


def cache_folder() -> Path:
    """Where fetched data and vectors are kept: `SIDKIT_CACHE`, or the system's own place for such."""
    if given := os.environ.get("SIDKIT_CACHE"):
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "sidkit" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/sidkit"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sidkit"


def fetch(name: str, cache: str | os.PathLike[str] | None = None, progress: Progress | None = None) -> Path:
    """Give the folder of a data set that is known by name, made first if need be.

    `ml-100k` is MovieLens 100K, fetched with pip out of the wheel of RecBole 1.2.1, whose SHA-256 we know.
    `amazon-<category>` is a 5-core set of the Amazon product data of 2014: put its two files where the error
    says, or set `SIDKIT_AMAZON_URL` to the address under which they lie. There is no published checksum of
    those; `source.json` in the folder records the SHA-256 of the files that were read.

    Args:
        name: one of `built_in_names()`.
        cache: the folder to keep all in, by default `cache_folder()`.
        progress: called with bytes done and of all, for each file that is fetched or read.

    Returns:
        A folder with interactions.parquet, items.parquet and source.json, which `load_dataset` reads.

    Raises:
        ConfigError: if there is no such name.
        DataError: if a file is missing, damaged, or no longer what was once written.
    """
    if name not in built_in_names():
        raise ConfigError(f"there is no data set `{name}`; there are {', '.join(built_in_names())}")
    root = cache_folder() if cache is None else Path(cache)
    folder = root / "datasets" / name
    if not _is_made(folder):
        _make(name, root / "downloads" / name, folder, progress)
    return folder


def _is_made(folder: Path) -> bool:
    """Whether this version's converter made the folder; what it wrote must still be there."""
    try:
        source = json.loads((folder / "source.json").read_bytes())
        if source["converter"] != CONVERTER:
            return False
        written = {table: source["tables"][table] for table in TABLES}
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"`{folder / 'source.json'}` is damaged; delete `{folder}`, and fetch again"
        ) from error
    for table, digest in written.items():
        path = folder / table
        if not path.is_file() or sha256_of(path) != digest:
            raise DataError(
                f"`{path}` is not what was once written there; delete `{folder}`, and fetch again"
            )
    return True


def _make(name: str, downloads: Path, folder: Path, progress: Progress | None) -> None:
    if name == "ml-100k":
        files = [movielens.find_wheel(downloads)]
        interactions, items = movielens.convert(files[0])
    else:
        files = _amazon_files(name, downloads, progress)
        interactions, items = amazon.convert(files[0], files[1], progress)
    with atomic_folder(folder) as temporary:
        _write(interactions, temporary / TABLES[0])
        _write(items, temporary / TABLES[1])
        source = {
            "name": name,
            "converter": CONVERTER,
            "made_from": {path.name: sha256_of(path) for path in files},
            "tables": {table: sha256_of(temporary / table) for table in TABLES},
        }
        (temporary / "source.json").write_text(json.dumps(source, indent=2) + "\n")


def _write(table: pl.DataFrame, path: Path) -> None:
    table.write_parquet(path, compression="zstd")


def _amazon_files(name: str, downloads: Path, progress: Progress | None) -> list[Path]:
    files = [downloads / file for file in amazon.file_names(name.removeprefix("amazon-"))]
    address = os.environ.get("SIDKIT_AMAZON_URL")
    for path in files:
        if not path.is_file() and address:
            download(f"{address.rstrip('/')}/{path.name}", path, progress)
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise DataError(
            f"`{name}` is made from two files of the Amazon product data of 2014; "
            f"put {' and '.join(missing)} into `{downloads}`, "
            "or set SIDKIT_AMAZON_URL to the address of the folder that has them"
        )
    return files
