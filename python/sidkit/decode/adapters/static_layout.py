"""Trie in the layout of STATIC, for kernels that read it.

Su et al., *Vectorizing the Trie: Efficient Constrained Decoding for LLM-based Generative Retrieval on
Accelerators*, 2026 (arXiv 2602.22647): dense tables for the first levels, one sparse matrix of transitions
for the others.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sidkit._arguments import checked
from sidkit._core import Trie
from sidkit.decode.adapters.prefixes import levels_of
from sidkit.decode.adapters.tensors import torch_device
from sidkit.errors import ConfigError

__all__ = ["StaticLayout", "to_static"]


@checked
@dataclass(frozen=True)
class StaticLayout:
    """Tensors of STATIC, where V is the number of codes of the widest level.

    States: 0 follows the last token, t + 1 the first token t, and from V + 1 on every longer prefix has its
        number,
    level after level in sorted order.

    Attributes:
        packed_csr: int32 (transitions + V, 2), token and next state of every transition from the second
            token on, by state and token; then V rows (V, 0) for reads past the end.
        indptr: int32 (states + 2,), start of the transitions of each state; the last state is padding.
        layer_max_branches: largest number of children of a prefix at each level.
        start_mask: bool (V,), first tokens that exist.
        dense_mask: bool (V,) or (V, V), first one or two tokens that exist.
        dense_states: int32 of the same shape, states that they lead to; 0 where none.
        vocab_size: V.
    """

    packed_csr: Tensor
    indptr: Tensor
    layer_max_branches: tuple[int, ...]
    start_mask: Tensor
    dense_mask: Tensor
    dense_states: Tensor
    vocab_size: int

    @property
    def nbytes(self) -> int:
        """Size of the tensors in bytes."""
        tensors = (self.packed_csr, self.indptr, self.start_mask, self.dense_mask, self.dense_states)
        return sum(tensor.nbytes for tensor in tensors)


@checked
def to_static(trie: Trie, *, dense_levels: int = 2, device: torch.device | str | int = "cpu") -> StaticLayout:
    """Convert a trie to the layout of STATIC.

    Args:
        trie: a trie with more levels than `dense_levels`, not empty.
        dense_levels: number of tokens in the dense tables, 1 or 2.
        device: device of the tensors.

    Raises:
        ConfigError: for other numbers of levels, an empty trie, or more transitions than int32 counts.
    """
    place = torch_device(device)
    levels = levels_of(trie)
    if dense_levels not in (1, 2) or dense_levels >= len(levels):
        raise ConfigError(
            f"`dense_levels` must be 1 or 2, and less than the {len(levels)} tokens of a Semantic ID, "
            f"got {dense_levels}"
        )
    if not len(trie):
        raise ConfigError("the trie is empty: STATIC needs at least one item")
    size = max(trie.layout.sizes)
    behind = levels[1:]  # the transitions of the matrix
    edges = sum(len(level.codes) for level in behind)
    if edges + size >= 1 << 31:
        raise ConfigError(
            f"the trie has {edges} transitions, more than int32 can count. Use fewer items for STATIC."
        )

    first = levels[0].codes.astype(np.int64)
    branches = [np.diff(level.starts) for level in behind]
    counts = np.concatenate([np.zeros(size + 1, np.int64), *branches[1:], [size]])
    counts[first + 1] = branches[0]
    transitions = np.empty((edges + size, 2), np.int32)
    transitions[:, 0] = np.concatenate([*(level.codes for level in behind), np.full(size, size)])
    ends = len(behind[-1].codes) + size  # the last tokens and the padding lead to state 0
    transitions[:-ends, 1] = np.arange(size + 1, size + 1 + edges + size - ends)
    transitions[-ends:, 1] = 0

    start_mask = np.zeros(size, np.bool_)
    start_mask[first] = True
    states = np.zeros((size,) * dense_levels, np.int32)
    if dense_levels == 1:
        states[first] = first + 1
    else:
        second = behind[0]
        parents = np.repeat(first, branches[0])
        states[parents, second.codes] = size + 1 + np.arange(len(second.codes))
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return StaticLayout(
        packed_csr=torch.from_numpy(transitions).to(place),
        indptr=torch.from_numpy(indptr).to(place),
        layer_max_branches=tuple(level.width for level in levels),
        start_mask=torch.from_numpy(start_mask).to(place),
        dense_mask=torch.from_numpy(states != 0).to(place),
        dense_states=torch.from_numpy(states).to(place),
        vocab_size=size,
    )
