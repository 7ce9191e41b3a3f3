"""Recommenders that score every item of the catalogue."""

from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._arguments import TopK
from sidkit.data import Sequences
from sidkit.decode.ranking import Ranked, concatenated, top_k
from sidkit.recommenders.base import Recommender
from sidkit.recommenders.filters import Query

__all__ = ["ExhaustiveRecommender"]

_SCORES_AT_ONCE = 8_000_000


class ExhaustiveRecommender(Recommender):
    """Base class of recommenders that score every item after each history.

    A subclass sets `method` and implements `_fit` and `_scores`.
    """

    @abstractmethod
    def _scores(self, histories: Sequences) -> npt.NDArray[np.floating[Any]]:
        """Score every item after each history, none of which is empty, float (m, items)."""

    def _rank_rows(self, histories: Sequences, k: TopK, query: Query) -> Ranked:
        step = query.batch_size or max(1, _SCORES_AT_ONCE // max(1, len(self.item_ids_)))
        parts = []
        for start in range(0, len(histories), step):
            rows = np.arange(start, min(start + step, len(histories)))
            part = query.take(rows)
            parts.append(top_k(self._scores(histories.take(rows)), k, part.exclude, part.allow))
            query.on_progress(int(rows[-1]) + 1)
        return concatenated(parts, k)
