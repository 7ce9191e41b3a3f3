"""Rewards of recommended items: what alignment maximizes.

A reward is any callable `(histories, item_ids) -> float array`; those below also know each other by `+` and
`*`, as in `NextItem() + 0.1 * Novelty(split.train)`.
"""

from sidkit.train.align.rewards.attribute import ItemAttribute
from sidkit.train.align.rewards.base import Reward, RewardFunction, WeightedSum, evaluate_reward
from sidkit.train.align.rewards.diversity import ListDiversity
from sidkit.train.align.rewards.feedback import LoggedFeedback
from sidkit.train.align.rewards.next_item import NextItem
from sidkit.train.align.rewards.novelty import Novelty

__all__ = [
    "ItemAttribute",
    "ListDiversity",
    "LoggedFeedback",
    "NextItem",
    "Novelty",
    "Reward",
    "RewardFunction",
    "WeightedSum",
    "evaluate_reward",
]
