"""One interface to the models that a server can use: a session, or a recommender in this process."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._core import ItemSet, SidLayout, Trie
from sidkit._integer_index import IntegerIndex
from sidkit._tables import read_parquet
from sidkit.errors import ConfigError, FormatError, SidkitError
from sidkit.ids import SidTable
from sidkit.rerank import ItemFeatures
from sidkit.serve.session import Session

__all__ = ["ServedModel", "open_model"]

Lists = tuple[list[list[Any]], npt.NDArray[np.float32]]


def open_model(path: str | os.PathLike[str], *, threads: int | None = None) -> ServedModel:
    """Open a model that `save` wrote: as a session if it can be one, otherwise as a recommender.

    Args:
        path: directory of the model.
        threads: most threads of a session; None for one per core.

    Raises:
        FormatError: if a file is missing or damaged.
        MissingExtraError: if the model needs torch, and torch is not installed.
    """
    directory = Path(path)
    description = directory / "model.json"
    try:
        content = description.read_bytes()
        json.loads(content)
    except (OSError, ValueError) as error:
        raise FormatError(
            f"`{description}` does not describe a model ({error}): expected a directory that `save` wrote. "
            "Pass the directory of a model or of a run."
        ) from error
    version = hashlib.sha256(content).hexdigest()[:12]
    items = _items(directory / "items.parquet")
    model: Any
    try:
        model, is_session = Session.open(directory, threads=threads), True
    except (FormatError, ConfigError):
        from sidkit.recommenders import load_model

        model, is_session = load_model(directory), False
    found = ServedModel(model, version, items["item_id"], items["count"].to_numpy(), is_session=is_session)
    if "removed" in items.columns:
        found.removed = np.flatnonzero(items["removed"].to_numpy())
    return found


class ServedModel:
    """A model, the rows of its items, and its filters; immutable, changes make another one.

    Args:
        model: a `Session` or a recommender.
        version: short digest of its files.
        item_ids: id of every row.
        counts: training events of every row, int64 (rows,).
        is_session: whether it is a `Session`, which any number of threads may call at a time.

    Attributes:
        removed: rows of items that had been removed when the model was saved, int64 (n,).
    """

    def __init__(
        self,
        model: Any,
        version: str,
        item_ids: pl.Series,
        counts: npt.NDArray[np.int64],
        *,
        is_session: bool = False,
    ) -> None:
        self._model = model
        self._is_session = is_session
        self.version = version
        self.removed: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self.item_ids = item_ids
        self.counts = counts
        self._lock: AbstractContextManager[Any] = nullcontext() if is_session else threading.Lock()

    @property
    def method(self) -> str:
        """Name of the method, such as `rqtransformer`."""
        return str(self._model.method)

    @property
    def engine(self) -> str:
        """Engine of the recommendations: `session` (Rust) or `recommender` (torch)."""
        return "session" if self._is_session else "recommender"

    @property
    def scorings(self) -> tuple[str, ...]:
        """Rankings that the model offers; the first is the default."""
        return tuple(self._model.scorings)

    def item_set(self, rows: npt.NDArray[np.integer[Any]]) -> ItemSet:
        """Return the set of some rows, for `allow`."""
        return self._trie.item_set(rows)

    def recommend(self, histories: list[list[Any]], k: int, **options: Any) -> Lists:
        """Recommend items after histories of known ids.

        Args:
            histories: item ids, oldest first.
            k: items per history.
            **options: `scoring`, `exclude_seen`, `exclude` (ids per history) and `allow` (a set, or one per
                history).

        Returns:
            Item ids, of each history at most k, and their scores, float32 (histories, k).
        """
        with self._lock:
            ids, scores = self._model.recommend(histories, k, **options)
        return [_found(row, values) for row, values in zip(ids.tolist(), scores, strict=True)], scores

    def similar_items(self, item_id: Any, k: int) -> list[tuple[Any, float]]:
        """Return the most similar items and their cosine similarities, best first.

        Raises:
            ConfigError: if the model has no item vectors.
        """
        with self._lock:
            ids, scores = self._model.similar_items(item_id, k)
        return list(zip(_found(ids.tolist(), scores), scores.tolist(), strict=False))

    @cached_property
    def features(self) -> ItemFeatures:
        """Facts about the items, for re-rankers."""
        return ItemFeatures(item_ids=self.item_ids, counts=self.counts, learned=self._vectors)

    def rows(self, item_ids: Sequence[Any]) -> npt.NDArray[np.int64]:
        """Return the row of each id, int64 (n,), -1 for an unknown one."""
        if self._is_session:
            rows: npt.NDArray[np.int64] = self._model.rows(item_ids)
            rows[rows >= len(self.item_ids)] = -1  # items of later versions
            return rows
        known = self._rows
        if isinstance(known, IntegerIndex):
            return known.rows(np.array(item_ids, np.int64)).astype(np.int64)
        return np.array([known.get(each, -1) for each in item_ids], np.int64)

    def with_items(
        self,
        item_ids: list[Any],
        rows: npt.NDArray[np.int64],
        vectors: npt.NDArray[np.float32],
        tokens: npt.NDArray[np.uint16] | None,
    ) -> tuple[ServedModel, bool]:
        """Return a model that recommends more items; itself and False if it needs a new training for that.

        Args:
            item_ids: the items. Those without a row get the next rows, in this order.
            rows: row that each of them had before it was removed, int64 (n,), -1 for none.
            vectors: content vectors, float32 (n, d).
            tokens: Semantic IDs, uint16 (n, levels), or None.
        """
        if not hasattr(self._model, "add_items"):
            return self, False
        model = self._model if self._is_session else copy.copy(self._model)
        try:
            if self._is_session:
                model.add_items(item_ids, vectors, tokens=tokens)
            else:
                model.add_items(item_ids, vectors, sids=_extended(model.sids_, item_ids, tokens))
        except SidkitError:  # such as vectors that the model did not have in its training
            return self, False
        fresh = [item for item, row in zip(item_ids, rows.tolist(), strict=True) if row < 0]
        ids = pl.concat([self.item_ids, pl.Series("item_id", fresh, dtype=self.item_ids.dtype)])
        counts = np.append(self.counts, np.zeros(len(fresh), np.int64))
        return ServedModel(model, self.version, ids, counts, is_session=self._is_session), True

    def without_items(self, item_ids: list[Any]) -> tuple[ServedModel, bool]:
        """Return a model without some of its items; itself and False if it cannot remove them."""
        if not hasattr(self._model, "remove_items"):
            return self, False
        model = self._model if self._is_session else copy.copy(self._model)
        try:
            model.remove_items(item_ids)
        except ConfigError:
            return self, False
        found = ServedModel(model, self.version, self.item_ids, self.counts, is_session=self._is_session)
        if "_trie" in vars(self):
            vars(found)["_trie"] = self._trie
        return found, True

    def _vectors(self) -> npt.NDArray[np.float32] | None:
        name = "item_vectors" if self._is_session else "_item_vectors"
        return getattr(self._model, name)() if hasattr(self._model, name) else None

    @cached_property
    def _rows(self) -> IntegerIndex | dict[Any, int]:
        if self.item_ids.dtype.is_integer():
            return IntegerIndex(self.item_ids.to_numpy())
        return {item: row for row, item in enumerate(self.item_ids.to_list())}

    @cached_property
    def _trie(self) -> Trie:
        """Trie whose items are the rows; it gives sets."""
        rows = max(1, len(self.item_ids))
        sizes = [rows] if rows <= 1 << 16 else [-(-rows // (1 << 16)), 1 << 16]
        return Trie.build(np.arange(len(self.item_ids), dtype=np.uint64), SidLayout(sizes))


def _items(file: Path) -> pl.DataFrame:
    try:
        frame = read_parquet(file)
        return frame.with_columns(pl.col("item_id", "count"))
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise FormatError(
            f"`{file}` holds no items of a model: expected the columns `item_id` and `count` ({error}). "
            "Save the model again."
        ) from error


def _found(ids: list[Any], scores: npt.NDArray[np.float32]) -> list[Any]:
    """Return the ids without the padding at their end."""
    return ids[: int(np.count_nonzero(scores > -np.inf))]


def _extended(
    table: SidTable | None, item_ids: list[Any], tokens: npt.NDArray[np.uint16] | None
) -> SidTable | None:
    """Return a table of Semantic IDs with more items."""
    if table is None or tokens is None:
        return None
    new = np.array([item not in table for item in item_ids], bool)
    ids = pl.Series("item_id", item_ids, dtype=table.item_ids.dtype).filter(pl.Series(new))
    return SidTable(
        pl.concat([table.item_ids, ids]),
        np.concatenate([table.tokens, tokens[new]]),
        table.layout,
        collisions=table.collisions,
    )
