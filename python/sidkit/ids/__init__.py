"""From codes to Semantic IDs: collision policies, the item ↔ SID table, the token vocabulary.

    SidTable             which item has which Semantic ID; a Parquet file
    Vocabulary           token of a level ↔ token number of a model, with the special tokens
    resolve_collisions   the policies `suffix`, `reassign` and `share` on plain arrays
    append_items         further items by the same tokenizer; the rows that are there stay
    drift                how Semantic IDs move when the tokenizer is trained anew

It reads codes and knows nothing of how they were made.
"""

from sidkit._extras import require

require("polars", extra="data")

from sidkit.ids.append import append_items
from sidkit.ids.collisions import (
    METHODS,
    POLICIES,
    add_collision_token,
    group_sizes,
    reassign,
    resolve_collisions,
)
from sidkit.ids.drift import Drift, drift
from sidkit.ids.table import SidTable
from sidkit.ids.vocabulary import Vocabulary

__all__ = [
    "METHODS",
    "POLICIES",
    "Drift",
    "SidTable",
    "Vocabulary",
    "add_collision_token",
    "append_items",
    "drift",
    "group_sizes",
    "reassign",
    "resolve_collisions",
]
