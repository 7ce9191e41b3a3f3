"""Options that searches and rankings share, and the checks of their arguments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sidkit._arguments import Bounds, Count, Shape, checked
from sidkit._core import ItemSet
from sidkit.data import Sequences
from sidkit.data.sequences import check_sequences
from sidkit.errors import ConfigError, DataError

__all__ = [
    "RankOptions",
    "SearchOptions",
    "Tokens",
    "check_arguments",
    "check_item_rows",
    "check_rows",
    "check_tokens",
    "ignore_progress",
]


#: Semantic ID of every item, uint16 (items, L).
Tokens: TypeAlias = Annotated[NDArray[np.uint16], Shape("items", "levels")]


def ignore_progress(done: int) -> None:
    """Show nothing."""


@checked
@dataclass(frozen=True, kw_only=True)
class RankOptions:
    """Options of a ranking of the whole catalogue.

    Attributes:
        exclude: m rows of items that must not be returned.
        allow: rows of items that may be returned, nothing else; one row per history, or one for all.
        batch_size: histories at a time; None for the default of the function.
        on_progress: called with the number of histories done.
    """

    exclude: Sequences | None = None
    allow: Sequences | None = None
    batch_size: Count | None = None
    on_progress: Callable[[int], None] = ignore_progress


@checked
@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Options of a search under a trie. Lists stay full as long as enough other items exist.

    Attributes:
        users: user indices int32 (m,), needed if the network has user tokens.
        exclude: m rows of items that must not be returned.
        allow: items that may be returned, nothing else: an `ItemSet` of the trie, or one per history.
        temperature: one for all levels or one each: probabilities of tokens are raised to the power of
            1 / temperature and normalized. Below 1 a level concentrates on its best tokens; above 1 it is
            more even.
        batch_size: histories at a time, of equal length; None for 128.
        on_progress: called with the number of histories done.
    """

    users: NDArray[np.int32] | None = None
    exclude: Sequences | None = None
    allow: ItemSet | Sequence[ItemSet] | None = None
    temperature: float | Sequence[float] = 1.0
    batch_size: Count | None = None
    on_progress: Callable[[int], None] = ignore_progress

    def temperatures(self, levels: Annotated[int, Bounds(ge=1, le=128)]) -> list[float]:
        """Return one temperature per level.

        Raises:
            ConfigError: if there is not one for each level, or one is not a positive number.
        """
        given = self.temperature
        each = [given] * levels if isinstance(given, (int, float, np.number)) else list(given)
        if len(each) != levels or not all(0 < value < float("inf") for value in each):
            raise ConfigError(
                f"`temperature` is invalid: expected a positive number, or one for each of {levels} levels, "
                f"got {given}"
            )
        return [float(value) for value in each]


def check_arguments(histories: Sequences, known: int, *, k: Count, batch_size: Count) -> None:
    """Check histories and counts.

    Args:
        histories: m rows of item rows.
        known: number of items that can be encoded; their rows are below it.
        k: number of items to return.
        batch_size: histories at a time.

    Raises:
        ConfigError: if `k` or `batch_size` is below 1.
        DataError: if `histories` are not `Sequences`, or one holds an unknown item.
    """
    if k < 1 or batch_size < 1:
        raise ConfigError(f"`k` and `batch_size` must be at least 1, got {k} and {batch_size}")
    check_sequences("histories", histories)
    if len(histories.values) and int(histories.values.max()) >= known:
        place = int(np.argmax(histories.values >= known))
        row = int(np.searchsorted(histories.offsets, place, side="right")) - 1
        raise DataError(
            f"history {row} holds item {histories.values[place]}, but the model knows items 0 to "
            f"{known - 1}. "
            "Remove items that the model was not trained on."
        )


def check_tokens(sizes: Sequence[int], tokens: NDArray[np.uint16]) -> None:
    """Check that Semantic IDs have the tokens of a network.

    Args:
        sizes: number of tokens of each level of the network.
        tokens: Semantic IDs, uint16 (items, L).

    Raises:
        DataError: if they have other levels, or a token is beyond its level.
    """
    if tokens.shape[1] != len(sizes) or (len(tokens) and (tokens.max(axis=0) >= np.asarray(sizes)).any()):
        raise DataError(
            f"`tokens` do not fit the network: expected {len(sizes)} levels of {tuple(sizes)} tokens, got "
            f"{tokens.shape[1]} levels of {tuple(tokens.max(axis=0, initial=0) + 1)}. "
            "Pass the tokens that the network was made for."
        )


def check_item_rows(name: str, rows: NDArray[np.integer[Any]], items: int) -> None:
    """Raise DataError unless item rows are in 0..items - 1."""
    if rows.size and not 0 <= rows.min() <= rows.max() < items:
        raise DataError(
            f"`{name}` are no item rows: expected 0..{items - 1}, got {rows.min()}..{rows.max()}. "
            "Pass rows of the catalogue."
        )


def check_rows(rows: int, **given: object) -> None:
    """Check that arguments have one row per history.

    Args:
        rows: number of histories.
        **given: arguments by name; None is skipped.

    Raises:
        DataError: if one has another number of rows.
    """
    for name, value in given.items():
        if value is not None and len(value) != rows:  # type: ignore[arg-type]
            raise DataError(
                f"`{name}` must have one row for each of the {rows} histories, got {len(value)}"  # type: ignore[arg-type]
            )
