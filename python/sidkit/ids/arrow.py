"""Semantic IDs as a self-describing column of an Arrow table or a Parquet file."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sidkit._core import SidLayout
from sidkit.errors import DataError, FormatError

__all__ = ["read_sid_column", "with_sid_column"]

KEY = b"sidkit.layout"
VERSION = 1


def with_sid_column(
    table: pa.Table,
    tokens: npt.NDArray[np.uint16],
    layout: SidLayout,
    *,
    name: str = "sid",
    fingerprint: str | None = None,
) -> pa.Table:
    """Add Semantic IDs to a table, as a fixed-size list of uint16 per row.

    The metadata of the field holds the layout and the fingerprint; Parquet keeps both. The tokens are not
    copied.

    Args:
        table: table of n rows.
        tokens: uint16 (n, levels), C-contiguous.
        layout: layout of the tokens.
        name: name of the column; an existing column of that name is replaced.
        fingerprint: identifier of the tokenizer, such as `tokenizer.fingerprint`.

    Raises:
        TypeError: if `tokens` has another dtype.
        DataError: if there is not one Semantic ID for each row.
        ValueError: if a token is out of range for the layout.
    """
    layout.pack(tokens)  # raises for tokens out of range
    if len(tokens) != table.num_rows:
        raise DataError(
            f"Semantic IDs do not match the table: expected {table.num_rows:,}, one per row, "
            f"got {len(tokens):,}. Pass one per row."
        )
    described = {"version": VERSION, "sizes": list(layout.sizes), "fingerprint": fingerprint}
    column = pa.FixedSizeListArray.from_arrays(pa.array(tokens.reshape(-1)), layout.levels)
    field = pa.field(name, column.type, nullable=False, metadata={KEY: json.dumps(described).encode()})
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), field, column)
    return table.append_column(field, column)


def read_sid_column(
    table: pa.Table, name: str = "sid"
) -> tuple[npt.NDArray[np.uint16], SidLayout, str | None]:
    """Read a column written by `with_sid_column`, from memory or from Parquet.

    Returns:
        The tokens, uint16 (n, levels), their layout, and the fingerprint or None.

    Raises:
        DataError: if there is no such column.
        FormatError: if it is not a column of Semantic IDs, or its tokens do not fit its layout.
    """
    if name not in table.column_names:
        raise DataError(
            f"there is no column `{name}`: expected one of {', '.join(table.column_names) or 'none'}. "
            "Correct the name."
        )
    metadata = table.schema.field(name).metadata or {}
    try:
        described = json.loads(metadata[KEY])
        if type(described["version"]) is not int or described["version"] != VERSION:
            raise ValueError(f"unknown version: expected {VERSION}, got {described['version']}")
        layout, fingerprint = SidLayout(described["sizes"]), described["fingerprint"]
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"the metadata of column `{name}` does not describe Semantic IDs: {error}. "
            "Write the column with with_sid_column."
        ) from error
    column = table.column(name).combine_chunks()
    values = column.flatten()
    if column.null_count or values.null_count or len(values) != len(column) * layout.levels:
        raise FormatError(
            f"column `{name}` is incomplete: expected {layout.levels} tokens in every row and no nulls. "
            "Write it again."
        )
    try:
        tokens = np.ascontiguousarray(values.cast(pa.uint16()).to_numpy()).reshape(-1, layout.levels)
        layout.pack(tokens)
    except (pa.ArrowInvalid, ValueError) as error:
        raise FormatError(f"column `{name}` does not fit its layout: {error}. Write it again.") from error
    return tokens, layout, fingerprint
