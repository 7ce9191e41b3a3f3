"""New items in an existing table of Semantic IDs."""

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import checked
from sidkit._core import code_ranks
from sidkit.data.id_columns import id_column
from sidkit.errors import CollisionError, ConfigError, DataError
from sidkit.ids.collisions import Alternatives, Reassignment, check_codes, group_sizes, reassign
from sidkit.ids.table import SidTable

__all__ = ["append_ids", "append_items"]


@checked
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
        table: existing table of n items.
        codes: integers (m, levels), codes of the new items from the tokenizer of the table.
        item_ids: m new ids of the same type as those of the table.
        alternatives: next-nearest codes of the new items, see `Reassignment`; needed if an item must move.

    Returns:
        A new table of n + m rows, the existing ones first.

    Raises:
        DataError: if codes or ids do not fit the table, or an id is already in it.
        ConfigError: if an item must move and there are no `alternatives`.
        CollisionError: if an item finds no room.
    """
    sizes = table.sizes[:-1] if table.collisions == "suffix" else table.sizes
    new = check_codes(codes, sizes)
    ids = append_ids(table.item_ids, item_ids)
    both = pl.concat([table.item_ids, ids])
    if table.collisions != "share":
        room = table.sizes[-1] if table.collisions == "suffix" else 1
        near = _none if alternatives is None else alternatives
        new = reassign(new, sizes, Reassignment(near, capacity=room), occupied=table.codes)
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
                "the next free collision tokens are unknown: expected the collision tokens of the table to "
                "count from 0. Make the table with SidTable.from_codes."
            )
    return SidTable(both, tokens, table.layout, collisions=table.collisions)


def append_ids(known: pl.Series, item_ids: pl.Series | npt.ArrayLike) -> pl.Series:
    """Return ids of new items as a series `item_id` of the type of the known ones.

    Raises:
        DataError: if they have another type.
    """
    ids = id_column(item_ids)
    if not len(ids):
        return pl.Series("item_id", [], dtype=known.dtype)
    if known.dtype.is_integer() != ids.dtype.is_integer():
        raise DataError(
            f"new item ids have the wrong type: expected {known.dtype} as in the table, "
            f"got {ids.dtype}. Cast them."
        )
    try:
        return ids.rename("item_id").cast(known.dtype)
    except (pl.exceptions.InvalidOperationError, pl.exceptions.ComputeError) as error:
        raise DataError(
            f"new item ids have the wrong type: expected ids that fit {known.dtype} ({error}). Correct them."
        ) from error


def _none(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint16]:
    raise ConfigError(
        f"{len(rows)} new items must move to other codes: expected `alternatives`, got None. "
        "Pass alternatives=lambda rows: tokenizer.alternatives(x[rows])."
    )
