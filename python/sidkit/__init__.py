"""Semantic IDs: learn them, generate with them, rank with them.

The names here are the front room; a stage's other names live in its package, such as `sidkit.tokenizers.RQVAE`.
`import sidkit` needs only NumPy: what needs more is imported when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sidkit._core import (
    Codebooks,
    ItemSet,
    LiveTrie,
    SidLayout,
    Trie,
    TrieStates,
    __version__,
    assign_codes,
    ngram_rows,
    ngram_windows,
)

if TYPE_CHECKING:
    from sidkit.ids import SidTable
    from sidkit.run.opened import open_run
    from sidkit.tokenizers import RQKMeans, load_tokenizer, quality_report

__all__ = [
    "Codebooks",
    "ItemSet",
    "LiveTrie",
    "RQKMeans",
    "SidLayout",
    "SidTable",
    "Trie",
    "TrieStates",
    "__version__",
    "assign_codes",
    "load_tokenizer",
    "ngram_rows",
    "ngram_windows",
    "open_run",
    "quality_report",
]

# Names of the front room that wait for their extras, and the package of each.
_LATER = {
    "RQKMeans": "sidkit.tokenizers",
    "SidTable": "sidkit.ids",
    "load_tokenizer": "sidkit.tokenizers",
    "open_run": "sidkit.run.opened",
    "quality_report": "sidkit.tokenizers",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module `sidkit` has no attribute `{name}`")
    value = globals()[name] = getattr(import_module(_LATER[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
