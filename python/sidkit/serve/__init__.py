"""A finished run, put to work: recommendations for a user or a history.

open_run(path) -> Run         three lines from a run folder to recommended ids
load_ranker, load_rankers     one way to rank items, whatever the model; all ways of a model
"""

from sidkit._extras import require

require("polars", extra="serve")
require("torch", extra="serve")

from sidkit.serve.opened import Run, open_run
from sidkit.serve.ranker import Ranker, load_ranker, load_rankers

__all__ = ["Ranker", "Run", "load_ranker", "load_rankers", "open_run"]
