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
