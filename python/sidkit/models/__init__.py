"""Models that recommend: the TIGER generator of Semantic IDs, and the baselines it is measured against."""

from sidkit._extras import require

require("torch", extra="train")

from sidkit.models.popularity import Popularity
from sidkit.models.sasrec import SASRec
from sidkit.models.saving import load_model, save_model
from sidkit.models.tiger import TIGER, TigerState

__all__ = ["TIGER", "Popularity", "SASRec", "TigerState", "load_model", "save_model"]
