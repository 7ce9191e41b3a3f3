"""Random codes: a hash of the vector, the control without any learning."""

import hashlib
import math
from collections.abc import Sequence

import numpy as np

from sidkit._settings import Depth, Seed, Width
from sidkit.tokenizers.parts.arrays import Codes, Vectors
from sidkit.tokenizers.parts.checks import check_seed
from sidkit.tokenizers.parts.fixed_rule import FixedRule

__all__ = ["RandomCodes"]


class RandomCodes(FixedRule):
    """Control tokenizer with random codes: equal vectors have equal codes, similar vectors do not.

    Args:
        levels: codes per item.
        codebook_size: codewords per level: one number, or one per level.
        seed: seed of the hash.
    """

    method = "random"

    def __init__(
        self, levels: Depth = 3, codebook_size: Width | Sequence[Width] = 256, *, seed: Seed = 0
    ) -> None:
        self._set_sizes(levels, codebook_size)
        self.seed = seed
        check_seed(seed)

    def _rule(self, x: Vectors, z: Vectors) -> Codes:
        rows = x + np.float32(0)  # turns -0.0 into 0.0
        prefix = f"{self.seed} ".encode()
        drawn = b"".join(hashlib.shake_128(prefix + row.tobytes()).digest(8 * self.levels) for row in rows)
        numbers = np.frombuffer(drawn, "<u8").reshape(len(rows), self.levels)
        return (numbers % np.array(self.codebook_sizes, np.uint64)).astype(np.uint16)

    def _alternatives(self, x: Vectors, count: int) -> Codes:
        """The own code of an item and the codes after it; the last level varies fastest."""
        own = self._encode(x).astype(np.int64)
        choices = min(count, math.prod(self.codebook_sizes))
        carry = np.tile(np.arange(choices), (len(x), 1))
        tokens = []
        for level in reversed(range(self.levels)):
            value = own[:, level, None] + carry
            tokens.append(value % self.codebook_sizes[level])
            carry = value // self.codebook_sizes[level]
        return np.stack(tokens[::-1], axis=2).astype(np.uint16)
