"""Batches with little padding, in an order that depends on seed and epoch only.

The order of an epoch is independent of earlier epochs, so an interrupted training can continue within one.
"""

from sidkit.train.batches.fragments import FragmentBatches
from sidkit.train.batches.next_item import NextItemBatches
from sidkit.train.batches.pieces import PieceBatches
from sidkit.train.batches.ties import TiedEvents
from sidkit.train.batches.windows import SequenceBatches

__all__ = ["FragmentBatches", "NextItemBatches", "PieceBatches", "SequenceBatches", "TiedEvents"]
