"""Bigram baseline of token prediction: the loss that a generative model must beat."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Bounds, Shape, checked
from sidkit.data import EvaluationSet, Sequences
from sidkit.errors import DataError
from sidkit.evaluate.lists.arguments import check_catalogue

__all__ = ["bigram_losses"]

# Pseudo-counts: of the token's own frequency behind each pair, and of a uniform token behind that.
_PRIOR = 1.0


@checked
def bigram_losses(
    tokens: Annotated[npt.NDArray[np.integer], Shape("items", "levels"), Bounds(ge=0, lt=65536)],
    train: Sequences,
    examples: EvaluationSet,
) -> list[float]:
    """Measure how well the last item's token predicts the next item's token, at each level.

    The probability of token b after token a is (n(a, b) + q(b)) / (n(a) + 1), with the counts of consecutive
    items in `train` and q(b) = (n(b) + 1 / K) / (n + 1): smoothing by the unigram distribution (MacKay and
    Peto, Natural Language Engineering 1995). The baseline ignores the earlier tokens of the same Semantic ID
    and all older items, so a trained generative model should have lower losses.

    Args:
        tokens: int (items, L), the Semantic ID of every item.
        train: histories to count in.
        examples: evaluation examples; those with an empty history are predicted by q alone.

    Returns:
        One natural-log loss per level: the mean over the examples.

    Raises:
        DataError: if there is no example.
    """
    if not len(examples):
        raise DataError(
            "no evaluation examples: expected at least one to compute bigram losses, got 0. "
            "Pass a split with users"
        )
    for rows in (train.values, examples.histories.values, examples.targets):
        check_catalogue(rows, len(tokens))
    starts = np.ones(len(train.values), bool)
    starts[train.offsets[:-1][train.lengths > 0]] = False  # the first event of a user follows nothing
    later = np.flatnonzero(starts)
    with_history = np.flatnonzero(examples.histories.lengths > 0)
    last = examples.histories.tail(1).values
    losses = []
    for level in tokens.astype(np.int64).T:
        size = int(level.max()) + 1
        pairs = np.zeros((size, size))
        np.add.at(pairs, (level[train.values[later - 1]], level[train.values[later]]), 1)
        alone = np.bincount(level[train.values], minlength=size) + 1 / size
        alone /= alone.sum()
        after = (pairs + _PRIOR * alone) / (pairs.sum(axis=1, keepdims=True) + _PRIOR)
        targets = level[examples.targets]
        chance = alone[targets]
        chance[with_history] = after[level[last], targets[with_history]]
        losses.append(float(-np.log(chance).mean()))
    return losses
