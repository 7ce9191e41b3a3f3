"""Tokenizers: vectors to codes, the tokens of Semantic IDs before collision handling.

    RQKMeans               residual k-means; the default
    RQVAE                  residual-quantized autoencoder (torch to fit, not to use)
    RVQ                    residual codebooks trained by gradient descent, without an autoencoder
    VQ, VQVAE              one code per item: k-means, or an autoencoder
    PQ, OPQ                product quantization, without and with a learned rotation
    HierarchicalKMeans     paths in a tree of clusters
    CooccurrenceClusters   paths of a recursive clustering of co-occurrences (P5-CID)
    WordTokenizer          phrases from the items' own words
    LMIndexer              residual codes that predict item text (torch to fit, not to use)
    ActionPiece            context-dependent tokens of histories
    RandomCodes, LSH, Atomic   controls, which a tokenizer should outperform
    Gumbel, EMA, Sinkhorn, LETTER, CoST   options of RQVAE
    hybrid_embeddings      content and collaborative embeddings in one vector
    load_tokenizer         read a tokenizer of any method
    TOKENIZERS             registry of tokenizer classes by method
    quality_report         reconstruction error, perplexity, codes in use, collisions
    inspect_codes          quality, and similarity of the items under prefixes
    TokenizerFigures       figures for comparisons, as a file

All tokenizers share the contract of `Tokenizer`: fit, encode, decode, semantic_ids, save, load.
"""

from sidkit._extras import require

require("polars", extra="train")
require("pydantic", extra="train")
require("safetensors", extra="train")

from sidkit._core import Codebooks
from sidkit.tokenizers.actionpiece.action_piece import ActionPiece
from sidkit.tokenizers.atomic import Atomic
from sidkit.tokenizers.base import Tokenizer, load_tokenizer
from sidkit.tokenizers.cooccurrence import CooccurrenceClusters
from sidkit.tokenizers.hkmeans import HierarchicalKMeans
from sidkit.tokenizers.lmindexer.lmindexer import LMIndexer
from sidkit.tokenizers.lsh import LSH
from sidkit.tokenizers.opq import OPQ
from sidkit.tokenizers.parts.hybrid import collaborative_block, hybrid_embeddings
from sidkit.tokenizers.pq import PQ
from sidkit.tokenizers.quality.coherence import Coherence, prefix_coherence
from sidkit.tokenizers.quality.inspection import Inspection, inspect_codes
from sidkit.tokenizers.quality.neighbours import NeighbourRecall, neighbour_recall
from sidkit.tokenizers.quality.purity import Purity, prefix_purity
from sidkit.tokenizers.quality.report import LevelQuality, QualityReport, quality_report
from sidkit.tokenizers.quality.summary import TokenizerFigures
from sidkit.tokenizers.quality.usage import CodebookCollapseWarning, random_unique_rate
from sidkit.tokenizers.random import RandomCodes
from sidkit.tokenizers.registry import TOKENIZERS
from sidkit.tokenizers.rqkmeans import RQKMeans
from sidkit.tokenizers.rqvae.auxiliary_loss import CodebookLoss, LatentLoss, StatefulLoss
from sidkit.tokenizers.rqvae.options import EMA, LETTER, CoST, Gumbel, Sinkhorn
from sidkit.tokenizers.rqvae.rqvae import RQVAE
from sidkit.tokenizers.rvq import RVQ
from sidkit.tokenizers.vq import VQ
from sidkit.tokenizers.vqvae import VQVAE
from sidkit.tokenizers.words import WordTokenizer

__all__ = [
    "EMA",
    "LETTER",
    "LSH",
    "OPQ",
    "PQ",
    "RQVAE",
    "RVQ",
    "TOKENIZERS",
    "VQ",
    "VQVAE",
    "ActionPiece",
    "Atomic",
    "CoST",
    "CodebookCollapseWarning",
    "CodebookLoss",
    "Codebooks",
    "Coherence",
    "CooccurrenceClusters",
    "Gumbel",
    "HierarchicalKMeans",
    "Inspection",
    "LMIndexer",
    "LatentLoss",
    "LevelQuality",
    "NeighbourRecall",
    "Purity",
    "QualityReport",
    "RQKMeans",
    "RandomCodes",
    "Sinkhorn",
    "StatefulLoss",
    "Tokenizer",
    "TokenizerFigures",
    "WordTokenizer",
    "collaborative_block",
    "hybrid_embeddings",
    "inspect_codes",
    "load_tokenizer",
    "neighbour_recall",
    "prefix_coherence",
    "prefix_purity",
    "quality_report",
    "random_unique_rate",
]
