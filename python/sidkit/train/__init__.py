"""Training: one loop with checkpoints, resume and early stopping, and the batches of each kind of model."""

from sidkit._extras import require

require("torch", extra="train")

from sidkit.train.batches import NextItemBatches, SequenceBatches
from sidkit.train.fit import TrainProgress, fit
from sidkit.train.flops import step_flops
from sidkit.train.gemm import gemm_peak
from sidkit.train.history import History
from sidkit.train.pieces import PieceBatches
from sidkit.train.precision import autocast, resolve_device, resolve_precision
from sidkit.train.processes import Processes, join
from sidkit.train.sampled import SampledSoftmax
from sidkit.train.settings import TrainSettings
from sidkit.train.ties import TiedEvents

__all__ = [
    "History",
    "NextItemBatches",
    "PieceBatches",
    "Processes",
    "SampledSoftmax",
    "SequenceBatches",
    "TiedEvents",
    "TrainProgress",
    "TrainSettings",
    "autocast",
    "fit",
    "gemm_peak",
    "join",
    "resolve_device",
    "resolve_precision",
    "step_flops",
]
