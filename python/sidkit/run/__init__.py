"""Whole runs: configuration, run directory, and the pipeline of all stages.

build_config, read_config   settings -> `RunConfig`
RunDirectory                what each stage made, and whether it is current
run_pipeline                data -> embed -> tokenize -> ids -> train -> decode -> evaluate -> report
open_run                    recommendations by a finished run
"""

from sidkit._extras import require

require("pydantic", extra="cli")
require("tomli_w", extra="cli")
require("polars", extra="data")

from sidkit.run.appended import Appended, append_to_run
from sidkit.run.config import (
    PRESETS,
    RunConfig,
    build_config,
    differences,
    read_config,
    read_tables,
    write_config,
)
from sidkit.run.directory import RunDirectory, StageRecord
from sidkit.run.engine import Observer, Quiet
from sidkit.run.opened import Run, open_run
from sidkit.run.pipeline import STAGES, run_pipeline

__all__ = [
    "PRESETS",
    "STAGES",
    "Appended",
    "Observer",
    "Quiet",
    "Run",
    "RunConfig",
    "RunDirectory",
    "StageRecord",
    "append_to_run",
    "build_config",
    "differences",
    "open_run",
    "read_config",
    "read_tables",
    "run_pipeline",
    "write_config",
]
