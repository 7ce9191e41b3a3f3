"""Engines, which apply a worker function to fragments: one module each."""

from sidkit.scale.engines.base import Engine
from sidkit.scale.engines.registry import ENGINES

__all__ = ["ENGINES", "Engine"]
