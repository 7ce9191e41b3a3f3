"""From codes to Semantic IDs: collision policies, the item ↔ SID table, the token vocabulary.

    SidTable             which item has which Semantic ID; a Parquet file
    Vocabulary           digit of a level ↔ token number of a model, with the special tokens
    resolve_collisions   the policies `token`, `reassign` and `share` on plain arrays

It reads codes and knows nothing of how they were made.
"""

from sidkit._extras import require

require("polars", extra="data")

from sidkit.ids.collisions import POLICIES, add_collision_digit, group_sizes, reassign, resolve_collisions
from sidkit.ids.table import SidTable
from sidkit.ids.vocabulary import Vocabulary

__all__ = [
    "POLICIES",
    "SidTable",
    "Vocabulary",
    "add_collision_digit",
    "group_sizes",
    "reassign",
    "resolve_collisions",
]
