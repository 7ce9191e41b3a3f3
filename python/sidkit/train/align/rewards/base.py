"""The interface of rewards, and weighted sums of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.data.id_columns import rows_of
from sidkit.errors import ConfigError, DataError
from sidkit.train.align.prompts import Prompts

__all__ = ["Reward", "RewardFunction", "WeightedSum", "check_items", "evaluate_reward"]

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

#: Function of m histories, iterable as lists of item ids, and item ids (m, k), padded with -1 or None, that
#: returns floats (m, k).
RewardFunction = Callable[[Any, npt.NDArray[Any]], Any]


class Reward(ABC):
    """Base class of rewards that are computed from item rows, without ids.

    A subclass implements `of_rows`.
    """

    @abstractmethod
    def of_rows(self, prompts: Prompts, rows: Int64) -> Float64:
        """Return the reward of each item.

        Args:
            prompts: m histories.
            rows: item rows, int64 (m, k), padded with -1; a row of them is one list, best first.

        Returns:
            float64 (m, k); values of padding are ignored.
        """

    def __call__(self, histories: Prompts, item_ids: npt.NDArray[Any]) -> Float64:
        """Return the reward of each item, float64 (m, k), by item ids (m, k); padding has reward 0."""
        import polars as pl

        flat = item_ids.ravel().tolist()
        there = np.array([each is not None and each != -1 for each in flat])
        rows = np.full(item_ids.size, -1, np.int64)
        known = [each for each, is_there in zip(flat, there.tolist(), strict=True) if is_there]
        rows[there] = rows_of(pl.Series(known, dtype=histories.item_ids.dtype), histories.item_ids, "item")
        places = rows.reshape(item_ids.shape)
        return np.where(places >= 0, self.of_rows(histories, places), 0.0)

    def __add__(self, other: RewardFunction) -> WeightedSum:
        return WeightedSum([(1.0, self), (1.0, other)])

    def __radd__(self, other: RewardFunction) -> WeightedSum:
        return WeightedSum([(1.0, other), (1.0, self)])

    def __mul__(self, weight: float) -> WeightedSum:
        return WeightedSum([(weight, self)])

    __rmul__ = __mul__


class WeightedSum(Reward):
    """Weighted sum of rewards, as `+` and `*` make it.

    Args:
        parts: weights and rewards, callables of the user among them.

    Raises:
        ConfigError: if there is no part, a weight is not a finite number, or a reward cannot be called.
    """

    parts: list[tuple[float, RewardFunction]]

    def __init__(self, parts: Sequence[tuple[float, RewardFunction]]) -> None:
        flat: list[tuple[float, RewardFunction]] = []
        for weight, reward in parts:
            if not callable(reward) or isinstance(weight, bool) or not np.isfinite(weight):
                raise ConfigError(
                    "a part of a reward is invalid: expected a finite weight and a callable, got "
                    f"{weight!r} and {reward!r}. Correct it."
                )
            inner = reward.parts if isinstance(reward, WeightedSum) else [(1.0, reward)]
            flat += [(float(weight) * each, part) for each, part in inner]
        if not flat:
            raise ConfigError("a weighted sum is empty: expected at least one reward, got none. Add one.")
        self.parts = flat

    def of_rows(self, prompts: Prompts, rows: Int64) -> Float64:
        """Return the weighted sum, float64 (m, k)."""
        total = np.zeros(rows.shape)
        for weight, part in self.parts:
            total += weight * evaluate_reward(part, prompts, rows)
        return total

    def __repr__(self) -> str:
        return " + ".join(f"{weight:g} * {reward_name(reward)}" for weight, reward in self.parts)


def evaluate_reward(reward: RewardFunction, prompts: Prompts, rows: Int64) -> Float64:
    """Return the rewards of items by their rows, of a `Reward` or of any callable.

    Args:
        reward: the reward.
        prompts: m histories.
        rows: item rows, int64 (m, k), padded with -1.

    Returns:
        float64 (m, k), 0 for padding.

    Raises:
        DataError: if the result has another shape, or the reward of an item is not a finite number.
    """
    if isinstance(reward, Reward):
        values: npt.NDArray[Any] = np.asarray(reward.of_rows(prompts, rows), np.float64)
    else:
        values = _numbers(reward(prompts, _ids(prompts, rows)), reward)
    if values.shape != rows.shape:
        raise DataError(
            f"the reward `{reward_name(reward)}` has the wrong shape: expected one number for each of "
            f"{rows.shape} items, got {values.shape}. Return an array of the shape of `item_ids`."
        )
    values = np.where(rows >= 0, values, 0.0)
    if not np.isfinite(values).all():
        row, place = np.argwhere(~np.isfinite(values))[0]
        raise DataError(
            f"the reward `{reward_name(reward)}` is invalid: expected finite numbers, got "
            f"{values[row, place]} for item {prompts.item_ids[int(rows[row, place])]!r}. Correct it."
        )
    return values


def reward_name(reward: RewardFunction) -> str:
    """Return a name for messages and files."""
    if isinstance(reward, WeightedSum):
        return repr(reward)
    return getattr(reward, "__name__", type(reward).__name__)


def check_items(name: str, count: int, prompts: Prompts) -> None:
    """Check that values of a reward are those of all items of a catalogue.

    Raises:
        DataError: if there are more or fewer.
    """
    if count != len(prompts.item_ids):
        raise DataError(
            f"the values of `{name}` are of another catalogue: expected one for each of "
            f"{len(prompts.item_ids)} items, got {count}. Make them in the order of the item ids."
        )


def _numbers(given: Any, reward: RewardFunction) -> npt.NDArray[np.float64]:
    try:
        return np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"the reward `{reward_name(reward)}` returned no numbers: expected a float array, got "
            f"{type(given).__name__} ({error}). Return one number per item."
        ) from error


def _ids(prompts: Prompts, rows: Int64) -> npt.NDArray[Any]:
    """Return item ids, (m, k): int64 padded with -1, or objects padded with None."""
    if prompts.item_ids.dtype.is_integer():
        return np.append(prompts.item_ids.to_numpy(), -1)[rows]
    padded = np.empty(len(prompts.item_ids) + 1, object)
    padded[:-1] = prompts.item_ids.to_list()
    found: npt.NDArray[Any] = padded[rows]
    return found
