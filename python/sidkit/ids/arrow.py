"""Semantic IDs as a column of an Arrow table, or of a Parquet file, that says what they mean."""

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
    codes: npt.NDArray[np.uint16],
    layout: SidLayout,
    *,
    name: str = "sid",
    fingerprint: str | None = None,
) -> pa.Table:
    """Add Semantic IDs to a table, as a fixed-size list of uint16 per row.

    The field's metadata holds the layout and the codebooks' fingerprint; Parquet keeps both. The tokens
    are not copied.

    Args:
        table: n rows.
        codes: the tokens, uint16 (n, levels), C-contiguous.
        layout: their layout.
        name: of the column; one of that name is replaced.
        fingerprint: what tells the codebooks apart from others, such as a digest of the tokenizer's file.

    Raises:
        TypeError: if `codes` has another dtype.
        DataError: if there is not one Semantic ID for each row.
        ValueError: if a token is not of the layout.
    """
    layout.pack(codes)  # raises for what is no token of its level
    if len(codes) != table.num_rows:
        raise DataError(
            f"there are {len(codes):,} Semantic IDs for {table.num_rows:,} rows; give one for each row"
        )
    described = {"version": VERSION, "sizes": list(layout.sizes), "fingerprint": fingerprint}
    tokens = pa.FixedSizeListArray.from_arrays(pa.array(codes.reshape(-1)), layout.levels)
    field = pa.field(name, tokens.type, nullable=False, metadata={KEY: json.dumps(described).encode()})
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), field, tokens)
    return table.append_column(field, tokens)


def read_sid_column(
    table: pa.Table, name: str = "sid"
) -> tuple[npt.NDArray[np.uint16], SidLayout, str | None]:
    """Read what `with_sid_column` wrote, also after a trip through Parquet.

    Returns:
        The tokens, uint16 (n, levels), their layout, and the fingerprint if there is one.

    Raises:
        DataError: if there is no such column.
        FormatError: if it is no column of Semantic IDs, or its tokens contradict its layout.
    """
    if name not in table.column_names:
        raise DataError(f"there is no column `{name}`; there are {', '.join(table.column_names) or 'none'}")
    metadata = table.schema.field(name).metadata or {}
    try:
        described = json.loads(metadata[KEY])
        if type(described["version"]) is not int or described["version"] != VERSION:
            raise ValueError(f"its version is {described['version']}, this sidkit reads {VERSION}")
        layout, fingerprint = SidLayout(described["sizes"]), described["fingerprint"]
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"the metadata of column `{name}` describes no Semantic IDs: {error}") from error
    column = table.column(name).combine_chunks()
    values = column.flatten()
    if column.null_count or values.null_count or len(values) != len(column) * layout.levels:
        raise FormatError(f"column `{name}` must hold {layout.levels} tokens in every row, none of them null")
    try:
        codes = np.ascontiguousarray(values.cast(pa.uint16()).to_numpy()).reshape(-1, layout.levels)
        layout.pack(codes)
    except (pa.ArrowInvalid, ValueError) as error:
        raise FormatError(f"column `{name}` contradicts its layout: {error}") from error
    return codes, layout, fingerprint
