"""MovieLens 100K, read from the wheel of RecBole 1.2.1.

The dataset may not be redistributed without GroupLens' permission, so sidkit contains no copy. pip downloads
the wheel, and only two files of it are read.

Harper & Konstan, "The MovieLens Datasets: History and Context", ACM TiiS 5(4), 2015, doi 10.1145/2827872.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import polars as pl

from sidkit._files import atomic_path, sha256_of
from sidkit.data.sources._base import DatasetSource, Progress, SourceTables
from sidkit.errors import DataError

__all__ = ["MovieLens100K"]

PACKAGE = "recbole==1.2.1"
WHEEL = "recbole-1.2.1-py3-none-any.whl"
WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
INSIDE = "recbole/dataset_example/ml-100k/ml-100k"
LARGEST = 16 << 20


class MovieLens100K(DatasetSource):
    """MovieLens 100K: 100,000 ratings of 1,682 movies by 943 users.

    Interactions are user_id, item_id, rating, timestamp; items are item_id, title, release_year, genres.
    """

    names = ("ml-100k",)

    def read(self, downloads: Path, progress: Progress | None = None) -> SourceTables:
        """Download the wheel with pip if it is not in `downloads`, and convert its tables."""
        wheel = _find_wheel(downloads)
        interactions, items = _convert(wheel)
        return SourceTables(interactions, items, (wheel,))


def _find_wheel(downloads: Path) -> Path:
    wheel = downloads / WHEEL
    if not wheel.is_file():
        with tempfile.TemporaryDirectory() as folder:
            fetched = _pip_download(Path(folder), wheel)
            with atomic_path(wheel) as temporary:
                temporary.write_bytes(fetched.read_bytes())
    if (digest := sha256_of(wheel)) != WHEEL_SHA256:
        raise DataError(
            f"`{wheel}` is not the wheel of {PACKAGE}: expected SHA-256 {WHEEL_SHA256}, got {digest}. "
            "Delete it and fetch the dataset again."
        )
    return wheel


def _pip_download(folder: Path, wheel: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--ignore-requires-python", "--disable-pip-version-check", "--no-input"]
    command += ["--dest", str(folder), PACKAGE]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0 or not (folder / WHEEL).is_file():
        reason = result.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise DataError(
            f"ml-100k cannot be downloaded: `{' '.join(command[1:4])} {PACKAGE}` failed ({reason[0]}). "
            f"Without network, put the file {WHEEL} of the package recbole at `{wheel}`."
        )
    return folder / WHEEL


def _convert(wheel: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            events, movies = _member(archive, "inter"), _member(archive, "item")
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise DataError(
            f"`{wheel}` cannot be read: {error}. Delete it and fetch the dataset again."
        ) from error
    interactions = _read(events).select(
        pl.col("user_id:token").cast(pl.Int32).alias("user_id"),
        pl.col("item_id:token").cast(pl.Int32).alias("item_id"),
        pl.col("rating:float").cast(pl.Float32).alias("rating"),
        pl.col("timestamp:float").cast(pl.Int64).alias("timestamp"),
    )
    items = _read(movies).select(
        pl.col("item_id:token").cast(pl.Int32).alias("item_id"),
        # The source misspells the title of movie 267, which MovieLens calls unknown.
        pl.col("movie_title:token_seq").replace("unkonwn", "unknown").alias("title"),
        pl.col("release_year:token").cast(pl.Int32, strict=False).alias("release_year"),
        pl.col("class:token_seq").str.split(" ").alias("genres"),
    )
    return interactions, items


def _member(archive: zipfile.ZipFile, kind: str) -> bytes:
    name = f"{INSIDE}.{kind}"
    if archive.getinfo(name).file_size > LARGEST:
        raise DataError(
            f"`{name}` is too large: expected at most {LARGEST} bytes, "
            f"got {archive.getinfo(name).file_size}. Delete the wheel and fetch the dataset again."
        )
    return archive.read(name)


def _read(content: bytes) -> pl.DataFrame:
    return pl.read_csv(io.BytesIO(content), separator="\t", infer_schema=False, quote_char=None)
