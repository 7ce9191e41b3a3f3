"""Reward of logged feedback: ratings or labels, with a model for items without any."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sidkit.data import Dataset, Histories
from sidkit.errors import ConfigError, DataError
from sidkit.train.align.preferences import ratings_of
from sidkit.train.align.prompts import Prompts
from sidkit.train.align.rewards.base import Float64, Int64, Reward, check_items

__all__ = ["LoggedFeedback"]


class LoggedFeedback(Reward):
    """Rating or label that a user gave to an item, relative to the mean of the user.

    Few items are rated, so the reward is doubly robust (Dudík et al., ICML 2011; Schnabel et al., ICML 2016):
    a model of all items, plus, for an item that the user rated, the error of the model divided by the
    probability that it is rated. The model is the mean of the item relative to those of its users, shrunken
    towards 0.

    Args:
        data: dataset with the column.
        histories: events from which the reward is made, such as `split.train`: one row per user of `data`.
            Ratings of other events are not read.
        column: column of numbers in `data.interactions`, such as `rating` or `label`.
        shrinkage: number of ratings at which the mean of an item counts half.
        propensity_power: the probability that an item is rated is taken to be its share of the events of the
            most frequent item, to this power; 0 for 1, which replaces the model where there is a rating.
        min_propensity: least probability, which limits the weight of a rating.

    Raises:
        ConfigError: if there is no such column, or a setting is out of range.
        DataError: if the histories are of another dataset, or none of their events has a value.
    """

    def __init__(
        self,
        data: Dataset,
        histories: Histories,
        *,
        column: str = "rating",
        shrinkage: float = 10.0,
        propensity_power: float = 0.0,
        min_propensity: float = 0.1,
    ) -> None:
        if not (shrinkage >= 0 and propensity_power >= 0 and 0 < min_propensity <= 1):
            raise ConfigError(
                "settings of a reward are invalid: expected shrinkage and propensity_power of 0 or more and "
                f"min_propensity in (0, 1], got {shrinkage}, {propensity_power} and {min_propensity}. "
                "Correct them."
            )
        if len(histories) != len(data.user_ids) or not histories.item_ids.equals(data.item_ids):
            raise DataError(
                f"histories are of another dataset: expected {len(data.user_ids)} users and the items of "
                f"`{data.name}`, got {len(histories)} histories. Pass those of its split."
            )
        logged = ratings_of(data, column)
        user = np.repeat(np.arange(len(histories)), histories.lengths)
        item = histories.values.astype(np.int64)
        value = np.array(
            [logged.get(pair, np.nan) for pair in zip(user.tolist(), item.tolist(), strict=True)]
        )
        known = np.isfinite(value)
        if not known.any():
            raise DataError(
                f"no event of the histories has a value in `{column}`: expected some, got none. Name another "
                "column."
            )
        user, item, value = user[known], item[known], value[known]
        self._items = len(data.item_ids)
        count = np.bincount(item, minlength=self._items)
        value = value - _means(user, value, len(histories))[user]
        self.model = np.bincount(item, value, self._items) / np.maximum(count + shrinkage, 1)
        share = (count / count.max()) ** propensity_power if propensity_power else np.ones(self._items)
        self.propensities = np.maximum(share, min_propensity)
        keys = user * self._items + item
        self._keys, first = np.unique(keys, return_index=True)
        self._errors = (value - self.model[item])[first] / self.propensities[item[first]]

    def of_rows(self, prompts: Prompts, rows: Int64) -> Float64:
        """Return the reward of each item, float64 (m, k), in the unit of the column."""
        check_items(type(self).__name__, self._items, prompts)
        keys = prompts.users.astype(np.int64)[:, None] * self._items + rows
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        rated = self._keys[place] == keys
        found: Float64 = self.model[rows] + np.where(rated, self._errors[place], 0.0)
        return found


def _means(user: npt.NDArray[np.int64], value: Float64, users: int) -> Float64:
    means: Float64 = np.bincount(user, value, users) / np.maximum(np.bincount(user, minlength=users), 1)
    return means
