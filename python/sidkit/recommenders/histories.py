"""Histories of item ids, in the forms that users have them, as rows of the catalogue and back."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import check_argument, shown
from sidkit._core import ItemSet
from sidkit._integer_index import IntegerIndex
from sidkit._warnings import warn
from sidkit.data import EvaluationSet, Histories, Sequences
from sidkit.data.id_columns import fits_int64, id_series
from sidkit.errors import DataError

__all__ = ["ItemIndex", "ParsedHistories", "id_rows"]

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_FORMS = (
    "a list of ids, a list of such lists, a NumPy array, a polars or Arrow column of lists, "
    "`Histories` or an `EvaluationSet`"
)


@dataclass(frozen=True)
class ParsedHistories:
    """Histories as rows of the catalogue.

    Attributes:
        rows: item rows of every history, oldest first; unknown items are left out.
        users: user of every history, int32 (m,), where known.
        single: whether one history was given instead of a batch.
    """

    rows: Sequences
    users: npt.NDArray[np.int32] | None
    single: bool


class ItemIndex:
    """Item ids and their rows, in both directions.

    Args:
        item_ids: id of every item, integers or strings, in the order of the rows.
    """

    def __init__(self, item_ids: pl.Series) -> None:
        self.item_ids = item_ids.rename("item_id")
        self._latest: tuple[pl.Series, npt.NDArray[np.int64] | None] | None = None

    def __len__(self) -> int:
        return len(self.item_ids)

    def rows(self, ids: Iterable[Any]) -> npt.NDArray[np.int64]:
        """Return the row of each id, int64 (n,), -1 for an unknown one.

        Text such as "12" matches the integer id 12.

        Raises:
            DataError: if ids are neither integers nor strings, or integers are given for string ids.
        """
        values = _id_series(ids)
        if not len(values):
            return np.zeros(0, np.int64)
        if self._integers and values.dtype == pl.String:
            values = pl.Series([int(text) if _INTEGER.fullmatch(text) else None for text in values.to_list()])
        elif not self._integers and values.dtype != pl.String:
            raise DataError(
                f"item ids have the wrong type: expected strings as in the catalogue, such as "
                f"{self.item_ids[0]!r}, got {values.dtype}, such as {values[0]!r}. Convert them to strings."
            )
        if self._index is not None and fits_int64(values.dtype):
            rows = np.full(len(values), -1, np.int64)
            rows[values.is_not_null().to_numpy()] = self._index.rows(values.drop_nulls().to_numpy())
            return rows
        known = self._known
        return np.fromiter((known.get(each, -1) for each in values.to_list()), np.int64, len(values))

    def ids(self, rows: npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
        """Return the ids of rows of any shape; row -1 gives -1 (integers) or None (strings)."""
        found: npt.NDArray[Any] = self._padded[rows]  # row -1 selects the padding, the last element
        return found

    def parse(self, histories: Any) -> ParsedHistories:
        """Convert histories to rows. Unknown items are left out with one warning.

        Args:
            histories: item ids, oldest first: one list, or a batch as list of lists, 2-d NumPy array, polars
                or Arrow column of lists, `Histories` or `EvaluationSet`. `Sequences` are rows already.

        Raises:
            DataError: if the histories have another form.
        """
        users = None
        if isinstance(histories, EvaluationSet):
            users, histories = histories.users, histories.histories
        if isinstance(histories, Histories) and not histories.item_ids.equals(self.item_ids):
            rows = self.rows(histories.item_ids)[histories.values]
            return ParsedHistories(self._known_only(rows, histories.lengths, histories.ids), users, False)
        if isinstance(histories, Sequences):
            if len(histories.values) and int(histories.values.max()) >= len(self):
                raise DataError(
                    f"a history holds item row {int(histories.values.max())}: expected rows below "
                    f"{len(self)}. "
                    "Pass lists of item ids, or `Histories`."
                )
            return ParsedHistories(histories, users, False)
        flat, lengths, single = _flatten(histories)
        rows = self.rows(flat)
        return ParsedHistories(self._known_only(rows, lengths, flat), users, single)

    def rows_per_history(self, ids: Any, histories: int, name: str) -> Sequences:
        """Convert ids of a filter to rows: one list for all histories, or one per history.

        Unknown ids are left out with one warning.

        Args:
            ids: the ids.
            histories: number of histories.
            name: name of the filter, `exclude` or `allow`, for messages.

        Raises:
            DataError: if there is not one list per history, or a list of `allow` is None.
        """
        flat, lengths, single = _flatten(ids)
        if not single and len(lengths) != histories:
            raise DataError(
                f"a filter of items has {len(lengths)} lists: expected one list of ids for all histories, or "
                f"one for each of the {histories} histories"
            )
        if name == "allow" and (missing := _first_none(ids)) is not None:
            raise DataError(
                f"`allow` has no list for history {missing}: expected a list of ids, got None. Pass [] to "
                "allow nothing, or call `recommend` without `allow` for histories without a limit."
            )
        rows = self.rows(flat)
        self._warn_of_unknown(rows, flat, f"items of `{name}`")
        return _without_unknown(rows, lengths)

    def rows_of_set(self, chosen: ItemSet, name: str) -> npt.NDArray[np.int64]:
        """Convert an item set to rows, int64 (n,), by the ids of its items, or by their number without ids.

        Items that are not in this catalogue are left out with one warning.

        Raises:
            DataError: if the set is of another catalogue: no id is known, or the number of items differs.
        """
        rows = chosen.items().astype(np.int64)
        ids = chosen.item_ids
        if ids is None:
            if chosen.item_count != len(self):
                raise DataError(
                    f"an item set of `{name}` is of another catalogue: expected one of {len(self)} items, "
                    f"got {chosen.item_count}. Make it with `Catalogue.where` or a trie of these items."
                )
            return rows
        places = self._places(ids)
        if places is None:
            return rows
        if (places < 0).all():
            raise DataError(
                f"an item set of `{name}` is of another catalogue: expected ids such as "
                f"{self.item_ids[0]!r}, got ids such as {ids[0]!r}. Make it of items of the recommender."
            )
        found = places[rows]
        self._warn_of_unknown(found, ids.gather(rows), f"items of a set of `{name}`")
        return found[found >= 0]

    def _places(self, ids: pl.Series) -> npt.NDArray[np.int64] | None:
        """Return the row of every id of another catalogue, int64 (n,); None if the catalogues are the same.

        The answer for the latest catalogue is kept.
        """
        if self._latest is None or self._latest[0] is not ids:
            same = ids is self.item_ids or (ids.dtype == self.item_ids.dtype and ids.equals(self.item_ids))
            self._latest = ids, None if same else self.rows(ids)
        return self._latest[1]

    def _known_only(self, rows: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], ids: Any) -> Sequences:
        self._warn_of_unknown(rows, ids, "items of the histories")
        return _without_unknown(rows, lengths)

    @staticmethod
    def _warn_of_unknown(rows: npt.NDArray[np.int64], ids: Any, what: str) -> None:
        unknown = np.flatnonzero(rows < 0)
        if len(unknown):
            has_ids = isinstance(ids, Sequence | pl.Series)
            first = f", the first of them {ids[int(unknown[0])]!r}" if has_ids else ""
            warn(
                f"{len(unknown)} of {len(rows)} {what} are not in the catalogue and were skipped{first}",
            )

    @property
    def _integers(self) -> bool:
        return self.item_ids.dtype.is_integer()

    @cached_property
    def _known(self) -> dict[Any, int]:
        return {item: row for row, item in enumerate(self.item_ids.to_list())}

    @cached_property
    def _index(self) -> IntegerIndex | None:
        """Rows of integer ids, without a Python object per id; None for other ids."""
        return IntegerIndex(self.item_ids.to_numpy()) if fits_int64(self.item_ids.dtype) else None

    @cached_property
    def _padded(self) -> npt.NDArray[Any]:
        if fits_int64(self.item_ids.dtype):
            return np.append(self.item_ids.to_numpy().astype(np.int64), -1)
        ids = self.item_ids.to_list()
        if self._integers and all(-(2**63) <= each < 2**63 for each in ids):
            return np.array([*ids, -1], np.int64)
        padded = np.empty(len(ids) + 1, object)
        padded[:-1] = ids
        return padded


def id_rows(index: ItemIndex, ids: Any, what: str) -> npt.NDArray[np.int64]:
    """Return the rows of ids that must all be known, int64 (n,).

    Raises:
        DataError: if an id is unknown; it names the first.
    """
    given = list(check_argument("ids", ids, Iterable[Any]))
    rows = index.rows(given)
    if (rows < 0).any():
        unknown = given[int(np.argmax(rows < 0))]
        raise DataError(f"{what} {unknown!r} is unknown: expected one of {len(index)} items")
    return rows


def _without_unknown(rows: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Sequences:
    known = rows >= 0
    history = np.repeat(np.arange(len(lengths)), lengths)
    kept = np.bincount(history[known], minlength=len(lengths))
    return Sequences.from_lengths(rows[known], kept)


def _first_none(lists: Any) -> int | None:
    """Return the place of the first missing list, or None."""
    if isinstance(lists, pl.Series):
        return lists.is_null().arg_max() if lists.null_count() else None
    if isinstance(lists, list | tuple):
        return next((place for place, each in enumerate(lists) if each is None), None)
    return None


def _flatten(given: Any) -> tuple[list[Any], npt.NDArray[np.int64], bool]:
    """Ids of all histories one after the other, the length of each history, and whether there is only one."""
    if isinstance(given, str | bytes | dict):
        raise DataError(f"histories have the wrong form: expected {_FORMS}, got {given!r}")
    if hasattr(given, "columns") or hasattr(given, "column_names"):  # of pandas, polars or Arrow
        raise DataError(
            f"histories have the wrong form: expected {_FORMS}, got a table. Pass its column of lists."
        )
    if not isinstance(given, pl.Series) and (
        hasattr(given, "__arrow_c_array__") or type(given).__module__.partition(".")[0] == "pyarrow"
    ):
        given = pl.Series(given)
    if isinstance(given, pl.Series):
        rows = given.to_list()
    elif hasattr(given, "tolist"):  # NumPy, pandas, torch
        rows = given.tolist()
    else:
        try:
            rows = list(given)
        except Exception:  # of any object's own iterator
            raise DataError(
                f"histories have the wrong form: expected {_FORMS}, got {type(given).__name__}"
            ) from None
    if not isinstance(rows, list):  # of an array without dimensions
        raise DataError(f"histories have the wrong form: expected {_FORMS}, got {shown(given)}")
    nested = [not isinstance(each, str | bytes) and hasattr(each, "__iter__") for each in rows]
    if not any(nested):
        is_batch = isinstance(given, pl.Series) and isinstance(given.dtype, pl.List | pl.Array)
        if is_batch:
            return [], np.zeros(len(rows), np.int64), False
        return rows, np.array([len(rows)], np.int64), True
    lists = [[] if each is None else each.tolist() if hasattr(each, "tolist") else each for each in rows]
    if any(isinstance(each, str | bytes) or not hasattr(each, "__iter__") for each in lists):
        raise DataError(f"histories mix ids and lists of ids: expected {_FORMS}")
    lists = [list(each) for each in lists]
    return list(chain.from_iterable(lists)), np.array([len(each) for each in lists], np.int64), False


def _id_series(ids: Any) -> pl.Series:
    if isinstance(ids, pl.Series):
        values = ids
    else:
        given = [each.item() if isinstance(each, np.generic) else each for each in ids]
        odd = [each for each in given if isinstance(each, bool) or not isinstance(each, int | str)]
        if odd:
            raise DataError(
                f"item ids have the wrong type: expected integers or strings, got {shown(odd[0])} of type "
                f"{type(odd[0]).__name__}"
            )
        if len({isinstance(each, str) for each in given}) > 1:
            raise DataError("item ids have mixed types: expected all integers or all strings, got both")
        values = id_series(given)
    if isinstance(values.dtype, pl.Categorical | pl.Enum):
        values = values.cast(pl.String)
    if len(values) and not (values.dtype.is_integer() or values.dtype == pl.String):
        raise DataError(f"item ids have the wrong type: expected integers or strings, got {values.dtype}")
    return values
