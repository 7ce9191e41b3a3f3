"""Items that came after a run was made: encoded by its frozen tokenizer, kept beside its own files.

A run keeps them in `appended/<number>/`, one folder for each time: the items, their vectors, the whole table
and its trie. A folder appears by one rename when it is complete, so an interrupted append changes nothing,
and what the stages wrote is never touched. The highest number counts.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit import Trie
from sidkit._files import atomic_folder, sha256_of, write_text
from sidkit._progress import Progress, silent
from sidkit.data import cache_folder, read_items
from sidkit.errors import ConfigError, FormatError, RunDirectoryError
from sidkit.run.config import RunConfig
from sidkit.run.config.settings import flatten, read_config
from sidkit.run.directory import RunDirectory
from sidkit.run.stages import EMBEDDINGS, INDEX, SIDS, TOKENIZER, Work, save_vectors

__all__ = ["Appended", "append_to_run", "read_appended"]

_ITEMS = "items.parquet"
_RECORD = "appended.json"
_FORMAT = "sidkit-appended"


@dataclass(frozen=True)
class Appended:
    """Items beyond those a run was made of.

    Attributes:
        path: the folder that holds them.
        count: how many.
        moved: how many of them have other codes than the tokenizer's nearest, since no token was left there.
    """

    path: Path
    count: int
    moved: int

    @property
    def sids(self) -> Path:
        """The table of all items, the run's own first and unchanged."""
        return self.path / SIDS

    @property
    def index(self) -> Path:
        """The trie of all items."""
        return self.path / INDEX

    def items(self) -> pl.DataFrame:
        """The new items, as they were given."""
        return pl.read_parquet(self.path / _ITEMS)


def read_appended(folder: RunDirectory) -> Appended | None:
    """Find the items that were appended last; None if there are none.

    Raises:
        RunDirectoryError: if the run's own Semantic IDs were made anew since, or a file is not as it was
            written.
        FormatError: if the record of the append is damaged.
    """
    numbers = [entry for entry in folder.path.glob("appended/[0-9]*") if (entry / _RECORD).is_file()]
    if not numbers:
        return None
    newest = max(numbers, key=lambda entry: int(entry.name))
    try:
        record = json.loads((newest / _RECORD).read_text(encoding="utf-8"))
        if record["format"] != _FORMAT:
            raise ValueError(f"format {record['format']!r}")
        made_for, digests = record["ids"], dict(record["files"])
        found = Appended(newest, int(record["count"]), int(record["moved"]))
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"`{newest / _RECORD}` is damaged ({error!r}); delete `{newest}`") from error
    own = folder.records.get("ids")
    if own is None or own.fingerprint != made_for:
        raise RunDirectoryError(
            f"the items in `{newest}` were appended to Semantic IDs that the run has made anew since; "
            f"delete `{newest.parent}` and append them again"
        )
    for name, digest in digests.items():
        file = newest / name
        if not file.is_file() or sha256_of(file) != digest:
            raise RunDirectoryError(f"`{file}` is not the file that was appended; delete `{newest}`")
    return found


def append_to_run(
    path: str | os.PathLike[str],
    items: str | os.PathLike[str],
    *,
    vectors: str | os.PathLike[str] | None = None,
    progress: Progress = silent,
) -> Appended:
    """Give new items Semantic IDs by the tokenizer of a run, which learns nothing from them.

    The Semantic IDs that are there stay, and so do the sizes of all levels, so a model that reads and writes
    tokens (`tiger`, `actionpiece`, `decoderonly`) can recommend the new items as it is. Models with a row for
    each item (`rqtransformer`, `sasrec`, `popularity`) know the items they were trained on alone.

    Args:
        path: the run directory, with finished stages up to `ids`.
        items: a Parquet or CSV file of items, or a folder with `items.parquet` or `items.csv`.
        vectors: a file of their vectors, in the order of the file of items; see `load_vectors`. Needed if
            the run's own came from a file; otherwise texts are embedded as the run's.
        progress: told how far the embedding is.

    Raises:
        RunDirectoryError: if the run is not finished up to `ids`, or was changed.
        ConfigError: if the run's vectors can not be had of items alone.
        DataError: if an item is there already, or the items or vectors are not as they must be.
        CollisionError: if no code has room for an item.
    """
    from sidkit.ids import SidTable, append_items
    from sidkit.tokenizers import load_tokenizer

    with RunDirectory(path) as folder:
        config = read_config(folder.config_path)
        for stage in ("data", "embed", "tokenize", "ids"):
            folder.check(stage, flatten(config))
        folder.verify((EMBEDDINGS, TOKENIZER, SIDS))
        if config.tokenize.vectors != "content":
            raise ConfigError(
                f"the tokenizer of `{folder.path}` learned from vectors of behaviour (tokenize.vectors = "
                f'"{config.tokenize.vectors}"), which new items do not have; make the run anew with them'
            )
        before = read_appended(folder)
        table = SidTable.load(before.sids if before else folder.output("ids", SIDS))
        frame = read_items(items, like=table.item_ids)
        x = _vectors_of(frame, folder, config, vectors, progress)
        tokenizer = load_tokenizer(folder.output("tokenize", TOKENIZER))
        codes = tokenizer.encode(x)
        larger = append_items(
            table, codes, frame["item_id"], alternatives=lambda rows: tokenizer.alternatives(x[rows])
        )
        moved = int((larger.codes[len(table) :] != codes).any(axis=1).sum())
        if before is not None:
            frame = pl.concat([before.items(), frame], how="diagonal_relaxed")
            x = np.concatenate([_read_vectors(before.path / EMBEDDINGS), x])
        number = 1 if before is None else int(before.path.name) + 1
        count, moved = len(frame), moved + (before.moved if before else 0)
        target = folder.path / "appended" / f"{number:04}"
        with atomic_folder(target) as temporary:
            frame.write_parquet(temporary / _ITEMS)
            save_vectors(temporary / EMBEDDINGS, x)
            larger.save(temporary / SIDS)
            Trie.build(larger).save(temporary / INDEX)
            record = {
                "format": _FORMAT,
                "ids": folder.records["ids"].fingerprint,
                "count": count,
                "moved": moved,
                "files": {name: sha256_of(temporary / name) for name in (_ITEMS, EMBEDDINGS, SIDS, INDEX)},
            }
            write_text(temporary / _RECORD, json.dumps(record, indent=2) + "\n")
        return Appended(target, count, moved)


def _vectors_of(
    items: pl.DataFrame,
    folder: RunDirectory,
    config: RunConfig,
    vectors: str | os.PathLike[str] | None,
    progress: Progress,
) -> npt.NDArray[np.float32]:
    from sidkit.embed import default_template, embed_texts, item_texts, load_vectors

    if vectors is not None:
        return load_vectors(vectors, items["item_id"])
    if config.embed.vectors is not None:
        raise ConfigError(
            f"the vectors of `{folder.path}` came from a file ({config.embed.vectors}), so those of new "
            "items must too: --vectors FILE"
        )
    template = config.embed.template or default_template(Work(config, folder).dataset.items)
    return embed_texts(
        item_texts(items, template),
        model=config.embed.model,
        batch_size=config.embed.batch_size,
        cache=cache_folder() / "vectors",
        progress=progress,
    )


def _read_vectors(path: Path) -> npt.NDArray[np.float32]:
    from safetensors.numpy import load_file

    vectors: npt.NDArray[np.float32] = load_file(path)["embeddings"]
    return vectors
