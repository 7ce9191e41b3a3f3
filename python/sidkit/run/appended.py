"""Items appended to a finished run: encoded by its frozen tokenizer, stored apart from its own files.

They are in `appended/<number>/`, one directory per call: the items, their vectors, the complete table and its
trie. A directory appears by one rename when it is complete, so an interrupted call changes nothing, and the
files of the stages are never modified. The highest number counts.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import checked
from sidkit._core import Trie
from sidkit._files import atomic_directory, sha256_of, write_text
from sidkit._progress import Progress, silent
from sidkit._tables import read_parquet, write_parquet
from sidkit.data import read_items
from sidkit.embed import default_template, embed_items, item_texts, load_vectors
from sidkit.errors import ConfigError, DataError, FormatError, RunDirectoryError
from sidkit.ids import SidTable, append_items
from sidkit.run.config import RunConfig, flatten, read_config
from sidkit.run.directory import RunDirectory
from sidkit.run.stages.context import Context
from sidkit.run.stages.files import EMBEDDINGS, INDEX, SIDS, TOKENIZER, save_vectors
from sidkit.tokenizers import load_tokenizer

__all__ = ["Appended", "append_to_run", "read_appended"]

_ITEMS = "items.parquet"
_RECORD = "appended.json"
_NUMBER = re.compile("[0-9]{1,9}")
_FORMAT = "sidkit-appended"


@checked
@dataclass(frozen=True)
class Appended:
    """Items beyond those from which a run was made.

    Attributes:
        path: directory that holds them.
        count: number of appended items.
        moved: number of them without their nearest codes, since no token was left there.
        new: number of items that the call itself added; 0 if all of them were there.
    """

    path: Path
    count: int
    moved: int
    new: int = 0

    @property
    def sids(self) -> Path:
        """Table of all items; those of the run come first, unchanged."""
        return self.path / SIDS

    @property
    def index(self) -> Path:
        """Trie of all items."""
        return self.path / INDEX

    def items(self) -> pl.DataFrame:
        """Read the appended items, as they were given."""
        return read_parquet(self.path / _ITEMS)

    def vectors(self) -> npt.NDArray[np.float32]:
        """Read the vectors of the appended items, float32 (count, d)."""
        return load_vectors(self.path / EMBEDDINGS, self.items()["item_id"])


def read_appended(directory: RunDirectory) -> Appended | None:
    """Return the appended items of a run; None if there are none.

    Raises:
        RunDirectoryError: if the Semantic IDs of the run were made again since, or a file was changed.
        FormatError: if the record of the append is damaged.
    """
    numbers = [
        entry
        for entry in directory.path.glob("appended/*")
        if _NUMBER.fullmatch(entry.name) and (entry / _RECORD).is_file()
    ]
    if not numbers:
        return None
    newest = max(numbers, key=lambda entry: int(entry.name))
    try:
        record = json.loads((newest / _RECORD).read_text(encoding="utf-8"))
        if record["format"] != _FORMAT:
            raise ValueError(f"format {record['format']!r}")
        made_for, digests = record["ids"], dict(record["files"])
        found = Appended(newest, int(record["count"]), int(record["moved"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"`{newest / _RECORD}` is damaged ({error!r}); delete `{newest}`") from error
    own = directory.records.get("ids")
    if own is None or own.fingerprint != made_for:
        raise RunDirectoryError(
            f"the items in `{newest}` were appended to Semantic IDs that were replaced since; "
            f"delete `{newest.parent}` and append them again"
        )
    for name, digest in digests.items():
        file = newest / name
        if not file.is_file() or sha256_of(file) != digest:
            raise RunDirectoryError(f"`{file}` is not the file that was appended; delete `{newest}`")
    return found


@checked
def append_to_run(
    path: str | os.PathLike[str],
    items: str | os.PathLike[str],
    *,
    vectors: str | os.PathLike[str] | None = None,
    progress: Progress = silent,
) -> Appended:
    """Give new items Semantic IDs by the tokenizer of a run, which is not trained further.

    The Semantic IDs of the run stay, and so do the sizes of all levels, so a recommender that can add items
    (see `Recommender.add_items`) recommends them without training. The others, such as `sasrec` and
    `popularity`, know only the items that they were trained on.

    Items that an earlier call appended are skipped, so a call may be repeated.

    Args:
        path: the run directory, with finished stages up to `ids`.
        items: a Parquet or CSV file of items, or a directory with `items.parquet` or `items.csv`.
        vectors: a file of their vectors, in the order of the file of items; see `load_vectors`. Required if
            the run's own came from a file; otherwise texts are embedded like the run's.
        progress: called with the progress of the embedding.

    Raises:
        RunDirectoryError: if the run is not finished up to `ids`, or was changed.
        ConfigError: if the vectors of the run need more than the items.
        DataError: if an item is in the catalogue of the run, or was appended with other values, or the items
            or vectors are invalid.
        CollisionError: if no code has room for an item.
    """
    with RunDirectory(path) as directory:
        config = read_config(directory.config_path)
        for stage in ("data", "embed", "tokenize", "ids"):
            directory.check(stage, flatten(config))
        directory.verify((EMBEDDINGS, TOKENIZER, SIDS))
        if config.tokenize.vectors != "content":
            raise ConfigError(
                f"the tokenizer of `{directory.path}` learned from collaborative embeddings "
                f'(tokenize.vectors = "{config.tokenize.vectors}"), which new items do not have; '
                "make a new run with them"
            )
        before = read_appended(directory)
        table = SidTable.load(before.sids if before else directory.output("ids", SIDS))
        given = read_items(items, like=table.item_ids)
        fresh = _not_yet_appended(given, before)
        if before is not None and not fresh.any():
            return before
        frame = given.filter(pl.Series(fresh))
        x = _vectors_of(given, directory, config, vectors, progress)[fresh]
        tokenizer = load_tokenizer(directory.output("tokenize", TOKENIZER))
        codes = tokenizer.encode(x)
        larger = append_items(
            table, codes, frame["item_id"], alternatives=lambda rows: tokenizer.alternatives(x[rows])
        )
        moved = int((larger.codes[len(table) :] != codes).any(axis=1).sum())
        new = len(frame)
        if before is not None:
            frame = pl.concat([before.items(), frame], how="diagonal_relaxed")
            x = np.concatenate([load_vectors(before.path / EMBEDDINGS, before.items()["item_id"]), x])
            moved += before.moved
        return _written(directory, before, frame, x, larger, moved=moved, new=new)


def _written(
    directory: RunDirectory,
    before: Appended | None,
    items: pl.DataFrame,
    vectors: npt.NDArray[np.float32],
    table: SidTable,
    *,
    moved: int,
    new: int,
) -> Appended:
    number = 1 if before is None else int(before.path.name) + 1
    target = directory.path / "appended" / f"{number:04}"
    with atomic_directory(target) as temporary:
        write_parquet(items, temporary / _ITEMS)
        save_vectors(temporary / EMBEDDINGS, vectors)
        table.save(temporary / SIDS)
        Trie.build(table).save(temporary / INDEX)
        record = {
            "format": _FORMAT,
            "ids": directory.records["ids"].fingerprint,
            "count": len(items),
            "moved": moved,
            "files": {name: sha256_of(temporary / name) for name in (_ITEMS, EMBEDDINGS, SIDS, INDEX)},
        }
        write_text(temporary / _RECORD, json.dumps(record, indent=2) + "\n")
    return Appended(target, len(items), moved, new)


def _not_yet_appended(given: pl.DataFrame, before: Appended | None) -> npt.NDArray[np.bool_]:
    """Mark the given items that no earlier call appended, bool (items,).

    Raises:
        DataError: if an item was appended with other values.
    """
    if before is None:
        return np.ones(len(given), dtype=bool)
    earlier = before.items()
    fresh = ~given["item_id"].is_in(earlier["item_id"].to_list()).to_numpy()
    shared = [column for column in given.columns if column in earlier.columns]
    again = given.filter(pl.Series(~fresh)).select(shared)
    there = again.select("item_id").join(
        earlier.select(shared), on="item_id", how="left", maintain_order="left"
    )
    for item_id, row, known in zip(again["item_id"], again.rows(), there.rows(), strict=True):
        if tuple(map(str, row)) != tuple(map(str, known)):
            raise DataError(
                f"item {item_id!r} was appended before with other values: expected {known}, got {row}. "
                "Give it a new id, or make a new run."
            )
    return fresh


def _vectors_of(
    items: pl.DataFrame,
    directory: RunDirectory,
    config: RunConfig,
    vectors: str | os.PathLike[str] | None,
    progress: Progress,
) -> npt.NDArray[np.float32]:
    if vectors is not None:
        return load_vectors(vectors, items["item_id"])
    embed = config.embed
    if embed.vectors is not None:
        raise ConfigError(
            f"the vectors of `{directory.path}` came from a file ({embed.vectors}), so those of new "
            "items must too: --vectors FILE"
        )
    template = embed.template or default_template(Context(config, directory).dataset.items)
    return embed_items(
        item_texts(items, template),
        model=embed.model,
        max_tokens=embed.max_tokens,
        batch_size=embed.batch_size,
        progress=progress,
    )
