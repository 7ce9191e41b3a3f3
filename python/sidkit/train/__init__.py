"""Training: the loop, its options and callbacks, and the batches of each kind of network."""

from sidkit._extras import require

require("torch", extra="train")

from sidkit.train.align import DPO, GRPO, IPO, Budget, Preferences, SoftmaxDPO
from sidkit.train.batches import (
    FragmentBatches,
    NextItemBatches,
    PieceBatches,
    SequenceBatches,
    TiedEvents,
)
from sidkit.train.callbacks import ProgressBar, TrainProgress
from sidkit.train.checkpoint import Checkpoint
from sidkit.train.history import History
from sidkit.train.loop import Callback, Training, fit
from sidkit.train.options import EpochOptions, SoftmaxOptions, TokenOptions, TrainingOptions, TrainSettings
from sidkit.train.precision import autocast, resolve_device, resolve_precision
from sidkit.train.processes import Processes, join
from sidkit.train.sampled import SampledSoftmax
from sidkit.train.throughput import gemm_peak, step_flops

__all__ = [
    "DPO",
    "GRPO",
    "IPO",
    "Budget",
    "Callback",
    "Checkpoint",
    "EpochOptions",
    "FragmentBatches",
    "History",
    "NextItemBatches",
    "PieceBatches",
    "Preferences",
    "Processes",
    "ProgressBar",
    "SampledSoftmax",
    "SequenceBatches",
    "SoftmaxDPO",
    "SoftmaxOptions",
    "TiedEvents",
    "TokenOptions",
    "TrainProgress",
    "TrainSettings",
    "Training",
    "TrainingOptions",
    "autocast",
    "fit",
    "gemm_peak",
    "join",
    "resolve_device",
    "resolve_precision",
    "step_flops",
]
