"""From vectors to codes.

    RQKMeans          residual k-means; the default
    VQ                k-means, one code an item
    HierarchicalKMeans   paths in a tree of clusters
    RVQ               residual codebooks trained by gradients, without an autoencoder
    VQVAE             an autoencoder with one code an item
    RQVAE             residual-quantized autoencoder (needs torch to be fitted, not to be used)
    PQ                product quantization, OPQ with its rotation
    CooccurrenceClusters   paths of a recursive clustering of what occurs together, P5-CID
    LMIndexer         residual codes trained to tell the words of texts (needs torch to be fitted)
    WordTokenizer     phrases of the items' own words
    ActionPiece       pieces of histories, whose items are sets of features
    RandomCodes, LSH, Atomic   controls, which a tokenizer must beat
    collaborative_embeddings, factorization_embeddings   vectors from behaviour
    hybrid_embeddings    those beside vectors of content
    load_tokenizer    read a tokenizer of any kind
    quality_report    MSE, perplexity, codes in use, collisions
    TokenizerFigures  what tokenizers are compared by, as a file
    inspect_codes     quality, and how codes follow content and categories

All tokenizers keep one contract, `Tokenizer`: fit, encode, decode, save, load.
"""

from sidkit._extras import require

require("safetensors", extra="train")

from sidkit.tokenizers.actionpiece.action_piece import ActionPiece
from sidkit.tokenizers.base import Tokenizer, load_tokenizer
from sidkit.tokenizers.controls import LSH, Atomic, RandomCodes
from sidkit.tokenizers.cooccurrence import CooccurrenceClusters
from sidkit.tokenizers.hierarchical import HierarchicalKMeans
from sidkit.tokenizers.hybrid import collaborative_block, hybrid_embeddings
from sidkit.tokenizers.lmindexer.lmindexer import LMIndexer
from sidkit.tokenizers.parts.decoding_costs import decoding_costs
from sidkit.tokenizers.product import PQ
from sidkit.tokenizers.quality.coherence import Coherence, prefix_coherence
from sidkit.tokenizers.quality.inspection import Inspection, inspect_codes
from sidkit.tokenizers.quality.neighbours import NeighbourRecall, neighbour_recall
from sidkit.tokenizers.quality.purity import Purity, prefix_purity
from sidkit.tokenizers.quality.report import (
    CodebookCollapseWarning,
    LevelQuality,
    QualityReport,
    quality_report,
    random_unique_rate,
)
from sidkit.tokenizers.quality.summary import TokenizerFigures
from sidkit.tokenizers.rqkmeans import RQKMeans
from sidkit.tokenizers.rqvae.auxiliary_loss import CodebookLoss, LatentLoss, StatefulLoss
from sidkit.tokenizers.rqvae.rqvae import RQVAE
from sidkit.tokenizers.rqvae.vqvae import VQVAE
from sidkit.tokenizers.rvq import RVQ
from sidkit.tokenizers.vq import VQ
from sidkit.tokenizers.words import WordTokenizer

__all__ = [
    "LSH",
    "PQ",
    "RQVAE",
    "RVQ",
    "VQ",
    "VQVAE",
    "ActionPiece",
    "Atomic",
    "CodebookCollapseWarning",
    "CodebookLoss",
    "Coherence",
    "CooccurrenceClusters",
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
    "StatefulLoss",
    "Tokenizer",
    "TokenizerFigures",
    "WordTokenizer",
    "collaborative_block",
    "decoding_costs",
    "hybrid_embeddings",
    "inspect_codes",
    "load_tokenizer",
    "neighbour_recall",
    "prefix_coherence",
    "prefix_purity",
    "quality_report",
    "random_unique_rate",
]
