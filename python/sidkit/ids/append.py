"""Further items in a table of Semantic IDs, whose old rows stay as they are."""

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._core import code_ranks
from sidkit.errors import CollisionError, ConfigError, DataError
from sidkit.ids.collisions import Alternatives, check_codes, group_sizes, reassign
from sidkit.ids.table import SidTable

__all__ = ["append_items"]


def append_items(
    table: SidTable,
    codes: npt.ArrayLike,
    item_ids: pl.Series | npt.ArrayLike,
    *,
    alternatives: Alternatives | None = None,
) -> SidTable:
    """Add items to a table without changing its layout or existing Semantic IDs.

    Under `suffix`, a new item gets the next collision token under its codes. A model knows only as many
    collision tokens as the layout has; where they are used up, the item moves to its next-nearest codes that
    have a free one. Under `reassign` it moves if its codes are taken; under `share` it shares them.

    Args:
        table: the table so far.
        codes: integers (m, levels), what the table's tokenizer makes of the new items.
        item_ids: m new ids, of the type of the table's.
        alternatives: the next-nearest codes of the new items, as for `reassign`; needed if one must move.

    Returns:
        A new table of n + m rows, the old ones first.

    Raises:
        DataError: if codes or ids do not fit the table, or an id is in it already.
        ConfigError: if an item must move and there are no `alternatives`.
        CollisionError: if an item finds no room.
    """
    sizes = table.sizes[:-1] if table.collisions == "suffix" else table.sizes
    new = check_codes(codes, sizes)
    ids = item_ids if isinstance(item_ids, pl.Series) else pl.Series(values=np.asarray(item_ids))
    if len(ids) and table.item_ids.dtype.is_integer() != ids.dtype.is_integer():
        raise DataError(f"new item ids are {ids.dtype}, but those of the table are {table.item_ids.dtype}")
    try:
        ids = ids.rename("item_id").cast(table.item_ids.dtype)
    except pl.exceptions.InvalidOperationError as error:
        raise DataError(f"new item ids do not fit those of the table: {error}") from error
    both = pl.concat([table.item_ids, ids])
    if table.collisions != "share":
        room = table.sizes[-1] if table.collisions == "suffix" else 1
        near = _none if alternatives is None else alternatives
        new = reassign(new, sizes, near, capacity=room, settled=table.codes)
    if not len(new):
        return table
    tokens = np.concatenate([table.codes, new])
    if table.collisions == "suffix":
        packed = table.layout.pack(np.column_stack([tokens, np.zeros(len(tokens), np.uint16)]))
        ranks = code_ranks(packed.reshape(len(tokens), -1)).astype(np.uint16)
        ranks[: len(table)] = table.tokens[:, -1]
        tokens = np.column_stack([tokens, ranks])
        if len(group_sizes(tokens, table.sizes)) < len(tokens):
            raise CollisionError(
                "the collision tokens of the table do not count from 0 on, so the next free ones are "
                "unknown; hint: make the table with SidTable.from_codes"
            )
    return SidTable(both, tokens, table.layout, collisions=table.collisions)


def _none(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint16]:
    raise ConfigError(
        f"{len(rows)} new items must move to other codes, but `alternatives` is None; "
        "hint: alternatives=lambda rows: tokenizer.alternatives(x[rows])"
    )
