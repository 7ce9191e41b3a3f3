"""A generative network whose probabilities are drawn per prefix, so that all results are countable."""

import itertools

import numpy as np
import torch

from sidkit import SidLayout, Trie

__all__ = ["SIZES", "Tables", "catalogue"]

SIZES = (3, 4, 3)


class Tables:
    """Random logits for each pair of a history's last item and a prefix."""

    inputs, max_items, user_buckets = "items", 5, 0

    def __init__(self, spread=1.5, seed=0):
        self.sizes, self.spread, self.seed, self.known = SIZES, spread, seed, {}

    def log_probs(self, item, prefix) -> np.ndarray:
        key = (item, *prefix)
        if key not in self.known:
            random = np.random.default_rng([self.seed, *key])
            logits = torch.from_numpy(random.normal(0, self.spread, SIZES[len(prefix)]).astype(np.float32))
            self.known[key] = logits.log_softmax(-1).numpy()
        return self.known[key]

    def start(self, history, users=None):
        return [(item, ()) for item in history[:, -1].tolist()]

    def next_log_probs(self, state, parents, tokens):
        if parents is not None:
            rows = zip(parents.tolist(), tokens.tolist(), strict=True)
            state[:] = [(state[row][0], (*state[row][1], token)) for row, token in rows]
        return torch.from_numpy(np.stack([self.log_probs(item, prefix) for item, prefix in state]))


def catalogue(items=14, seed=0, shared=0):
    """Tokens (items, 3) of different Semantic IDs, the last `shared` ones repeating the first; the trie."""
    every = np.array(list(itertools.product(*map(range, SIZES))), np.uint16)
    tokens = every[np.random.default_rng(seed).permutation(len(every))[:items]]
    if shared:
        tokens[-shared:] = tokens[:shared]
    layout = SidLayout(list(SIZES))
    return tokens, Trie.build(layout.pack(tokens), layout)
