"""Synthetic dataset in which the right recommendations are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import Count, Seed, checked
from sidkit.data.dataset import Dataset
from sidkit.errors import ConfigError

__all__ = ["World", "cyclic_world"]

COLOURS = (
    "red",
    "green",
    "blue",
    "black",
    "white",
    "yellow",
    "brown",
    "grey",
    "pink",
    "purple",
    "orange",
    "cyan",
)


@checked
@dataclass(frozen=True, eq=False)
class World:
    """A dataset with known answers.

    Attributes:
        dataset: item ids are strings (`item-07`), user ids integers from 1000 on.
        vectors: float32 (items, dim), one tight group of points per cluster.
        clusters: int32 (items,), the cluster of each item.
        successors: int32 (items,), the item that always follows.
    """

    dataset: Dataset
    vectors: npt.NDArray[np.float32]
    clusters: npt.NDArray[np.int32]
    successors: npt.NDArray[np.int32]


@checked
def cyclic_world(
    users: int = 100,
    items: int = 24,
    *,
    clusters: int = 4,
    dim: Count = 16,
    max_events: int = 10,
    seed: Seed = 0,
) -> World:
    """Make a dataset in which item 5 follows item 4, item 6 follows item 5, and item 0 follows the last.

    Every user starts at a random item and moves along this ring for 5 to `max_events` events, one per minute.
    Neighbours on the ring are in one cluster: with 24 items and 4 clusters, items 0 to 5 are red, 6 to 11
    green. All items are about equally popular, so that only the order of events predicts the next item.

    Args:
        users: number of users.
        items: number of items.
        clusters: number of clusters of the vectors; at most `items`.
        dim: width of the vectors; clusters are about 10 apart, items of one cluster about 1.
        max_events: length of the longest history, at least 5.
        seed: seed of all random numbers.
    """
    if not (users >= 1 and 1 <= clusters <= items and dim >= 1 and max_events >= 5):
        raise ConfigError(
            "a synthetic dataset cannot be made: expected users >= 1, 1 <= clusters <= items, dim >= 1, "
            f"max_events >= 5, got {users=}, {items=}, {clusters=}, {dim=}, {max_events=}. Correct them."
        )
    rng = np.random.default_rng(seed)
    cluster = (np.arange(items) * clusters // items).astype(np.int32)
    centres = rng.normal(size=(clusters, dim)) * 10 / np.sqrt(dim)
    vectors = (centres[cluster] + rng.normal(size=(items, dim)) / np.sqrt(dim)).astype(np.float32)
    ids = [f"item-{item:02d}" for item in range(items)]
    colours = [COLOURS[each] if each < len(COLOURS) else f"colour {each}" for each in cluster.tolist()]
    catalogue = pl.DataFrame(
        {
            "item_id": ids,
            "title": [f"{colour} thing {item}" for item, colour in enumerate(colours)],
            "categories": [f"things > {colour}" for colour in colours],
        }
    )
    dataset = Dataset(f"cyclic-{seed}", catalogue, _walks(rng, users, ids, max_events))
    return World(dataset, vectors, cluster, ((np.arange(items) + 1) % items).astype(np.int32))


def _walks(rng: np.random.Generator, users: int, ids: list[str], max_events: int) -> pl.DataFrame:
    lengths = rng.integers(5, max_events + 1, size=users)
    starts = rng.integers(len(ids), size=users)
    began = rng.integers(86_400, size=users)
    user = np.repeat(np.arange(users), lengths)
    step = np.arange(len(user)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    item = (starts[user] + step) % len(ids)
    return pl.DataFrame(
        {
            "user_id": user + 1000,
            "item_id": [ids[each] for each in item.tolist()],
            "timestamp": 1_700_000_000 + began[user] + 60 * step,
        }
    )
