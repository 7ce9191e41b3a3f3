"""From vectors to codes.

    RQKMeans          residual k-means; the default
    RQVAE             residual-quantized autoencoder (needs torch to be fitted, not to be used)
    PQ                product quantization, OPQ with its rotation
    RandomCodes, LSH, Atomic   controls, which a tokenizer must beat
    collaborative_vectors, joined_vectors   vectors from behaviour, and beside those of content
    load_tokenizer    read a tokenizer of any kind
    quality_report    MSE, perplexity, codes in use, collisions

All tokenizers keep one contract, `Tokenizer`: fit, encode, decode, save, load.
"""

from sidkit._extras import require

require("safetensors", extra="train")

from sidkit.quantize.behaviour import collaborative_vectors, cooccurrence
from sidkit.quantize.blocks import behaviour_block, joined_vectors
from sidkit.quantize.controls import LSH, Atomic, RandomCodes
from sidkit.quantize.extra_loss import CodebookLoss, LatentLoss
from sidkit.quantize.product import PQ
from sidkit.quantize.quality import (
    CodebookCollapseWarning,
    LevelQuality,
    QualityReport,
    quality_report,
)
from sidkit.quantize.rqkmeans import RQKMeans
from sidkit.quantize.rqvae import RQVAE
from sidkit.quantize.tokenizer import Tokenizer, load_tokenizer

__all__ = [
    "LSH",
    "PQ",
    "RQVAE",
    "Atomic",
    "CodebookCollapseWarning",
    "CodebookLoss",
    "LatentLoss",
    "LevelQuality",
    "QualityReport",
    "RQKMeans",
    "RandomCodes",
    "Tokenizer",
    "behaviour_block",
    "collaborative_vectors",
    "cooccurrence",
    "joined_vectors",
    "load_tokenizer",
    "quality_report",
]
