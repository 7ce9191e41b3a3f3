"""Inference files: what a recommender needs to recommend without torch.

`write_inference_file` composes the vectors of all items and prefixes once and writes them with the encoder, the
tree of Semantic IDs, the transition graph and the item ids to one safetensors file, which the Rust core maps into
memory.
"""

from sidkit.recommenders.inference.writing import write_inference_file

__all__ = ["INFERENCE", "write_inference_file"]

#: Name of the file in the directory of a saved recommender.
INFERENCE = "inference.safetensors"
