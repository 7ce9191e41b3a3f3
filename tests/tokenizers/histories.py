"""Histories with known communities."""

import numpy as np

from sidkit.data import Sequences

__all__ = ["communities"]


def communities(groups, histories=400, length=6, stray=0.0, seed=0):
    """Histories that stay in one community of items, int (items,), but for a share of strays."""
    groups = np.asarray(groups)
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(histories):
        members = np.flatnonzero(groups == groups[rng.integers(len(groups))])
        row = rng.choice(members, size=min(length, len(members)), replace=False)
        away = rng.random(len(row)) < stray
        row[away] = rng.integers(len(groups), size=int(away.sum()))
        rows.append(row)
    return Sequences.from_rows(rows)
