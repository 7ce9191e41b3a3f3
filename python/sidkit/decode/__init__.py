"""Decoding: beam search under a trie, its variants, and rankings of the whole catalogue.

`top_k`, `RankOptions` and `SearchOptions` need NumPy only. The other names are imported on first use and need
torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sidkit._extras import require
from sidkit.decode.options import RankOptions, SearchOptions
from sidkit.decode.ranking import Ranked, top_k

if TYPE_CHECKING:
    from sidkit.decode.adapters import StaticLayout, TrieTensors, to_static
    from sidkit.decode.beam import beam_search
    from sidkit.decode.dense import ScoringNetwork, rank_by_scores
    from sidkit.decode.diverse import Diversity, diverse_beam_search
    from sidkit.decode.generative import GenerativeNetwork
    from sidkit.decode.losses import level_losses
    from sidkit.decode.sampling import sample_items

__all__ = [
    "Diversity",
    "GenerativeNetwork",
    "RankOptions",
    "Ranked",
    "ScoringNetwork",
    "SearchOptions",
    "StaticLayout",
    "TrieTensors",
    "beam_search",
    "diverse_beam_search",
    "level_losses",
    "rank_by_scores",
    "sample_items",
    "to_static",
    "top_k",
]

_MODULES = {
    "Diversity": "diverse",
    "GenerativeNetwork": "generative",
    "ScoringNetwork": "dense",
    "StaticLayout": "adapters",
    "TrieTensors": "adapters",
    "beam_search": "beam",
    "diverse_beam_search": "diverse",
    "level_losses": "losses",
    "rank_by_scores": "dense",
    "sample_items": "sampling",
    "to_static": "adapters",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module `sidkit.decode` has no attribute `{name}`")
    require("torch", extra="train")
    value = globals()[name] = getattr(import_module(f"sidkit.decode.{_MODULES[name]}"), name)
    return value
