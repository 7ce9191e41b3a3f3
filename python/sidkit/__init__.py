"""Semantic IDs for recommendation: learn them, generate with them, rank with them.

    data, embed          datasets, item vectors
    tokenizers, ids      vectors to codes, codes to Semantic IDs
    recommenders         models that are fitted on histories and recommend items
    ranking              Semantic IDs as features of ranking models
    evaluate, report     metrics and pages
    run, experiments     run directories, comparisons and sweeps

The names below cover everyday use; each package exports more. `import sidkit` needs only NumPy: every other
name is imported on first use, and an error names the extra to install where a dependency is missing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sidkit._core import (
    ItemSet,
    LiveTrie,
    SidLayout,
    Trie,
    __version__,
    assign_codes,
    ngram_rows,
)

if TYPE_CHECKING:
    from sidkit.data import Dataset, load_dataset
    from sidkit.embed import embed_items
    from sidkit.ids import SidTable
    from sidkit.ranking import SidEmbedding
    from sidkit.recommenders import (
        TIGER,
        ActionPieceTIGER,
        BSARec,
        ContentKNN,
        DecoderOnly,
        GRU4Rec,
        ItemKNN,
        Popularity,
        RQTransformer,
        SASRec,
        TransitionGraph,
        load_model,
    )
    from sidkit.run.opened import open_run
    from sidkit.serve.session import Session
    from sidkit.tokenizers import (
        LSH,
        OPQ,
        PQ,
        RQVAE,
        RVQ,
        VQ,
        VQVAE,
        ActionPiece,
        Atomic,
        CooccurrenceClusters,
        HierarchicalKMeans,
        LMIndexer,
        RandomCodes,
        RQKMeans,
        WordTokenizer,
        load_tokenizer,
    )

__all__ = [
    "LSH",
    "OPQ",
    "PQ",
    "RQVAE",
    "RVQ",
    "TIGER",
    "VQ",
    "VQVAE",
    "ActionPiece",
    "ActionPieceTIGER",
    "Atomic",
    "BSARec",
    "ContentKNN",
    "CooccurrenceClusters",
    "Dataset",
    "DecoderOnly",
    "GRU4Rec",
    "HierarchicalKMeans",
    "ItemKNN",
    "ItemSet",
    "LMIndexer",
    "LiveTrie",
    "Popularity",
    "RQKMeans",
    "RQTransformer",
    "RandomCodes",
    "SASRec",
    "Session",
    "SidEmbedding",
    "SidLayout",
    "SidTable",
    "TransitionGraph",
    "Trie",
    "WordTokenizer",
    "__version__",
    "assign_codes",
    "embed_items",
    "load_dataset",
    "load_model",
    "load_tokenizer",
    "ngram_rows",
    "open_run",
]

# Packages of the names that are imported on first use.
_LAZY = {
    "sidkit.data": ("Dataset", "load_dataset"),
    "sidkit.embed": ("embed_items",),
    "sidkit.ids": ("SidTable",),
    "sidkit.ranking": ("SidEmbedding",),
    "sidkit.recommenders": (
        "ActionPieceTIGER",
        "BSARec",
        "ContentKNN",
        "DecoderOnly",
        "GRU4Rec",
        "ItemKNN",
        "Popularity",
        "RQTransformer",
        "SASRec",
        "TIGER",
        "TransitionGraph",
        "load_model",
    ),
    "sidkit.run.opened": ("open_run",),
    "sidkit.serve.session": ("Session",),
    "sidkit.tokenizers": (
        "LSH",
        "OPQ",
        "PQ",
        "RQVAE",
        "RVQ",
        "VQ",
        "VQVAE",
        "ActionPiece",
        "Atomic",
        "CooccurrenceClusters",
        "HierarchicalKMeans",
        "LMIndexer",
        "RQKMeans",
        "RandomCodes",
        "WordTokenizer",
        "load_tokenizer",
    ),
}
_PACKAGE = {name: package for package, names in _LAZY.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _PACKAGE:
        raise AttributeError(f"module `sidkit` has no attribute `{name}`")
    value = globals()[name] = getattr(import_module(_PACKAGE[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PACKAGE})
