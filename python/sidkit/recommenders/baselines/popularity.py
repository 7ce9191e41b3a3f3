"""Popularity: the same list for everyone, a baseline that every model must beat."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sidkit._arguments import TopK
from sidkit._stored import Stored
from sidkit.data import Sequences
from sidkit.decode.ranking import Ranked, top_k
from sidkit.recommenders.baselines.exhaustive import ExhaustiveRecommender
from sidkit.recommenders.filters import Query
from sidkit.recommenders.training_data import TrainingData

__all__ = ["Popularity"]


@dataclass(kw_only=True, eq=False, repr=False)
class Popularity(ExhaustiveRecommender):
    """Items ranked by their number of training events; of equally popular items, the first of the catalogue.

    Example:
        >>> ids, counts = Popularity().fit(split.train).recommend([50, 172, 181], k=10)
    """

    method: ClassVar[str] = "popularity"
    _stored: ClassVar[dict[str, Stored]] = {}

    def _fit(self, data: TrainingData) -> None:
        pass  # the counts are those of every recommender

    def _scores(self, histories: Sequences) -> npt.NDArray[np.float32]:
        counts = self.item_counts_.astype(np.float32)
        return np.broadcast_to(counts, (len(histories), len(counts)))

    def _rank_by_popularity(self, histories: Sequences, k: TopK, query: Query) -> Ranked:
        return top_k(self._scores(histories), k, query.exclude, query.allow)
