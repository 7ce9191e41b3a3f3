"""Semantic IDs: learn them, generate with them, rank with them."""

from sidkit._core import SidLayout, __version__

__all__ = ["SidLayout", "__version__"]
