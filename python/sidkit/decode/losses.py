"""Loss of a generative network at each level of the Semantic IDs."""

from typing import Any

import numpy as np
import torch

from sidkit._arguments import Count, checked
from sidkit.data import EvaluationSet
from sidkit.decode.generative import GenerativeNetwork
from sidkit.decode.options import Tokens, check_arguments, check_item_rows, check_tokens

__all__ = ["level_losses"]


@checked
@torch.inference_mode()
def level_losses(
    network: GenerativeNetwork[Any], tokens: Tokens, examples: EvaluationSet, *, batch_size: Count = 256
) -> list[float]:
    """Measure the loss of each token of the next item, given the tokens before it.

    Args:
        network: a `GenerativeNetwork` in evaluation mode.
        tokens: Semantic ID of every item, (items, L).
        examples: histories of at least one item, and their targets.
        batch_size: histories at a time, at most; all of equal length.

    Returns:
        Natural-log losses, one per level: the mean over the examples. Their sum is the loss of an item.
    """
    check_tokens(network.sizes, tokens)
    check_arguments(examples.histories, len(tokens), k=1, batch_size=batch_size)
    check_item_rows("targets", examples.targets, len(tokens))
    tokens_of_items = torch.from_numpy(tokens.astype(np.int64))  # (items, L)
    recent = examples.histories.tail(network.max_items)
    totals = np.zeros(tokens.shape[1])
    for length in np.unique(recent.lengths):
        same = np.flatnonzero(recent.lengths == length)
        for start in range(0, len(same), batch_size):
            rows = same[start : start + batch_size]
            history = torch.from_numpy(recent.take(rows).values.astype(np.int64)).view(len(rows), -1)
            users = None
            if network.user_buckets:
                users = torch.from_numpy(examples.users[rows].astype(np.int64) % network.user_buckets)
            encoded = tokens_of_items[history] if network.inputs == "tokens" else history
            state = network.start(encoded, users)
            target = tokens_of_items[torch.from_numpy(examples.targets[rows].astype(np.int64))]  # (B, L)
            parents: torch.Tensor | None = None
            given: torch.Tensor | None = None
            for level in range(target.shape[1]):
                found = network.next_log_probs(state, parents, given)  # (B, K)
                parents, given = torch.arange(len(rows)), target[:, level]
                totals[level] -= float(found[parents, given].double().sum())
    return [float(total / len(examples)) for total in totals]
