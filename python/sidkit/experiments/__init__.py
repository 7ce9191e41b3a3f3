"""Experiments over many runs: tuning, comparisons of tokenizers and beams, sweeps, and drift."""
