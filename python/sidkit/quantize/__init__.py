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
    collaborative_vectors, factorized_vectors   vectors from behaviour
    joined_vectors    those beside vectors of content
    load_tokenizer    read a tokenizer of any kind
    quality_report    MSE, perplexity, codes in use, collisions
    TokenizerFigures  what tokenizers are compared by, as a file
    inspect_codes     quality, and how codes follow content and categories

All tokenizers keep one contract, `Tokenizer`: fit, encode, decode, save, load.
"""

from sidkit._extras import require

require("safetensors", extra="train")

from sidkit.quantize.action_piece import ActionPiece
from sidkit.quantize.behaviour import collaborative_vectors, cooccurrence
from sidkit.quantize.blocks import behaviour_block, joined_vectors
from sidkit.quantize.clusters import CooccurrenceClusters
from sidkit.quantize.coherence import Coherence, prefix_coherence
from sidkit.quantize.controls import LSH, Atomic, RandomCodes
from sidkit.quantize.decoding_costs import decoding_costs
from sidkit.quantize.extra_loss import CodebookLoss, LatentLoss, StatefulLoss
from sidkit.quantize.factorization import factorized_vectors
from sidkit.quantize.figures import TokenizerFigures
from sidkit.quantize.hierarchical import HierarchicalKMeans
from sidkit.quantize.inspection import Inspection, inspect_codes
from sidkit.quantize.lmindexer import LMIndexer
from sidkit.quantize.neighbours import NeighbourRecall, neighbour_recall
from sidkit.quantize.product import PQ
from sidkit.quantize.purity import Purity, prefix_purity
from sidkit.quantize.quality import (
    CodebookCollapseWarning,
    LevelQuality,
    QualityReport,
    quality_report,
    random_unique_rate,
)
from sidkit.quantize.rqkmeans import RQKMeans
from sidkit.quantize.rqvae import RQVAE
from sidkit.quantize.rvq import RVQ
from sidkit.quantize.textual import WordTokenizer
from sidkit.quantize.tokenizer import Tokenizer, load_tokenizer
from sidkit.quantize.vq import VQ
from sidkit.quantize.vqvae import VQVAE

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
    "behaviour_block",
    "collaborative_vectors",
    "cooccurrence",
    "decoding_costs",
    "factorized_vectors",
    "inspect_codes",
    "joined_vectors",
    "load_tokenizer",
    "neighbour_recall",
    "prefix_coherence",
    "prefix_purity",
    "quality_report",
    "random_unique_rate",
]
