"""Calibration of the scores of documents that are added after the training.

Training raises the scores of the documents that it knows. Documents without an offset compete with them at a
disadvantage that has nothing to do with their text. A constant bias compensates for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sidkit.decode.ranking import Ranked

__all__ = ["Trial", "balanced_bias"]

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Trial:
    """Documents ranked for queries as if some of them had been added after the training.

    Attributes:
        trained: ranked documents with an offset of their own, rows int32 (m, k) and scores float32 (m, k).
        added: ranked documents without, likewise. The two share no document.
        is_added: True for documents without an offset, bool (n,).
    """

    trained: Ranked
    added: Ranked
    is_added: npt.NDArray[np.bool_]

    def recall(self, pairs: tuple[Int64, Int64], bias: float, depth: int) -> tuple[float, float]:
        """Compute the recall of both groups in one merged list.

        Args:
            pairs: query rows and document rows of relevant pairs, int64 (pairs,) each.
            bias: number that is added to the scores of documents without an offset.
            depth: documents of the merged list that count.

        Returns:
            Mean recall of trained and of added documents, each over the queries with a relevant document in
            the group; NaN if there is none.
        """
        rows = np.concatenate([self.trained[0], self.added[0]], axis=1)
        scores = np.concatenate([self.trained[1], self.added[1] + np.float32(bias)], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
        best = np.take_along_axis(rows, order, axis=1).astype(np.int64)
        count = len(self.is_added)
        listed = np.where(best >= 0, np.arange(len(best))[:, None] * count + best, -1)
        found = np.isin(pairs[0] * count + pairs[1], listed)
        added = self.is_added[pairs[1]]
        return _mean_recall(found[~added], pairs[0][~added]), _mean_recall(found[added], pairs[0][added])


def balanced_bias(
    trials: Sequence[Trial],
    pairs: tuple[Int64, Int64],
    biases: Sequence[float],
    *,
    target: float,
    depth: int = 100,
) -> float:
    """Choose the smallest bias with which added documents are recalled about as often as trained ones.

    Args:
        trials: rankings to choose by; the recalls of all are averaged.
        pairs: query rows and document rows of relevant pairs, int64 (pairs,) each.
        biases: candidates in ascending order.
        target: sufficient recall of added documents, relative to that of trained ones.
        depth: documents of the merged list that count.

    Returns:
        The first candidate that reaches the target; the last one if none does; the first one if the pairs
        have no document of one of the groups.
    """
    for bias in biases:
        trained, added = np.mean([trial.recall(pairs, bias, depth) for trial in trials], axis=0)
        if not added < target * trained:
            return float(bias)
    return float(biases[-1])


def _mean_recall(found: npt.NDArray[np.bool_], queries: Int64) -> float:
    if not len(found):
        return float("nan")
    counts = np.bincount(queries)
    hits = np.bincount(queries, weights=found)
    return float((hits[counts > 0] / counts[counts > 0]).mean())
