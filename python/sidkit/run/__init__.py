"""Whole runs: configuration, run directory, and the pipeline of all stages.

build_config, read_config     settings -> `RunConfig`
RunDirectory                     what each stage made, and whether it still holds
store_run                     its results kept for tables, comparisons and readers
run_pipeline                  data -> embed -> quantize -> ids -> train -> decode -> evaluate -> report
"""

from sidkit._extras import require

require("pydantic", extra="cli")
require("tomli_w", extra="cli")
require("polars", extra="data")

from sidkit.experiments.store import store_run
from sidkit.run.config import (
    ActionPieceConfig,
    ActionPieceTrainingConfig,
    DecoderOnlyConfig,
    DecoderOnlyTrainingConfig,
    Gru4recConfig,
    RqTransformerConfig,
    RqTransformerTrainingConfig,
    RunConfig,
    SasrecConfig,
    SoftmaxTrainingConfig,
    TigerConfig,
    TigerTrainingConfig,
    TrainingConfig,
)
from sidkit.run.config.presets import PRESETS
from sidkit.run.config.settings import build_config, differences, read_config, read_tables, write_config
from sidkit.run.directory import RunDirectory, StageRecord
from sidkit.run.engine import Observer, Quiet
from sidkit.run.pipeline import STAGES, run_pipeline

__all__ = [
    "PRESETS",
    "STAGES",
    "ActionPieceConfig",
    "ActionPieceTrainingConfig",
    "DecoderOnlyConfig",
    "DecoderOnlyTrainingConfig",
    "Gru4recConfig",
    "Observer",
    "Quiet",
    "RqTransformerConfig",
    "RqTransformerTrainingConfig",
    "RunConfig",
    "RunDirectory",
    "SasrecConfig",
    "SoftmaxTrainingConfig",
    "StageRecord",
    "TigerConfig",
    "TigerTrainingConfig",
    "TrainingConfig",
    "build_config",
    "differences",
    "read_config",
    "read_tables",
    "run_pipeline",
    "store_run",
    "write_config",
]
