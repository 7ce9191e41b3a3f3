"""Semantic IDs: tables, collision policies, tries, and the token vocabulary of models.

    SidTable             items and their Semantic IDs; a Parquet file
    SidLayout, Trie      packing of tokens into integers; the set of valid Semantic IDs
    Vocabulary           mapping of tokens to the token numbers of a model, with special tokens
    resolve_collisions   the policies `suffix`, `reassign` and `share` on plain arrays
    append_items         new items in an existing table
    drift                change of Semantic IDs when a tokenizer is trained again

This package works on codes, whatever tokenizer made them.
"""

from sidkit._core import ItemSet, LiveTrie, SidLayout, Trie, TrieStates, ngram_rows, ngram_windows
from sidkit._extras import require

require("polars", extra="data")

from sidkit.ids.append import append_items
from sidkit.ids.collisions import (
    METHODS,
    POLICIES,
    Reassignment,
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
    "ItemSet",
    "LiveTrie",
    "Reassignment",
    "SidLayout",
    "SidTable",
    "Trie",
    "TrieStates",
    "Vocabulary",
    "add_collision_token",
    "append_items",
    "drift",
    "group_sizes",
    "ngram_rows",
    "ngram_windows",
    "reassign",
    "resolve_collisions",
]
