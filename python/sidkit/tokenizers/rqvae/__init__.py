"""RQ-VAE: a residual-quantized autoencoder, its options and auxiliary losses."""

from sidkit.tokenizers.rqvae.rqvae import RQVAE

__all__ = ["RQVAE"]
