"""Statistics of a dataset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import checked
from sidkit.data.dataset import Dataset

__all__ = ["Spread", "Statistics", "statistics"]


@dataclass(frozen=True)
class Spread:
    """Minimum, median, mean and maximum of counts."""

    min: int
    median: float
    mean: float
    max: int


@dataclass(frozen=True)
class Statistics:
    """Statistics of a dataset; `dataclasses.asdict` makes them JSON.

    Attributes:
        name: name of the dataset.
        users: number of users with at least one event.
        items: number of items in the catalogue.
        interactions: number of events.
        unused_items: number of items without an event.
        short_users: number of users with fewer than three events, which a leave-last-out split uses for
            training only.
        user_events: events per user.
        item_events: events per item, items without one included.
        density: distinct pairs of user and item with an event, as a share of all possible pairs.
        repeats: share of the events whose user had an earlier event with the same item.
        order_column: column that orders the events: `timestamp`, `t_rel` or `position`.
        ties: share of the events with the same time as the user's previous event.
        text_coverage: share of the items with text, by column.
    """

    name: str
    users: int
    items: int
    interactions: int
    unused_items: int
    short_users: int
    user_events: Spread
    item_events: Spread
    density: float
    repeats: float
    order_column: str
    ties: float
    text_coverage: dict[str, float]


@checked
def statistics(dataset: Dataset) -> Statistics:
    """Compute the statistics of a dataset."""
    users, items = len(dataset.user_ids), len(dataset.items)
    user_events = np.bincount(dataset.user_index, minlength=users)
    item_events = np.bincount(dataset.item_index, minlength=items)
    pairs = len(np.unique(dataset.user_index.astype(np.int64) * items + dataset.item_index))
    events = len(dataset.interactions)
    return Statistics(
        name=dataset.name,
        users=users,
        items=items,
        interactions=events,
        unused_items=int((item_events == 0).sum()),
        short_users=int((user_events < 3).sum()),
        user_events=_spread(user_events),
        item_events=_spread(item_events),
        density=pairs / (users * items),
        repeats=(events - pairs) / events,
        order_column=dataset.order_column,
        ties=dataset.tied_share,
        text_coverage=_text_coverage(dataset.items),
    )


def _spread(counts: npt.NDArray[np.int64]) -> Spread:
    return Spread(int(counts.min()), float(np.median(counts)), float(counts.mean()), int(counts.max()))


def _text_coverage(items: pl.DataFrame) -> dict[str, float]:
    coverage = {}
    for name, dtype in items.schema.items():
        column = pl.col(name)
        if dtype == pl.String:
            filled = column.str.strip_chars().str.len_bytes() > 0
        elif dtype == pl.List(pl.String):
            filled = column.list.len() > 0
        else:
            continue
        if name != "item_id":
            coverage[name] = float(items.select(filled.fill_null(False).sum()).item() / len(items))
    return coverage
