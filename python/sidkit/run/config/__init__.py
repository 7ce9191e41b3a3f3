"""Configuration of a run: one file per stage, the whole, presets, and `run.toml`."""

from sidkit.run.config.data import DataConfig
from sidkit.run.config.decode import DecodeConfig
from sidkit.run.config.embed import EmbedConfig
from sidkit.run.config.evaluate import EvaluateConfig
from sidkit.run.config.ids import IdsConfig
from sidkit.run.config.presets import PRESETS, preset, sid_shape
from sidkit.run.config.recommenders import RecommenderConfig, RecommendersConfig
from sidkit.run.config.run import RunConfig
from sidkit.run.config.settings import (
    build_config,
    differences,
    flatten,
    parse_assignment,
    read_config,
    read_tables,
    write_config,
)
from sidkit.run.config.tokenize import TokenizeConfig

__all__ = [
    "PRESETS",
    "DataConfig",
    "DecodeConfig",
    "EmbedConfig",
    "EvaluateConfig",
    "IdsConfig",
    "RecommenderConfig",
    "RecommendersConfig",
    "RunConfig",
    "TokenizeConfig",
    "build_config",
    "differences",
    "flatten",
    "parse_assignment",
    "preset",
    "read_config",
    "read_tables",
    "sid_shape",
    "write_config",
]
