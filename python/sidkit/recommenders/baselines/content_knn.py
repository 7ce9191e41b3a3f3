"""ContentKNN: items whose content is similar to that of the recent items of a history."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sidkit._settings import Width
from sidkit._stored import Stored
from sidkit.data import Sequences
from sidkit.errors import ConfigError
from sidkit.recommenders.baselines.exhaustive import ExhaustiveRecommender
from sidkit.recommenders.new_items import NewItems
from sidkit.recommenders.training_data import TrainingData

__all__ = ["ContentKNN"]


@dataclass(kw_only=True, eq=False, repr=False)
class ContentKNN(ExhaustiveRecommender):
    """Content-based recommendation without training: the baseline for new items.

    The score of an item is the sum of its cosines with the recent items of a history, in which older items
    count less. It needs item vectors and no Semantic IDs, and does not use training events.

    Attributes:
        item_vectors_: content vector of every item, scaled to length 1, float32 (items, d).

    Example:
        >>> model = ContentKNN().fit(split.train, item_vectors=x)
        >>> ids, scores = model.recommend([50, 172, 181], k=10)
    """

    method: ClassVar[str] = "content_knn"
    _stored: ClassVar[dict[str, Stored]] = {"item_vectors_": Stored(np.floating, ("items", "d"))}

    recency: Annotated[float, Field(gt=0.0, le=1.0)] = 0.6
    """Factor by which each older item of a history counts less; 1 for none."""
    max_items: Width = 10
    """Most recent items of a history that are used."""

    @property
    def uses_item_vectors(self) -> bool:
        """True, since scores are similarities of item vectors."""
        return True

    def _fit(self, data: TrainingData) -> None:
        if data.item_vectors is None:
            raise ConfigError(
                "`content_knn` compares item vectors: expected `item_vectors`, got None. Pass the result of "
                "`embed_items`."
            )
        self.item_vectors_ = _units(data.item_vectors)

    def _add(self, new: NewItems) -> None:
        width = self.item_vectors_.shape[1]
        self.item_vectors_ = np.concatenate(
            [self.item_vectors_, _units(new.require_vectors(self.method, width))]
        )

    def _item_vectors(self) -> npt.NDArray[np.float32]:
        return self.item_vectors_

    def _scores(self, histories: Sequences) -> npt.NDArray[np.float32]:
        recent = histories.tail(self.max_items)
        row = np.repeat(np.arange(len(recent)), recent.lengths)
        age = recent.offsets[1:][row] - 1 - np.arange(len(row))  # 0 for the last item
        weights = (self.recency ** age.astype(np.float64)).astype(np.float32)
        profiles = np.zeros((len(recent), self.item_vectors_.shape[1]), np.float32)
        np.add.at(profiles, row, weights[:, None] * self.item_vectors_[recent.values])
        scores: npt.NDArray[np.float32] = profiles @ self.item_vectors_.T
        return scores


def _units(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Scale vectors to length 1; rows of zeros stay."""
    x = vectors.astype(np.float32)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    return x
