"""Relations of recommended items to a history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.serve.live import Snapshot

__all__ = ["explain"]

_LATEST = 50


def explain(snapshot: Snapshot, history: Sequence[Any], item_ids: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the fields of `Why` for each item, without its scores.

    Args:
        snapshot: the catalogue.
        history: known item ids, oldest first; the latest 50 are compared.
        item_ids: recommended items.
    """
    past = list(dict.fromkeys(reversed(history)))[:_LATEST]
    found = [dict.fromkeys(("shared_prefix", "shared_with", "similarity", "similar_to")) for _ in item_ids]
    if not past or not len(item_ids):
        return found
    for place, row in enumerate(_shared_tokens(snapshot, past, item_ids)):
        if row is not None:
            best = int(np.argmax(row))
            found[place] |= {
                "shared_prefix": int(row[best]),
                "shared_with": past[best] if row[best] else None,
            }
    vectors = snapshot.model.features.vectors
    if vectors is not None:
        rows = [snapshot.model.rows(ids) for ids in (item_ids, past)]
        own, others = (_units(vectors[each]) for each in rows)
        for place, cosines in enumerate(own @ others.T):
            best = int(np.argmax(cosines))
            found[place] |= {"similarity": float(cosines[best]), "similar_to": past[best]}
    return found


def _shared_tokens(
    snapshot: Snapshot, past: Sequence[Any], item_ids: Sequence[Any]
) -> list[npt.NDArray[np.int64] | None]:
    """Return the number of leading tokens that items share with those of a history; None without a SID."""
    theirs = [_tokens(snapshot, each) for each in past]
    rows: list[npt.NDArray[np.int64] | None] = []
    for item in item_ids:
        own = _tokens(snapshot, item)
        if own is None:
            rows.append(None)
            continue
        shared = [0 if other is None else int(np.cumprod(own == other).sum()) for other in theirs]
        rows.append(np.array(shared, np.int64))
    return rows


def _tokens(snapshot: Snapshot, item_id: Any) -> npt.NDArray[np.uint16] | None:
    number = snapshot.find(item_id)
    if snapshot.sids is None or number < 0 or not snapshot.sids.has(number):
        return None
    tokens: npt.NDArray[np.uint16] = snapshot.sids.tokens(np.array([number], np.int64))[0]
    return tokens


def _units(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    units: npt.NDArray[np.float32] = vectors / np.maximum(
        np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12
    )
    return units
