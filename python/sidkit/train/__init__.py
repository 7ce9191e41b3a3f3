"""Training: one loop with checkpoints, resume and early stopping, and the batches of each kind of model."""

from sidkit._extras import require

require("torch", extra="train")

from sidkit.train.batches import NextItemBatches, SequenceBatches  # noqa: E402
from sidkit.train.fit import TrainProgress, fit  # noqa: E402
from sidkit.train.history import History  # noqa: E402
from sidkit.train.precision import autocast, resolve_precision  # noqa: E402
from sidkit.train.settings import TrainSettings  # noqa: E402

__all__ = [
    "History",
    "NextItemBatches",
    "SequenceBatches",
    "TrainProgress",
    "TrainSettings",
    "autocast",
    "fit",
    "resolve_precision",
]
