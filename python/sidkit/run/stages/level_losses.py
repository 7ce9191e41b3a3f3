"""The loss of a generator for each level of the Semantic IDs, on questions it was not trained on."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sidkit.data import EvaluationSet

__all__ = ["level_losses"]


@torch.inference_mode()
def level_losses(
    model: Any, tokens: npt.NDArray[np.uint16], questions: EvaluationSet, *, batch_size: int = 256
) -> list[float]:
    """Measure how well a generator foretells each token of the next item, given the tokens before it.

    Args:
        model: a `GenerativeModel` in evaluation mode.
        tokens: the Semantic ID of every item, (items, L).
        questions: histories with known answers; each history has an item at least.
        batch_size: the most histories at a time, of equal length.

    Returns:
        Natural-log losses, one a level: the mean over the questions. Their sum is the loss of an item.
    """
    spelled = torch.from_numpy(tokens.astype(np.int64))  # (items, L)
    recent = questions.histories.tail(model.max_items)
    totals = np.zeros(tokens.shape[1])
    for length in np.unique(recent.lengths):
        same = np.flatnonzero(recent.lengths == length)
        for start in range(0, len(same), batch_size):
            rows = same[start : start + batch_size]
            history = torch.from_numpy(recent.take(rows).values.astype(np.int64)).view(len(rows), -1)
            users = None
            if model.user_buckets:
                users = torch.from_numpy(questions.users[rows].astype(np.int64) % model.user_buckets)
            state = model.start(spelled[history] if model.reads == "tokens" else history, users)
            wanted = spelled[torch.from_numpy(questions.targets[rows].astype(np.int64))]  # (B, L)
            parents: torch.Tensor | None = None
            given: torch.Tensor | None = None
            for level in range(wanted.shape[1]):
                found = model.next_log_probs(state, parents, given)  # (B, K)
                parents, given = torch.arange(len(rows)), wanted[:, level]
                totals[level] -= float(found[parents, given].double().sum())
    return [float(total / len(questions)) for total in totals]
