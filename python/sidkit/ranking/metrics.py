"""How well scores order, and how well they are calibrated."""

import numpy as np
import numpy.typing as npt

from sidkit.errors import DataError

__all__ = ["auc", "log_loss", "user_auc"]


def auc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """The chance that a positive has a higher score than a negative, ties counting half.

    Args:
        labels: 0 or 1, (n,).
        scores: any numbers, (n,).

    Returns:
        The area under the ROC curve; NaN if there are only positives or only negatives.

    Raises:
        DataError: if the lengths differ or a label is neither 0 nor 1.
    """
    truth, values = _checked(labels, scores)
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    _, groups, counts = np.unique(values, return_inverse=True, return_counts=True)
    # The mean rank of each group of equal scores, from 1 on.
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[groups][truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def user_auc(labels: npt.ArrayLike, scores: npt.ArrayLike, users: npt.ArrayLike) -> float:
    """The AUC of each user's own events, averaged over users by their numbers of events.

    What `auc` mostly sees in a log of ratings is that some users like much and others little; this sees only
    which items a user likes (the weighted AUC of Zhou et al., arXiv 1706.06978).

    Args:
        labels: 0 or 1, (n,).
        scores: any numbers, (n,).
        users: whose event it is, (n,).

    Returns:
        The mean over the users with events of both labels; NaN if there is no such user.

    Raises:
        DataError: if the lengths differ or a label is neither 0 nor 1.
    """
    truth, values = _checked(labels, scores)
    whose = np.asarray(users)
    if whose.shape != truth.shape:
        raise DataError(f"labels and users must be of one length; got shapes {truth.shape}, {whose.shape}")
    order = np.argsort(whose, kind="stable")
    bounds = np.flatnonzero(np.diff(whose[order])) + 1
    found = [(auc(truth[rows], values[rows]), len(rows)) for rows in np.split(order, bounds)]
    measured = np.array([each for each in found if not np.isnan(each[0])]).reshape(-1, 2)
    return float(np.average(measured[:, 0], weights=measured[:, 1])) if len(measured) else float("nan")


def log_loss(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """The mean of -log of the probability given to what happened, in nats; NaN for no events.

    Raises:
        DataError: if the lengths differ, a label is neither 0 nor 1, or a probability is not within 0 and 1.
    """
    truth, given = _checked(labels, probabilities)
    if np.any((given < 0) | (given > 1)):
        raise DataError("probabilities must lie within 0 and 1; give scores through a sigmoid first")
    if len(truth) == 0:
        return float("nan")
    # No probability is believed beyond what a float32 can say.
    of_truth = np.clip(np.where(truth, given, 1 - given), 1e-7, 1)
    return float(-np.log(of_truth).mean())


def _checked(
    labels: npt.ArrayLike, values: npt.ArrayLike
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    truth, numbers = np.asarray(labels), np.asarray(values, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != numbers.shape:
        raise DataError(f"labels and scores must be of one length; got shapes {truth.shape}, {numbers.shape}")
    if not np.isin(truth, (0, 1)).all():
        raise DataError("labels must be 0 or 1")
    if not np.isfinite(numbers).all():
        raise DataError("scores must be finite; got NaN or infinity")
    return truth.astype(bool), numbers
