"""The contract of all re-rankers: candidates in, the k items of the list out."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import Count, TopK, check_argument, checked
from sidkit._params import Parameters
from sidkit.errors import DataError

__all__ = ["ItemFeatures", "Ranked", "Requirement", "Reranker", "best", "merged", "taken"]

Int32 = npt.NDArray[np.int32]
Float32 = npt.NDArray[np.float32]
#: Items int32 (m, k), best first, padded with -1, and their scores float32 (m, k), padded with -inf.
Ranked = tuple[Int32, Float32]
#: Rows of a group of items, int64 (n,), and the number of them that a list needs.
Requirement = tuple[npt.NDArray[np.int64], int]


def _no_vectors() -> None:
    return None


@checked
@dataclass(frozen=True, kw_only=True)
class ItemFeatures:
    """Facts about the items of a catalogue, by item row.

    Attributes:
        item_ids: id of every item, a polars Series.
        counts: training events of every item, int64 (items,).
        learned: function that returns the learned vector of every item, float32 (items, d), or None; called
            at most once, by the first re-ranker that needs vectors.
    """

    item_ids: pl.Series
    counts: npt.NDArray[np.int64]
    learned: Callable[[], npt.NDArray[np.float32] | None] = field(default=_no_vectors, repr=False)

    @cached_property
    def vectors(self) -> npt.NDArray[np.float32] | None:
        """Learned vector of every item, float32 (items, d), or None."""
        return self.learned()


class Reranker(Parameters, ABC):
    """Base class of all re-rankers.

    A re-ranker is a dataclass of settings. A subclass sets `method` and implements `_rerank`.

    Attributes:
        method: name of the re-ranker, that of its module.
        last_only: whether the re-ranker counts the positions of the final list and must therefore be the last
            step.
    """

    method: ClassVar[str]
    last_only: ClassVar[bool] = False

    def rerank(self, items: Int32, scores: Float32, k: TopK, features: ItemFeatures) -> Ranked:
        """Choose and order k of the candidates of each list.

        Args:
            items: item rows int32 (m, candidates), best first, padded with -1.
            scores: float32 (m, candidates); the score of padding is ignored.
            k: length of the lists.
            features: facts about the items.

        Returns:
            Items int32 (m, k) and scores float32 (m, k), both best first. Lists are full while there are
            candidates that the re-ranker admits; the rest is -1 and -inf.

        Raises:
            ConfigError: if `k` is not in 1..1048576, or the re-ranker lacks something that it needs.
            DataError: if candidates, scores and features do not fit together.
        """
        check_argument("features", features, ItemFeatures)
        _check(items, scores, len(features.item_ids))
        return self._rerank(items, scores, check_argument("k", k, TopK), features)

    def required(self, k: TopK, features: ItemFeatures) -> list[Requirement]:
        """Return groups of items of which every list needs some, so that they must be candidates.

        Args:
            k: length of the lists.
            features: facts about the items.
        """
        return []

    @abstractmethod
    def _rerank(self, items: Int32, scores: Float32, k: TopK, features: ItemFeatures) -> Ranked:
        """Choose and order k of the candidates, which are valid."""


def taken(items: Int32, scores: Float32, positions: npt.NDArray[np.integer[Any]]) -> Ranked:
    """Return the candidates at the given positions.

    Args:
        items: candidates (m, candidates).
        scores: their scores (m, candidates).
        positions: int (m, k), -1 for none.
    """
    if not items.shape[1]:
        return np.full(positions.shape, -1, np.int32), np.full(positions.shape, -np.inf, np.float32)
    there = (positions >= 0) & (np.take_along_axis(items, np.maximum(positions, 0), axis=1) >= 0)
    places = np.maximum(positions, 0)
    return (
        np.where(there, np.take_along_axis(items, places, axis=1), np.int32(-1)),
        np.where(there, np.take_along_axis(scores, places, axis=1), np.float32(-np.inf)),
    )


def best(items: Int32, scores: Float32, k: TopK) -> Ranked:
    """Return the k candidates with the highest scores, best first.

    Of equal scores, the earlier candidate comes first.

    Args:
        items: candidates (m, candidates), -1 for none.
        scores: their scores (m, candidates).
        k: number of candidates.
    """
    ranked = np.where(items >= 0, -scores, np.float32(np.inf))
    order = np.argsort(ranked, axis=1, kind="stable")[:, :k]
    missing = k - order.shape[1]
    if missing > 0:
        order = np.pad(order, ((0, 0), (0, missing)), constant_values=-1)
    return taken(items, scores, order)


def merged(found: Ranked, rows: npt.NDArray[np.int64], more: Ranked) -> Ranked:
    """Add candidates to some of the lists, best first; those that are in a list already are not repeated.

    Args:
        found: candidates (m, candidates).
        rows: lists that get more, (n,).
        more: their further candidates, (n, count).
    """
    (items, scores), (new, values) = found, more
    repeated = (new[:, :, None] == items[rows][:, None, :]).any(axis=2)
    added = np.full((len(items), new.shape[1]), -1, np.int32)
    added[rows] = np.where(repeated, np.int32(-1), new)
    extra = np.full(added.shape, -np.inf, np.float32)
    extra[rows] = np.where(added[rows] >= 0, values, np.float32(-np.inf))
    wide = np.concatenate([items, added], axis=1), np.concatenate([scores, extra], axis=1)
    return best(*wide, wide[0].shape[1])


def _check(items: Int32, scores: Float32, n_items: Count) -> None:
    for name, array, dtype in (("items", items, np.int32), ("scores", scores, np.float32)):
        if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != 2:
            found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise DataError(
                f"`{name}` of the candidates must be {np.dtype(dtype)} (m, candidates), got {found}"
            )
    if items.shape != scores.shape:
        raise DataError(
            f"`items` and `scores` of the candidates must have one shape, got {items.shape} and "
            f"{scores.shape}"
        )
    if items.size and not (items.min() >= -1 and items.max() < n_items):
        raise DataError(
            f"candidates outside the catalogue: expected item rows below {n_items}, or -1 as padding, got "
            f"{int(items.min())}..{int(items.max())}"
        )
    if not np.isfinite(scores[items >= 0]).all():
        row = int(np.argwhere((items >= 0) & ~np.isfinite(scores))[0, 0])
        raise DataError(f"list {row} has a candidate whose score is NaN or infinite: expected finite scores")
