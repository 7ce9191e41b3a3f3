"""Items of a ranking data set: ids, content vectors and Semantic IDs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import checked
from sidkit._core import SidLayout
from sidkit.errors import ConfigError

__all__ = ["RankedItems"]


@checked
@dataclass(frozen=True, eq=False)
class RankedItems:
    """Features of all items of a catalogue, row by row.

    Attributes:
        item_ids: the original ids.
        vectors: float32 (items, content dim).
        codes: uint16 (items, levels), the tokens of their Semantic IDs; None without Semantic IDs.
        layout: the layout of the codes; None without Semantic IDs.
    """

    item_ids: pl.Series
    vectors: npt.NDArray[np.float32]
    codes: npt.NDArray[np.uint16] | None = None
    layout: SidLayout | None = None

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.item_ids)

    def with_codes(self, codes: npt.NDArray[np.uint16], layout: SidLayout) -> RankedItems:
        """Return the same items with these Semantic IDs."""
        return replace(self, codes=codes, layout=layout)

    def semantic_ids(self) -> tuple[npt.NDArray[np.uint16], SidLayout]:
        """Return the codes and their layout.

        Raises:
            ConfigError: if the items have no Semantic IDs.
        """
        if self.codes is None or self.layout is None:
            raise ConfigError("items without Semantic IDs: expected `codes` and `layout`, got None")
        return self.codes, self.layout
