"""Interaction histories that stay in Parquet files until they are needed."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from sidkit._arguments import Count, checked
from sidkit._integer_index import IntegerIndex
from sidkit.data.id_columns import check_distinct, check_id_column, fits_int64, rows_of
from sidkit.data.parquet.fragments import Fragment, divide, read_batches, read_schema
from sidkit.data.sequences import Sequences
from sidkit.errors import DataError

__all__ = ["ParquetHistories"]

#: Histories decoded at once.
_ROWS = 16384


@checked
class ParquetHistories:
    """Training histories in Parquet files, for events that do not fit in memory.

    Every row of the files is a history: a list of item ids, oldest first. They are read once when the object
    is made, for the lengths of the histories and the counts of the items, which stay in memory (4 bytes per
    history and 8 per item); the events are read again, in fragments, while a recommender is trained. With
    several processes, each reads the fragments of its own share of a batch, see `FragmentBatches`.

    Args:
        source: a Parquet file or a directory of them, a path or a URI such as `s3://bucket/histories`.
        item_ids: ids of the catalogue, integers or strings (items,).
        column: name of the column of lists.
        fragment_rows: about so many histories are read at once: whole row groups of a file, which should not
            be larger.

    Attributes:
        item_ids: ids of the catalogue, a polars Series (items,).
        item_counts: number of events of every item, int64 (items,).
        lengths: number of events of every history, int32 (histories,).
        fragments: the parts that are read at once.
        checksum: SHA-256 of all events, in hexadecimal.

    Raises:
        DataError: if a file is missing or damaged, the column is not one of lists of ids, or an id is not in
            `item_ids`.

    Example:
        >>> histories = ParquetHistories("histories", item_ids=sids.item_ids)
        >>> model = sidkit.RQTransformer().fit(histories, sids=sids, item_vectors=x)
    """

    def __init__(
        self, source: str | Path, item_ids: pl.Series, *, column: str = "items", fragment_rows: Count = 65536
    ) -> None:
        self.item_ids = check_id_column(item_ids, "item_id", "item_ids").rename("item_id")
        check_distinct(self.item_ids)
        self.fragments = divide(str(source), fragment_rows)
        self._column = column
        _check_lists(str(source), column)
        numbers = fits_int64(self.item_ids.dtype)
        self._index = IntegerIndex(self.item_ids.to_numpy()) if numbers else None
        self.item_counts = np.zeros(len(item_ids), np.int64)
        lengths = [np.zeros(0, np.int32)]
        digest = hashlib.sha256()
        self._checksums: list[str] = []  # of the events of each fragment
        for fragment in self.fragments:
            own = hashlib.sha256()
            for part in self._parts(fragment):
                lengths.append(part.lengths.astype(np.int32))
                self.item_counts += np.bincount(part.values, minlength=len(item_ids))
                digest.update(part.values.tobytes())
                own.update(part.values.tobytes())
            self._checksums.append(own.hexdigest())
        self.lengths: npt.NDArray[np.int32] = np.concatenate(lengths)
        digest.update(self.lengths.tobytes())
        self.checksum = digest.hexdigest()

    def __len__(self) -> int:
        return len(self.lengths)

    def __repr__(self) -> str:
        events = int(self.item_counts.sum())
        return f"ParquetHistories({len(self)} histories, {events} events, {len(self.item_ids)} items)"

    def __iter__(self) -> Iterator[Sequences]:
        """Read all histories, one fragment after the other, as rows of `item_ids`."""
        return (self.read(number) for number in range(len(self.fragments)))

    def read(self, number: int) -> Sequences:
        """Read the histories of one fragment, as rows of `item_ids`.

        Raises:
            DataError: if there is no such fragment, or its file has changed.
        """
        if not 0 <= number < len(self.fragments):
            raise DataError(
                f"there is no such fragment: expected 0..{len(self.fragments) - 1}, got {number}."
            )
        fragment = self.fragments[number]
        parts = list(self._parts(fragment))
        none = [np.zeros(0, np.int32)]
        lengths = np.concatenate(none + [part.lengths for part in parts])
        values = np.concatenate(none + [part.values for part in parts])
        same = np.array_equal(lengths, self.lengths[fragment.start : fragment.start + fragment.rows])
        if not same or hashlib.sha256(values.tobytes()).hexdigest() != self._checksums[number]:
            raise DataError(
                f"`{fragment.path}` has changed: expected the histories that it had before, got others. Make "
                "the ParquetHistories again."
            )
        return Sequences.from_lengths(values, lengths)

    def _parts(self, fragment: Fragment) -> Iterator[Sequences]:
        for batch in read_batches(fragment, [self._column], _ROWS):
            lists: Any = pl.from_arrow(batch.column(0))
            lengths = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
            flat = lists.filter(pl.Series(lengths > 0)).explode()
            yield Sequences.from_lengths(self._rows(flat, fragment.path), lengths)

    def _rows(self, ids: pl.Series, path: str) -> npt.NDArray[np.int32]:
        if not len(ids):
            return np.zeros(0, np.int32)
        if ids.null_count():
            raise DataError(f"`{path}` has a missing item id in a history: expected ids. Remove the nulls.")
        if self._index is not None and fits_int64(ids.dtype):
            rows = self._index.rows(ids.to_numpy())
            if rows.min() >= 0:
                return rows
        return rows_of(ids, self.item_ids, "item")


def _check_lists(source: str, column: str) -> None:
    schema = read_schema(source)
    if column not in schema.names:
        raise DataError(
            f"`{source}` has no column `{column}`: expected one of {schema.names}. Pass it as `column`."
        )
    kind = schema.field(column).type
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    text = lists and (pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type))
    if not (text or (lists and pa.types.is_integer(kind.value_type))):
        raise DataError(
            f"column `{column}` of `{source}` is invalid: expected lists of integers or strings, got {kind}."
        )
