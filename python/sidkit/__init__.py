"""Semantic IDs: learn them, generate with them, rank with them."""

from sidkit._core import __version__

__all__ = ["__version__"]
