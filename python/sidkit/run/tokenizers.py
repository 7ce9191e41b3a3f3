"""The tokenizer that a configuration asks for."""

from typing import TYPE_CHECKING

from sidkit.run.config.tokenize import TokenizeConfig

if TYPE_CHECKING:
    from sidkit.tokenizers import Tokenizer

__all__ = ["make_tokenizer", "tokenizer_class"]


def tokenizer_class(method: str) -> "type[Tokenizer]":
    """The class of a method of `TokenizeConfig`."""
    from sidkit.tokenizers import (
        LSH,
        PQ,
        RQVAE,
        RVQ,
        VQ,
        VQVAE,
        Atomic,
        CooccurrenceClusters,
        HierarchicalKMeans,
        LMIndexer,
        RandomCodes,
        RQKMeans,
        WordTokenizer,
    )

    classes: dict[str, type[Tokenizer]] = {
        "rqkmeans": RQKMeans,
        "rqvae": RQVAE,
        "vq": VQ,
        "vqvae": VQVAE,
        "rvq": RVQ,
        "hkmeans": HierarchicalKMeans,
        "pq": PQ,
        "opq": PQ,
        "lsh": LSH,
        "random": RandomCodes,
        "atomic": Atomic,
        "cooccurrence": CooccurrenceClusters,
        "words": WordTokenizer,
        "lmindexer": LMIndexer,
    }
    return classes[method]


def make_tokenizer(config: TokenizeConfig) -> "Tokenizer":
    """Make the tokenizer, not fitted yet.

    Raises:
        ConfigError: if its options contradict each other.
    """
    return tokenizer_class(config.method)(**config.arguments())
