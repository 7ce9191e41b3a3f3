"""A rated log whose answer is known: who likes what is decided by a cluster, and the test items are new."""

import numpy as np
import polars as pl

__all__ = ["write_ranking_world"]

ITEMS, USERS, EVENTS, CLUSTERS = 160, 20, 8_000, 4


def write_ranking_world(folder, *, content):
    """Write 160 items in 4 clusters and 8,000 ratings; even users like even clusters.

    The first half of the items is all that there is before the last tenth of the time, when the other half
    is. `vectors.npy` has the clusters if `content`; otherwise it has equally clear clusters without meaning.
    """
    random = np.random.default_rng(0)
    clusters = np.arange(ITEMS) % CLUSTERS
    shown = clusters if content else random.permutation(clusters)
    vectors = 4 * np.eye(CLUSTERS, 8)[shown] + random.normal(0, 0.3, (ITEMS, 8))
    late = np.arange(EVENTS) >= EVENTS * 9 // 10
    users = random.integers(0, USERS, EVENTS)
    items = random.integers(0, ITEMS // 2, EVENTS) + late * (ITEMS // 2)
    rating = np.where(clusters[items] % 2 == users % 2, 5.0, 1.0)
    folder.mkdir(parents=True)
    log = {"user_id": users, "item_id": items, "timestamp": 1000 + np.arange(EVENTS), "rating": rating}
    pl.DataFrame(log).write_parquet(folder / "interactions.parquet")
    catalogue = {"item_id": np.arange(ITEMS), "title": [f"thing {item}" for item in range(ITEMS)]}
    pl.DataFrame(catalogue).write_parquet(folder / "items.parquet")
    np.save(folder / "vectors.npy", vectors.astype(np.float32))
    return folder
