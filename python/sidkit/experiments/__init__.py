"""Experiments over many runs: tuning, comparisons of tokenizers and beams, sweeps, and drift.

Each experiment is a module, named after it.
"""

from sidkit.experiments import beam_width, compare_tokenizers, drift, frontier, store, sweep, tune

__all__ = ["beam_width", "compare_tokenizers", "drift", "frontier", "store", "sweep", "tune"]
