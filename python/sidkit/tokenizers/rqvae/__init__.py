"""RQ-VAE: a residual-quantized autoencoder, its options and auxiliary losses."""
