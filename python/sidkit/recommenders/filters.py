"""Filters and options of a recommendation, with items as rows of the catalogue."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Count, TopK, checked
from sidkit._core import ItemSet, Trie
from sidkit.data import Sequences
from sidkit.decode.options import ignore_progress
from sidkit.recommenders.histories import ItemIndex, ParsedHistories

__all__ = ["Filters", "Query", "item_sets", "make_filters", "restricted"]


@dataclass(frozen=True)
class Filters:
    """Filters as rows of the catalogue.

    Attributes:
        exclude: items that must not be returned, one row per history, or None.
        allow: items that may be returned, nothing else; one row per history, one for all, or None.
    """

    exclude: Sequences | None
    allow: Sequences | None


@checked
@dataclass(frozen=True, kw_only=True)
class Query:
    """Options of a ranking, with items as rows.

    Attributes:
        users: user of every history, int32 (m,), for networks with user tokens.
        exclude: m rows of items that must not be returned.
        allow: rows of items that may be returned, nothing else; one row per history, or one for all.
        scoring: one of the recommender's `scorings`; None for the first.
        beam: prefixes kept at every level of a beam search; at least `k` are.
        rerank: re-rankers of `sidkit.rerank`.
        candidates: items that re-rankers choose from; at least as many as are returned.
        batch_size: histories at a time; None for the default of the recommender.
        on_progress: called with the number of histories done.
    """

    users: npt.NDArray[np.int32] | None = None
    exclude: Sequences | None = None
    allow: Sequences | None = None
    scoring: str | None = None
    beam: TopK = 50
    rerank: Any = ()
    candidates: TopK = 200
    batch_size: Count | None = None
    on_progress: Callable[[int], None] = ignore_progress

    def take(self, rows: npt.NDArray[np.int64]) -> "Query":
        """Return the query of some of the histories."""
        shared = self.allow is None or len(self.allow) == 1
        return replace(
            self,
            users=None if self.users is None else self.users[rows],
            exclude=None if self.exclude is None else self.exclude.take(rows),
            allow=self.allow if shared else self.allow.take(rows),  # type: ignore[union-attr]
        )


def make_filters(
    index: ItemIndex, histories: ParsedHistories, *, exclude_seen: bool, exclude: Any, allow: Any
) -> Filters:
    """Combine the filters of a call of `recommend`.

    What is excluded for all histories becomes part of `allow`, so that its cost does not grow with their
    number.

    Args:
        index: items of the catalogue.
        histories: the histories.
        exclude_seen: exclude the items of each history.
        exclude: ids or an `ItemSet` for all histories, or one of them per history, or None.
        allow: the same.

    Raises:
        DataError: if a filter has not one list per history.
    """
    count = len(histories.rows)
    excluded = histories.rows if exclude_seen else None
    allowed = None if allow is None else _rows(index, allow, count, "allow")
    if exclude is not None:
        given = _rows(index, exclude, count, "exclude")
        if len(given) == 1:
            allowed = _without(allowed, given[0], len(index))
        else:
            excluded = given if excluded is None else _joined(excluded, given)
    return Filters(excluded, allowed)


def restricted(allow: Sequences | None, mask: npt.NDArray[np.bool_]) -> Sequences:
    """Keep the items of a mask, bool (items,), in a filter; all of them if there is no filter."""
    if allow is None:
        return _one_row(np.flatnonzero(mask))
    kept = mask[allow.values]
    row = np.repeat(np.arange(len(allow)), allow.lengths)
    return Sequences.from_lengths(allow.values[kept], np.bincount(row[kept], minlength=len(allow)))


def item_sets(trie: Trie, allow: Sequences | None) -> ItemSet | list[ItemSet] | None:
    """Return the rows of `allow` as item sets of a trie: one set for all histories, or one per history."""
    if allow is None:
        return None
    sets = [trie.item_set(row.astype(np.int64)) for row in allow]
    return sets[0] if len(sets) == 1 else sets


def _rows(index: ItemIndex, given: Any, histories: int, name: str) -> Sequences:
    """Convert a filter to rows of the catalogue: one row for all histories, or one per history."""
    if isinstance(given, ItemSet):
        return _one_row(index.rows_of_set(given, name))
    sets = list(given) if isinstance(given, list | tuple) else []
    if sets and all(isinstance(each, ItemSet) for each in sets):
        if len(sets) != histories:
            return index.rows_per_history([[] for _ in sets], histories, name)  # raises
        return Sequences.from_rows([index.rows_of_set(each, name) for each in sets])
    return index.rows_per_history(given, histories, name)


def _one_row(rows: npt.NDArray[np.int64]) -> Sequences:
    return Sequences.from_lengths(rows, np.array([len(rows)]))


def _without(allowed: Sequences | None, excluded: Any, items: int) -> Sequences:
    """Return the allowed items (all of the catalogue if None) without the excluded ones."""
    if allowed is None:
        kept = np.ones(items, bool)
        kept[excluded] = False
        return _one_row(np.flatnonzero(kept))
    kept = ~np.isin(allowed.values, excluded)
    row = np.repeat(np.arange(len(allowed)), allowed.lengths)
    return Sequences.from_lengths(allowed.values[kept], np.bincount(row[kept], minlength=len(allowed)))


def _joined(a: Sequences, b: Sequences) -> Sequences:
    """Concatenate two `Sequences` row by row."""
    row = np.concatenate([np.repeat(np.arange(len(each)), each.lengths) for each in (a, b)])
    values = np.concatenate([a.values, b.values])[np.argsort(row, kind="stable")]
    return Sequences.from_lengths(values, a.lengths + b.lengths)
