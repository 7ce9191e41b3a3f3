"""Training loop of tokenizers: epochs, checkpoints, codebook-collapse check."""
