"""AUC, AUC within users, and log-loss."""

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Column, checked
from sidkit.errors import DataError

__all__ = ["auc", "log_loss", "user_auc"]


@checked
def auc(labels: Column, scores: Column) -> float:
    """Compute the area under the ROC curve; ties count half.

    Args:
        labels: 0 or 1, (n,).
        scores: finite numbers, (n,).

    Returns:
        The probability that a positive has a higher score than a negative; NaN if one of them is missing.

    Raises:
        DataError: if the lengths differ or a label is neither 0 nor 1.
    """
    truth, values = _checked(labels, scores)
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    _, groups, counts = np.unique(values, return_inverse=True, return_counts=True)
    # Mean rank of each group of equal scores, starting at 1.
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[groups][truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


@checked
def user_auc(labels: Column, scores: Column, users: Column) -> float:
    """Compute the AUC within each user, averaged over users with weights by their number of events.

    In a log of ratings, `auc` mostly measures that some users rate higher than others. This metric measures
    only which items a user likes (the weighted AUC of Zhou et al., arXiv 1706.06978).

    Args:
        labels: 0 or 1, (n,).
        scores: finite numbers, (n,).
        users: the user of each event, (n,).

    Returns:
        The mean over users with events of both labels; NaN if there is no such user.

    Raises:
        DataError: if the lengths differ or a label is neither 0 nor 1.
    """
    truth, values = _checked(labels, scores)
    whose = np.asarray(users)
    if whose.shape != truth.shape:
        raise DataError(
            f"labels and users must have the same length, got shapes {truth.shape}, {whose.shape}"
        )
    order = np.argsort(whose, kind="stable")
    bounds = np.flatnonzero(np.diff(whose[order])) + 1
    found = [(auc(truth[rows], values[rows]), len(rows)) for rows in np.split(order, bounds)]
    measured = np.array([each for each in found if not np.isnan(each[0])]).reshape(-1, 2)
    return float(np.average(measured[:, 0], weights=measured[:, 1])) if len(measured) else float("nan")


@checked
def log_loss(labels: Column, probabilities: Column) -> float:
    """Compute the mean negative log-likelihood of the labels in nats; NaN without events.

    Raises:
        DataError: if the lengths differ, a label is neither 0 nor 1, or a probability is not within 0 and 1.
    """
    truth, given = _checked(labels, probabilities)
    if np.any((given < 0) | (given > 1)):
        raise DataError("probabilities must be within 0 and 1. Apply a sigmoid to scores first")
    if len(truth) == 0:
        return float("nan")
    # Probabilities are clipped to the resolution of float32.
    of_truth = np.clip(np.where(truth, given, 1 - given), 1e-7, 1)
    return float(-np.log(of_truth).mean())


def _checked(
    labels: npt.ArrayLike, values: npt.ArrayLike
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    truth, numbers = np.asarray(labels), np.asarray(values, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != numbers.shape:
        raise DataError(
            f"labels and scores must have the same length, got shapes {truth.shape}, {numbers.shape}"
        )
    if not np.isin(truth, (0, 1)).all():
        raise DataError("labels must be 0 or 1")
    if not np.isfinite(numbers).all():
        raise DataError("scores must be finite, got NaN or infinity")
    return truth.astype(bool), numbers
