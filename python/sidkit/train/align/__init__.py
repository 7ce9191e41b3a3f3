"""Preference alignment: a generative recommender is trained further towards rewards or preferences.

    GRPO, DPO, IPO, SoftmaxDPO   objectives and their settings
    Preferences                  preferred items, from ratings or impressions
    rewards                      what is maximized
    Budget                       how far the policy may move

`model.align` of a generative recommender uses them.
"""

from sidkit.train.align.budget import Budget, RewardHackingWarning
from sidkit.train.align.dpo import DPO, IPO
from sidkit.train.align.group import Group, expectation_weights
from sidkit.train.align.grpo import GRPO
from sidkit.train.align.options import AlignmentMethod
from sidkit.train.align.preferences import Preferences
from sidkit.train.align.prompts import Prompts
from sidkit.train.align.record import AlignmentRecord
from sidkit.train.align.rewards import (
    ItemAttribute,
    ListDiversity,
    LoggedFeedback,
    NextItem,
    Novelty,
    Reward,
    WeightedSum,
)
from sidkit.train.align.softmax_dpo import SoftmaxDPO

__all__ = [
    "DPO",
    "GRPO",
    "IPO",
    "METHODS",
    "AlignmentMethod",
    "AlignmentRecord",
    "Budget",
    "Group",
    "ItemAttribute",
    "ListDiversity",
    "LoggedFeedback",
    "NextItem",
    "Novelty",
    "Preferences",
    "Prompts",
    "Reward",
    "RewardHackingWarning",
    "SoftmaxDPO",
    "WeightedSum",
    "expectation_weights",
]

#: Alignment methods by name.
METHODS: dict[str, type[AlignmentMethod]] = {each.method: each for each in (GRPO, DPO, IPO, SoftmaxDPO)}
