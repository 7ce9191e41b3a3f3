"""The least that a generator must beat: a table of which token follows which."""

import numpy as np
import numpy.typing as npt

from sidkit.data import EvaluationSet, Sequences
from sidkit.errors import DataError

__all__ = ["bigram_losses"]

# Pseudo-counts: of the token's own frequency behind each pair, and of a uniform token behind that.
_PRIOR = 1.0


def bigram_losses(tokens: npt.NDArray[np.integer], train: Sequences, questions: EvaluationSet) -> list[float]:
    """Measure, for each level, how well the last item's token foretells the next item's token.

    The probability of token b after token a is (n(a, b) + q(b)) / (n(a) + 1), with the counts of consecutive
    items in `train` and q(b) = (n(b) + 1 / K) / (n + 1): smoothing by the shorter history (MacKay and Peto,
    Natural Language Engineering 1995). Nothing else is read: neither the tokens before it in the same
    Semantic ID nor older items; a generator that reads both and is no better has not learned yet.

    Args:
        tokens: (items, L), the Semantic ID of every item.
        train: histories to count in.
        questions: what to foretell; those without a history are judged by q alone.

    Returns:
        Natural-log losses, one a level: the mean over the questions.

    Raises:
        DataError: if there is no question.
    """
    if not len(questions):
        raise DataError("a baseline of token pairs needs at least one question")
    starts = np.ones(len(train.values), bool)
    starts[train.offsets[:-1][train.lengths > 0]] = False  # the first event of a user follows nothing
    later = np.flatnonzero(starts)
    asked = np.flatnonzero(questions.histories.lengths > 0)
    last = questions.histories.tail(1).values
    losses = []
    for level in tokens.astype(np.int64).T:
        size = int(level.max()) + 1
        pairs = np.zeros((size, size))
        np.add.at(pairs, (level[train.values[later - 1]], level[train.values[later]]), 1)
        alone = np.bincount(level[train.values], minlength=size) + 1 / size
        alone /= alone.sum()
        after = (pairs + _PRIOR * alone) / (pairs.sum(axis=1, keepdims=True) + _PRIOR)
        wanted = level[questions.targets]
        chance = alone[wanted]
        chance[asked] = after[level[last], wanted[asked]]
        losses.append(float(-np.log(chance).mean()))
    return losses
