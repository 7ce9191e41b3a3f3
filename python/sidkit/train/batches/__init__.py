"""Batches with little padding, in an order that depends on seed and epoch only.

The order of an epoch is independent of earlier epochs, so an interrupted training can continue within one.
"""

from sidkit.train.batches.batch import Batch, Batches, mean_by_length
from sidkit.train.batches.fragments import FragmentBatches
from sidkit.train.batches.next_item import NextItemBatches, Prefixes
from sidkit.train.batches.windows import SequenceBatches

__all__ = [
    "Batch",
    "Batches",
    "FragmentBatches",
    "NextItemBatches",
    "Prefixes",
    "SequenceBatches",
    "mean_by_length",
]
