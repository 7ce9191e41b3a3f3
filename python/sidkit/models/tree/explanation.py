"""Parts of the scores of Semantic IDs, which show why an item is recommended."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["ScoreParts", "score_parts"]


@dataclass(frozen=True)
class ScoreParts:
    """Parts of the scores of items after a history; the score is their sum. All are f32 (n,).

    Attributes:
        codes: from the vectors of the codes.
        prefixes: from the vectors of the prefixes, the whole Semantic ID included.
        content: from the content.
        bias: the bias of new items.
        depth: length of the longest prefix that has a vector, int64 (n,).
    """

    codes: Tensor
    prefixes: Tensor
    content: Tensor
    bias: Tensor
    depth: Tensor


@torch.inference_mode()
def score_parts(network: Any, history: Tensor, items: Tensor) -> ScoreParts:
    """Divide the scores of items after a history.

    Args:
        network: an `RQTransformerNetwork` in evaluation mode.
        history: item indices, oldest first, int64 (T,).
        items: int64 (n,).
    """
    hidden = network.hidden(history[None, -network.max_items :])[0]  # (D,)
    vectors, leaves = network.vectors, network.tree.leaf[items].long()
    codes, prefixes, content = vectors.parts(leaves)
    path = network.tree.paths(leaves).flip(-1)  # (n, L)
    known = ~vectors.is_new(path)
    bias = (~known[:, -1]).float() * network.new_item_bias
    return ScoreParts(
        codes @ hidden,
        prefixes @ hidden,
        torch.zeros(len(leaves)) if content is None else content @ hidden,
        bias,
        known.long().cumprod(-1).sum(-1),
    )
