"""The live catalogue: changes are checked, written to the journal, and applied to the next version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._core import ItemSet
from sidkit.errors import ConfigError, DataError
from sidkit.ids import SidTable
from sidkit.serve.live.changes import Change, Delete, ItemId, Put
from sidkit.serve.live.checks import check_values, fits_type, plain
from sidkit.serve.live.model import ServedModel
from sidkit.serve.live.numbers import ItemNumbers
from sidkit.serve.live.sids import SidIndex, SidView
from sidkit.serve.live.table import ItemTable

__all__ = ["LiveCatalogue", "Snapshot", "SourceFiles"]

#: Function from rows of new items to their content vectors, float32 (n, d).
Embed = Callable[[list[dict[str, Any]]], npt.NDArray[np.float32]]


#: Conditions whose items a version keeps.
_KEPT_CONDITIONS = 64


@dataclass(frozen=True)
class SourceFiles:
    """Model and tables of a server.

    Attributes:
        model: the model.
        items: one row per item, with `item_id`.
        sids: Semantic ID of every item of the model, or None.
        tokenizer: tokenizer of new items, or None.
        embed: function that embeds new items, or None.
    """

    model: ServedModel
    items: pl.DataFrame
    sids: SidTable | None = None
    tokenizer: Any = None
    embed: Embed | None = None


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One version of the catalogue and the model; immutable.

    Attributes:
        model: the model.
        items: columns of the items.
        sids: Semantic IDs, or None.
        numbers: numbers of the items.
        model_rows: row of the model by number, int64, -1 for none.
        version: number of changes so far.
        hides: whether items were removed that the model itself would still recommend.
    """

    model: ServedModel
    items: ItemTable
    sids: SidView | None
    numbers: ItemNumbers
    model_rows: npt.NDArray[np.int64]
    version: int
    hides: bool = False

    def find(self, item_id: ItemId) -> int:
        """Return the number of an item, -1 if it is not in this version."""
        number = self.numbers.find(item_id)
        return number if self.items.has(number) else -1

    def known(self, item_id: ItemId) -> bool:
        """Return whether the model knows an item, so that it may occur in a history."""
        number = self.numbers.find(item_id)
        return 0 <= number < len(self.model_rows) and bool(self.model_rows[number] >= 0)

    def sid(self, number: int) -> str | None:
        """Return the Semantic ID of an item, or None."""
        if self.sids is None or not self.sids.has(number):
            return None
        return "-".join(map(str, self.sids.tokens(np.array([number], np.int64))[0].tolist()))

    def allow(self, numbers: npt.NDArray[np.int64]) -> ItemSet:
        """Return the items that the model may recommend, among some numbers."""
        rows = self.model_rows[numbers[numbers < len(self.model_rows)]]
        return self.model.item_set(np.unique(rows[rows >= 0]))

    @cached_property
    def current(self) -> ItemSet | None:
        """Items of this version, as a limit of recommendations; None if the model recommends no others."""
        return self.allow(self.items.all) if self.hides else None

    def chosen(self, condition: str) -> npt.NDArray[np.int64]:
        """Return the numbers of the items for which a condition is true, kept for the latest conditions.

        Raises:
            DataError: if the condition cannot be evaluated.
        """
        found = self._chosen.get(condition)
        if found is None:
            if len(self._chosen) >= _KEPT_CONDITIONS:
                self._chosen.clear()
            found = self._chosen[condition] = self.items.where(condition)
        return found

    @cached_property
    def _chosen(self) -> dict[str, npt.NDArray[np.int64]]:
        return {}


class LiveCatalogue:
    """Catalogue and model that change while other threads read `snapshot`.

    One thread makes changes: `plan` checks a change and completes it, `apply` makes it visible. Between the
    two, the change is written to the journal. Replaying the same changes gives the same catalogue.

    Attributes:
        snapshot: the current version.
    """

    snapshot: Snapshot

    def __init__(self, source: SourceFiles) -> None:
        self._source = source
        model = source.model
        ids = model.item_ids
        extra = source.items["item_id"].cast(ids.dtype).filter(~source.items["item_id"].is_in(ids.implode()))
        numbers = ItemNumbers(pl.concat([ids, extra]))
        frame = pl.DataFrame([pl.concat([ids, extra])]).join(
            source.items.with_columns(pl.col("item_id").cast(ids.dtype)),
            on="item_id",
            how="left",
            maintain_order="left",
        )
        self._sids = None if source.sids is None else SidIndex(source.sids)
        self.snapshot = Snapshot(
            model,
            ItemTable.of(frame, np.arange(len(frame)), len(frame)),
            None if self._sids is None else self._sids.view(),
            numbers,
            np.append(np.arange(len(ids)), np.full(len(extra), -1)),
            0,
        )
        if len(model.removed):
            gone = self._without(self.snapshot, Delete(numbers.ids(model.removed)))
            self.snapshot = replace(gone, version=0)

    def plan_put(self, items: Sequence[dict[str, Any]], vectors: Sequence[Any]) -> Put:
        """Check items to add or to replace, and choose Semantic IDs of the new ones.

        Columns that an item does not give keep their values, and are null for new items.

        Args:
            items: values by column, with `item_id`; distinct items.
            vectors: content vector of each item, a list of numbers, or None.

        Raises:
            DataError: if a column does not exist, a value does not fit it, an item is repeated, or a vector
                is missing or has the wrong width.
            ConfigError: if the server cannot give new items Semantic IDs.
            CollisionError: if there is no free Semantic ID.
        """
        now = self.snapshot
        rows, new = [], []
        for place, given in enumerate(items):
            check_values(given, place, now.items.columns)
            typed = self._typed(given["item_id"], place)
            number = now.find(typed)
            if number < 0:
                new.append(place)
                rows.append({**dict.fromkeys(now.items.columns), **given, "item_id": typed})
            else:
                rows.append({**now.items.values([number], now.items.columns)[0], **given, "item_id": typed})
        repeated = {row["item_id"] for row in rows}
        if len(repeated) < len(rows):
            raise DataError(
                "`items` repeats an item: expected distinct `item_id`, got one of them twice. Drop one."
            )
        now.items.row_frame(rows)
        change = Put([plain(row) for row in rows], new)
        if not new or self._sids is None:
            return change
        x = self._vectors([rows[place] for place in new], [vectors[place] for place in new])
        tokenizer = self._source.tokenizer
        codes = tokenizer.encode(x)
        tokens = self._sids.allocate(codes, lambda place: tokenizer.alternatives(x[place : place + 1])[0])
        for row, place in enumerate(new):
            former = self._sids.reserved(now.numbers.find(rows[place]["item_id"]))
            tokens[row] = tokens[row] if former is None else former
        return replace(change, tokens=tokens, vectors=x, tokenizer=tokenizer.fingerprint)

    def plan_delete(self, item_ids: Sequence[ItemId]) -> tuple[Delete, list[ItemId]]:
        """Return the removal of those items that exist, and the others."""
        now = self.snapshot
        found = {item: now.find(item) >= 0 for item in item_ids}
        there = list(dict.fromkeys(now.numbers.typed(item) for item, exists in found.items() if exists))
        return Delete(there), [item for item, exists in found.items() if not exists]

    def apply(self, change: Change) -> None:
        """Make the next version of a planned change, or of a record of the journal."""
        now = self.snapshot
        if isinstance(change, Put):
            self.snapshot = self._with(now, change)
        elif isinstance(change, Delete):
            self.snapshot = self._without(now, change)

    def _with(self, now: Snapshot, change: Put) -> Snapshot:
        frame = now.items.row_frame(change.rows)
        ids = frame["item_id"].to_list()
        picked = [row for row, place in enumerate(change.new) if now.find(ids[place]) < 0]
        new = [change.new[row] for row in picked]
        numbers = now.numbers.add(ids)
        model, model_rows, sids = now.model, now.model_rows, now.sids
        if new and self._sids is not None and change.vectors is not None:
            x = np.ascontiguousarray(change.vectors[picked])
            tokens = self._tokens(change, x, picked, numbers[new])
            self._sids.update(numbers[new], tokens, np.zeros(0, np.int64))
            sids = self._sids.view()
            rows = np.full(len(new), -1, np.int64)
            known = numbers[new] < len(now.model_rows)
            rows[known] = now.model_rows[numbers[new][known]]
            rows_before = len(model.item_ids)
            model, added = model.with_items([ids[place] for place in new], rows, x, tokens)
            if added:
                rows[rows < 0] = rows_before + np.arange(np.count_nonzero(rows < 0))
                model_rows = np.full(len(now.numbers), -1, np.int64)
                model_rows[: len(now.model_rows)] = now.model_rows
                model_rows[numbers[new]] = rows
        items = now.items.changed(frame, numbers, np.zeros(0, np.int64), len(now.numbers))
        return Snapshot(model, items, sids, now.numbers, model_rows, now.version + change.changes, now.hides)

    def _without(self, now: Snapshot, change: Delete) -> Snapshot:
        numbers = np.array([number for each in change.item_ids if (number := now.find(each)) >= 0], np.int64)
        model, sids, hides = now.model, now.sids, now.hides
        if self._sids is not None and sids is not None:
            removed = np.array([number for number in numbers.tolist() if sids.has(number)], np.int64)
            levels = self._sids.layout.levels
            self._sids.update(np.zeros(0, np.int64), np.zeros((0, levels), np.uint16), removed)
            sids = self._sids.view()
        known = numbers[numbers < len(now.model_rows)]
        known = known[now.model_rows[known] >= 0]
        if len(known):
            model, removed_there = model.without_items(now.numbers.ids(known))
            hides = hides or not removed_there
        items = now.items.changed(None, np.zeros(0, np.int64), numbers, len(now.numbers))
        return Snapshot(model, items, sids, now.numbers, now.model_rows, now.version + change.changes, hides)

    def _tokens(
        self, change: Put, x: npt.NDArray[np.float32], picked: list[int], numbers: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.uint16]:
        """Return the Semantic IDs of a record; chosen again if the tokenizer is another one now."""
        assert self._sids is not None
        tokenizer = self._source.tokenizer
        found = [self._sids.reserved(number) for number in numbers.tolist()]
        fresh = [row for row, former in enumerate(found) if former is None]
        tokens = np.zeros((len(picked), 0), np.uint16) if change.tokens is None else change.tokens[picked]
        own = tokens[fresh]
        if tokenizer is not None and tokenizer.fingerprint != change.tokenizer:
            x = x[fresh]
            near = lambda place: tokenizer.alternatives(x[place : place + 1])[0]  # noqa: E731
            own = self._sids.allocate(tokenizer.encode(x), near) if fresh else own
        if tokenizer is None and tuple(tokens.shape[1:]) != (self._sids.layout.levels,):
            raise ConfigError(
                "the journal has items whose Semantic IDs belong to another model: expected a "
                "tokenizer that makes new "
                "ones, got none. Start the server with --tokenizer."
            )
        for row, each in zip(fresh, own, strict=True):
            found[row] = each
        return np.array(found, np.uint16).reshape(len(picked), -1)

    def _typed(self, item_id: ItemId, place: int) -> ItemId:
        numbers = self.snapshot.numbers
        typed = numbers.typed(item_id)
        if numbers.integers and not (isinstance(typed, int) and fits_type(typed, numbers.dtype)):
            raise DataError(
                f"`items[{place}].item_id` has the wrong type: expected an integer that fits "
                f"{numbers.dtype}, got "
                f"{str(item_id)[:80]!r}. Correct it."
            )
        return typed

    def _vectors(self, rows: list[dict[str, Any]], given: list[Any]) -> npt.NDArray[np.float32]:
        tokenizer = self._source.tokenizer
        if tokenizer is None:
            raise ConfigError(
                "new items cannot get Semantic IDs: expected a tokenizer, got none. Start the server "
                "with --tokenizer."
            )
        if all(each is None for each in given) and self._source.embed is not None:
            return self._source.embed(rows)
        for row, each in zip(rows, given, strict=True):
            if each is None or len(each) != tokenizer.dim:
                got = "none" if each is None else f"{len(each)} numbers"
                raise DataError(
                    f"the `vector` of item {row['item_id']!r} does not fit: expected {tokenizer.dim} "
                    "numbers, got "
                    f"{got}. Give every new item its content vector, as in the training."
                )
        with np.errstate(over="ignore"):
            x = np.array(given, np.float32)
        if not (np.abs(x) < 1e36).all():
            raise DataError(
                "a `vector` is too large: expected numbers within 1e36, got larger ones. Scale them."
            )
        return x
