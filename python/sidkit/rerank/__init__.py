"""Re-ranking of recommendation lists: diversity, business rules, and corrections of scores.

    MMR, MaxSum, DPP        diverse lists, by the cosines of item vectors
    Deduplicate             removal of near-identical items
    AttributeCap            at most n items per brand, genre, …
    MinimumShare            at least a share of the list from a group
    SlotPolicy              from n to m items of a group, such as new ones
    Boost                   additive boosts, such as freshness or margin
    PopularityCorrection    log-q correction with a weight
    Pipeline                several of them in a row

`Recommender.recommend(..., rerank=[MMR(diversity=0.3)], candidates=200)` takes the best candidates of any
recommender and applies them. `Reranker.rerank` works on arrays of any scores.
"""

from sidkit._extras import require

require("polars", extra="data")

from sidkit.rerank.attribute_cap import AttributeCap
from sidkit.rerank.attributes import ItemAttribute, item_attribute, item_numbers
from sidkit.rerank.base import ItemFeatures, Reranker
from sidkit.rerank.boost import Boost
from sidkit.rerank.diversity import DPP, MMR, Deduplicate, MaxSum
from sidkit.rerank.minimum_share import MinimumShare
from sidkit.rerank.pipeline import Pipeline
from sidkit.rerank.popularity_correction import PopularityCorrection
from sidkit.rerank.registry import RERANKERS
from sidkit.rerank.slot_policy import SlotPolicy

__all__ = [
    "DPP",
    "MMR",
    "RERANKERS",
    "AttributeCap",
    "Boost",
    "Deduplicate",
    "ItemAttribute",
    "ItemFeatures",
    "MaxSum",
    "MinimumShare",
    "Pipeline",
    "PopularityCorrection",
    "Reranker",
    "SlotPolicy",
    "item_attribute",
    "item_numbers",
]
