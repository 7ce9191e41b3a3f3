"""The tree of all Semantic IDs: its vectors, samples of its nodes, and decoding through it."""
