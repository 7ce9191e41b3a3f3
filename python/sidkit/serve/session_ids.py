"""Histories and filters of item ids as rows of an inference model, with NumPy only.

The forms are those that recommenders take; other libraries' types are recognized by their methods and never
imported.
"""

import re
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sidkit._core import InferenceModel, ItemSet
from sidkit.errors import DataError

__all__ = ["Ragged", "flatten", "ids_of_rows", "ragged", "rows_of_ids", "rows_of_set"]

_INTEGER = re.compile(r"-?[0-9]{1,19}")
_FORMS = (
    "a list of ids, a list of such lists, a NumPy array, a polars or Arrow column of lists, `Histories` or "
    "an `EvaluationSet`"
)
_INT64 = np.iinfo(np.int64)


class Ragged(NamedTuple):
    """Rows of item rows, one after the other.

    Attributes:
        values: item rows, uint32 (n,).
        offsets: first value of each row, and their number, int64 (rows + 1,).
    """

    values: npt.NDArray[np.uint32]
    offsets: npt.NDArray[np.int64]


def flatten(given: Any) -> tuple[list[Any], npt.NDArray[np.int64], bool]:
    """Return the ids of all lists in a row, the length of each list, and whether there is only one.

    Raises:
        DataError: if the argument has another form.
    """
    rows = given if type(given) is list else _as_list(given)
    lists = None if set(map(type, rows)) in ({int}, {str}) else _lists(rows)
    if lists is None:
        # An empty column of lists is a batch.
        dtype = str(getattr(given, "dtype", getattr(given, "type", ""))).lower()
        if not rows and dtype.startswith(("list", "array", "large_list")):
            return [], np.zeros(0, np.int64), False
        return rows, np.array([len(rows)], np.int64), True
    lengths = np.fromiter(map(len, lists), np.int64, len(lists))
    return list(chain.from_iterable(lists)), lengths, False


def ragged(rows: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Ragged:
    """Return lists of rows without the unknown ones, which are -1."""
    known = rows >= 0
    if not known.all():
        owner = np.repeat(np.arange(len(lengths)), lengths)
        lengths = np.bincount(owner[known], minlength=len(lengths))
        rows = rows[known]
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return Ragged(rows.astype(np.uint32), offsets)


def rows_of_ids(model: InferenceModel, ids: list[Any]) -> npt.NDArray[np.int64]:
    """Return the row of each id, int64 (n,), -1 for an unknown one.

    Text such as "12" matches the integer id 12.

    Raises:
        DataError: if ids are neither integers nor strings, or integers are given for string ids.
    """
    types = set(map(type, ids))
    if not types:
        return np.zeros(0, np.int64)
    texts = all(issubclass(each, str) for each in types)
    integers = all(issubclass(each, int | np.integer) and each is not bool for each in types)
    if not texts and not integers:
        _refuse(ids)
    if texts and not model.has_int_ids:
        return model.find_texts(ids)
    if not model.has_int_ids:
        raise DataError(
            f"item ids have the wrong type: expected strings as in the catalogue, got {ids[0]!r}. Convert "
            "them to strings."
        )
    numbers = [int(text) if _INTEGER.fullmatch(text) else None for text in ids] if texts else ids
    try:
        return model.find_ints(np.array(numbers, np.int64))
    except (OverflowError, TypeError):  # an id that no int64 is, which no item has
        fits = [number is not None and _INT64.min <= int(number) <= _INT64.max for number in numbers]
        rows = np.full(len(ids), -1, np.int64)
        rows[fits] = rows_of_ids(model, [int(n) for n, fit in zip(numbers, fits, strict=True) if fit])
        return rows


def rows_of_set(model: InferenceModel, chosen: ItemSet, name: str) -> npt.NDArray[np.int64]:
    """Return the rows of an item set, int64 (n,), by the ids of its items, or by their number without ids.

    Raises:
        DataError: if the set is of another catalogue.
    """
    rows = chosen.items().astype(np.int64)
    if chosen.item_ids is not None:
        ids = chosen.item_ids.to_list() if hasattr(chosen.item_ids, "to_list") else list(chosen.item_ids)
        rows = rows_of_ids(model, [ids[row] for row in rows.tolist()])
        return rows[rows >= 0]
    if chosen.item_count != model.items:
        raise DataError(
            f"an item set of `{name}` is of another catalogue: expected one of {model.items} items, got "
            f"{chosen.item_count}. Make it of the items of the session."
        )
    return rows


def ids_of_rows(model: InferenceModel, rows: npt.NDArray[np.int32]) -> npt.NDArray[Any]:
    """Return the ids of rows of any shape; row -1 gives -1 (integers) or None (strings)."""
    found = model.ids(np.ascontiguousarray(rows).ravel())
    if isinstance(found, list):
        ids = np.empty(len(found), object)
        ids[:] = found
        return ids.reshape(rows.shape)
    return found.reshape(rows.shape)


def _as_list(given: Any) -> list[Any]:
    if isinstance(given, str | bytes | dict):
        raise DataError(f"histories have the wrong form: expected {_FORMS}, got {given!r}")
    if hasattr(given, "columns") or hasattr(given, "column_names"):  # of pandas, polars or Arrow
        raise DataError(
            f"histories have the wrong form: expected {_FORMS}, got a table. Pass its column of lists."
        )
    for name in ("to_list", "to_pylist", "tolist"):  # polars, Arrow, NumPy and others
        if hasattr(given, name):
            converted = getattr(given, name)()
            return converted if isinstance(converted, list) else [converted]
    try:
        return list(given)
    except TypeError:
        raise DataError(
            f"histories have the wrong form: expected {_FORMS}, got {type(given).__name__}"
        ) from None


def _lists(rows: list[Any]) -> list[list[Any]] | None:
    """Return the lists of a batch; None for one list of ids."""
    nested = [not isinstance(each, str | bytes) and hasattr(each, "__iter__") for each in rows]
    if not any(nested):
        return None
    if not all(nest or each is None for nest, each in zip(nested, rows, strict=True)):
        raise DataError(f"histories mix ids and lists of ids: expected {_FORMS}")
    return [[] if each is None else each.tolist() if hasattr(each, "tolist") else list(each) for each in rows]


def _refuse(ids: list[Any]) -> None:
    for each in ids:
        if isinstance(each, bool) or not isinstance(each, int | str | np.integer):
            raise DataError(
                f"item ids have the wrong type: expected integers or strings, got {each!r} of type "
                f"{type(each).__name__}"
            )
    raise DataError("item ids have mixed types: expected all integers or all strings, got both")
