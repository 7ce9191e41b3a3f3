"""Datasets from files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import polars as pl

from sidkit._arguments import checked
from sidkit._registry import nearest
from sidkit._tables import read_csv, read_parquet
from sidkit.data.dataset import Dataset, Least
from sidkit.data.frames import rename_columns
from sidkit.data.id_columns import is_id_type
from sidkit.data.sources import DATASETS
from sidkit.data.sources._fetch import fetch
from sidkit.errors import ConfigError, DataError

__all__ = ["load_dataset", "read_items"]

# Without leading zeros, plus signs or spaces, so that conversion to an integer is reversible.
CANONICAL_INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"


@checked
def load_dataset(
    source: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    min_user_events: Least = 0,
    min_item_events: Least = 0,
    unknown_items: Literal["error", "drop"] = "error",
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Load a dataset from a directory, or by name.

    The directory holds `interactions.parquet` or `interactions.csv`, and `items.parquet` or `items.csv`,
    with the columns of `Dataset`; times may have every form that `Dataset.from_frames` accepts. In CSV files,
    a column of ids holds integers only if every id is written plainly: `007` makes it a column of strings.
    Other columns of an `items.csv` are text.

    Args:
        source: a name such as `ml-100k`, see `DATASETS`, or a directory; `./ml-100k` is always a directory.
        columns: name in sidkit to name in the files of a directory, such as `{"user_id": "reviewerID"}`.
        min_user_events: drop users with fewer events, see `Dataset.filtered`.
        min_item_events: drop items with fewer events, see `Dataset.filtered`.
        unknown_items: what happens to events whose item is not in `items`: `error`, or `drop` them.
        progress: called as `progress(done, total)` with bytes, if a dataset must be downloaded first.

    Raises:
        DataError: if a file or a column is missing or empty, or has invalid content.
        ConfigError: if an argument has an invalid value.
    """
    if isinstance(source, str) and source in DATASETS:
        if columns:
            raise ConfigError(
                f"`columns` does not apply to the dataset `{source}`: expected a directory as the source, "
                "got a name. Leave `columns` out."
            )
        directory = fetch(source, progress=progress)
    else:
        directory = Path(source)
    dataset = _read_directory(directory, columns, unknown_items)
    if min_user_events > 0 or min_item_events > 0:
        dataset = dataset.filtered(min_user_events=min_user_events, min_item_events=min_item_events)
    return dataset


@checked
def read_items(path: str | os.PathLike[str], *, like: pl.Series) -> pl.DataFrame:
    """Read a table of items without interactions.

    Args:
        path: Parquet or CSV file, or a directory with `items.parquet` or `items.csv`.
        like: ids of a catalogue; the ids of a CSV file become integers if these are integers.

    Returns:
        The table, with distinct `item_id` of the type of `like`.

    Raises:
        DataError: if there is no such file, or its ids are missing, repeated or of another type.
    """
    path = Path(path)
    if path.is_dir():
        path = _find_table(path, "items")
    if path.suffix not in (".parquet", ".csv") or not path.is_file():
        raise DataError(
            f"`{path}` has no items: expected a .parquet or .csv file, or a directory with items.parquet or "
            "items.csv. Correct the path."
        )
    items = _read_table(path)
    if "item_id" not in items.columns or not len(items):
        raise DataError(
            f"`{path}` has no item ids: expected a column `item_id` and at least one row, "
            f"got {', '.join(items.columns)} and {len(items)} rows. Add them."
        )
    ids = items["item_id"]
    if path.suffix == ".csv" and like.dtype.is_integer() and _is_plain(ids):
        ids = ids.cast(pl.Int64)
    if ids.dtype.is_integer() != like.dtype.is_integer():
        raise DataError(
            f"`item_id` of `{path}` has the wrong type: expected {like.dtype} as in the catalogue, "
            f"got {ids.dtype}. Cast it."
        )
    try:
        ids = ids.cast(like.dtype)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DataError(
            f"an `item_id` of `{path}` is too large: expected ids that fit {like.dtype} as in the catalogue. "
            "Correct the ids."
        ) from error
    if ids.null_count() or ids.n_unique() < len(ids):
        raise DataError(
            f"`item_id` of `{path}` has missing or repeated ids: expected every id once, got "
            f"{ids.null_count()} nulls and {ids.drop_nulls().n_unique()} distinct ids in {len(ids)} rows. "
            "Drop these rows."
        )
    return items.with_columns(ids)


def _read_directory(
    directory: Path, columns: Mapping[str, str] | None, unknown_items: Literal["error", "drop"]
) -> Dataset:
    if not directory.is_dir():
        raise DataError(
            f"there is no dataset `{directory}`: expected a directory with interactions.parquet and "
            f"items.parquet (or .csv), or one of the names {', '.join(DATASETS)}"
            f"{nearest(str(directory), DATASETS)}. Correct the path or the name."
        )
    items_path, interactions_path = _find_table(directory, "items"), _find_table(directory, "interactions")
    tables = _read_table(interactions_path), _read_table(items_path)
    interactions, items = rename_columns(tables, columns)
    texts = [path for path in (items_path, interactions_path) if path.suffix == ".csv"]
    if interactions_path in texts:
        interactions = _integers_if_plain(interactions, "user_id")
    items, interactions = _one_item_id_type(
        items, interactions, items_path in texts, interactions_path in texts
    )
    return Dataset.from_frames(
        interactions, items, name=directory.resolve().name, unknown_items=unknown_items
    )


def _find_table(directory: Path, name: str) -> Path:
    for suffix in (".parquet", ".csv"):
        if (path := directory / f"{name}{suffix}").is_file():
            return path
    there = ", ".join(sorted(path.name for path in directory.iterdir())) or "nothing"
    raise DataError(
        f"`{directory}` has no {name}: expected {name}.parquet or {name}.csv, got {there}. Add the file."
    )


def _read_table(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".csv":
            _check_text(path)
            return read_csv(path, as_text=True)
        return read_parquet(path)
    except pl.exceptions.NoDataError:
        raise DataError(
            f"`{path}` is empty: expected a header and at least one row, got none. Add them."
        ) from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        # The lines after the first are hints about arguments of polars.
        first_line = str(error).partition("\n")[0]
        raise DataError(
            f"`{path}` is not a readable {path.suffix[1:]} file: {first_line}. Write it again."
        ) from error


def _check_text(path: Path) -> None:
    """Reject UTF-16 and binary files, which polars would read as one column."""
    with path.open("rb") as file:
        if b"\0" in file.read(4096):
            raise DataError(f"`{path}` is not a text file: expected UTF-8, got zero bytes. Save it as UTF-8.")


def _integers_if_plain(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    plain = [column for column in columns if column in frame.columns and _is_plain(frame[column])]
    return frame.with_columns(pl.col(plain).cast(pl.Int64))


def _is_plain(texts: pl.Series) -> bool:
    return bool(texts.str.contains(CANONICAL_INTEGER).all())


def _one_item_id_type(
    items: pl.DataFrame, interactions: pl.DataFrame, items_are_text: bool, interactions_are_text: bool
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Convert `item_id` of CSV tables to integers if the ids of both tables allow it."""
    if "item_id" not in items.columns or "item_id" not in interactions.columns:
        return items, interactions
    ids, used = items["item_id"], interactions["item_id"]
    if items_are_text and interactions_are_text:
        to_integers = _is_plain(ids) and _is_plain(used)
    elif items_are_text:
        to_integers = used.dtype.is_integer() and _is_plain(ids)
    elif interactions_are_text:
        to_integers = is_id_type(ids.dtype) and ids.dtype.is_integer() and _is_plain(used)
    else:
        return items, interactions
    if to_integers and items_are_text:
        items = items.with_columns(ids.cast(pl.Int64))
    if to_integers and interactions_are_text:
        interactions = interactions.with_columns(used.cast(pl.Int64))
    return items, interactions
