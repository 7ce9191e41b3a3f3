"""Training of tokenizers: epochs, checkpoints, codebook-collapse check."""
