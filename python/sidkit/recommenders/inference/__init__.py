"""Inference files: what a recommender needs to recommend without torch.

`write_inference_file` composes the vectors of all items and prefixes once and writes them with the encoder,
the tree of Semantic IDs, the transition graph and the item ids to one safetensors file, which the Rust core
maps into memory.
"""

from sidkit.recommenders.inference.writing import INFERENCE, save_inference_file, write_inference_file

__all__ = ["INFERENCE", "save_inference_file", "write_inference_file"]
