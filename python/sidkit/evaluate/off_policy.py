"""Off-policy evaluation: the value of a policy from the log of another one whose propensities are known.

Each row of the log is a context, an action of the logging policy, and its reward. The estimators weight
rewards by the ratio of the probabilities of the action under both policies.

Shapes: n rows of the log.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Column, checked
from sidkit.errors import ConfigError, DataError

__all__ = ["DR", "IPS", "SNIPS", "OffPolicyEstimate"]

Float64 = npt.NDArray[np.float64]

_NORMAL = 1.959963984540054  # 97.5 % quantile


@dataclass(frozen=True)
class OffPolicyEstimate:
    """Estimated value of a policy.

    Attributes:
        method: name of the estimator.
        value: estimated mean reward of an action of the policy.
        ci95: 95 % interval of the mean over users.
        effective_sample_size: (sum of weights)² / sum of squared weights; an estimate from a few dozen is of
            little use, whatever its interval.
        mean_weight: mean of the weights without clipping, near 1 if the propensities are right.
        rows: rows of the log.
    """

    method: str
    value: float
    ci95: tuple[float, float]
    effective_sample_size: float
    mean_weight: float
    rows: int


@dataclass(frozen=True)
class _Weighted:
    """Estimator whose weights may be clipped.

    Attributes:
        clip: largest weight, which trades bias for variance; None for no limit.

    Raises:
        ConfigError: if `clip` is not positive.
    """

    clip: float | None = None

    def __post_init__(self) -> None:
        if self.clip is not None and not self.clip > 0:
            raise ConfigError(
                f"`clip` is invalid: expected a number above 0 or None, got {self.clip!r}. Correct it."
            )

    def _clipped(self, weight: Float64) -> Float64:
        return weight if self.clip is None else np.minimum(weight, self.clip)


@checked
@dataclass(frozen=True)
class IPS(_Weighted):
    """Inverse propensity scoring (Horvitz and Thompson, Journal of the American Statistical Association 47).

    Unbiased, with a large variance where the policies differ. Weights above `clip` are set to it, which
    trades bias for variance; None for no limit.
    """

    def estimate(
        self,
        rewards: Column,
        propensities: Column,
        probabilities: Column,
        *,
        users: npt.NDArray[np.integer] | None = None,
    ) -> OffPolicyEstimate:
        """Estimate the value of a policy.

        Args:
            rewards: reward of the logged action, (n,).
            propensities: its probability under the logging policy, in (0, 1], (n,).
            probabilities: its probability under the policy that is evaluated, in [0, 1], (n,).
            users: user of each row, int (n,), whose rows depend on each other; by default all differ.

        Raises:
            DataError: if the arrays have no rows or other lengths, or a number is out of range.
        """
        reward, weight = _checked(rewards, propensities, probabilities)
        clipped = self._clipped(weight)
        value = float((clipped * reward).mean())
        return _estimate("ips", value, clipped * reward - value, clipped, weight, users)


@checked
@dataclass(frozen=True)
class SNIPS(_Weighted):
    """Self-normalized inverse propensity scoring (Swaminathan and Joachims, NeurIPS 2015).

    The weights are divided by their sum: less variance than `IPS`, and a bias that vanishes with the rows.
    The interval is that of the ratio by the delta method. `clip` is that of `IPS`.
    """

    def estimate(
        self,
        rewards: Column,
        propensities: Column,
        probabilities: Column,
        *,
        users: npt.NDArray[np.integer] | None = None,
    ) -> OffPolicyEstimate:
        """Estimate the value of a policy; see `IPS.estimate`.

        Raises:
            DataError: as `IPS.estimate`, and if the policy takes no action of the log.
        """
        reward, weight = _checked(rewards, propensities, probabilities)
        clipped = self._clipped(weight)
        if not clipped.any():
            raise DataError(
                "the log says nothing about the policy: expected an action with a probability above 0, got "
                "none. Log more actions."
            )
        value = float((clipped * reward).sum() / clipped.sum())
        errors = clipped * (reward - value) / clipped.mean()
        return _estimate("snips", value, errors, clipped, weight, users)


@checked
@dataclass(frozen=True)
class DR(_Weighted):
    """Doubly robust estimator (Dudík, Langford and Li, ICML 2011).

    A model predicts the rewards, and weights correct its errors on the log. Unbiased if the propensities or
    the predictions are right; the better the predictions, the less variance. `clip` is that of `IPS`.
    """

    def estimate(
        self,
        rewards: Column,
        propensities: Column,
        probabilities: Column,
        *,
        predicted: Column,
        expected: Column,
        users: npt.NDArray[np.integer] | None = None,
    ) -> OffPolicyEstimate:
        """Estimate the value of a policy; see `IPS.estimate`.

        Args:
            rewards: reward of the logged action, (n,).
            propensities: its probability under the logging policy, in (0, 1], (n,).
            probabilities: its probability under the policy that is evaluated, in [0, 1], (n,).
            predicted: predicted reward of the logged action, (n,).
            expected: mean of the predicted rewards of all actions under the policy, (n,).
            users: user of each row, int (n,).

        Raises:
            DataError: as `IPS.estimate`.
        """
        reward, weight = _checked(rewards, propensities, probabilities)
        model = _column("predicted", predicted, len(reward))
        mean = _column("expected", expected, len(reward))
        clipped = self._clipped(weight)
        values = mean + clipped * (reward - model)
        value = float(values.mean())
        return _estimate("dr", value, values - value, clipped, weight, users)


def _checked(
    rewards: Column, propensities: npt.ArrayLike, probabilities: npt.ArrayLike
) -> tuple[Float64, Float64]:
    """Return rewards and weights, float64 (n,)."""
    rows = np.size(np.asarray(rewards))
    reward, before, after = (
        _column(name, given, rows)
        for name, given in (
            ("rewards", rewards),
            ("propensities", propensities),
            ("probabilities", probabilities),
        )
    )
    for name, given, low in (("propensities", before, True), ("probabilities", after, False)):
        if (given < 0).any() or (given > 1 + 1e-6).any() or (low and (given == 0).any()):
            raise DataError(
                f"`{name}` are no probabilities: expected numbers in {'(' if low else '['}0, 1], got "
                f"{given.min():g} to {given.max():g}. Pass probabilities, not their logarithms; leave out "
                "actions that the logging policy cannot take."
            )
    return reward, after / before


def _column(name: str, given: npt.ArrayLike, rows: int) -> Float64:
    column = np.asarray(given, np.float64)
    if column.shape != (rows,) or not rows or not np.isfinite(column).all():
        raise DataError(
            f"`{name}` is invalid: expected a finite number for each of {rows} logged actions, at least one, "
            f"got shape {column.shape}. Correct it."
        )
    return column


def _estimate(
    method: str,
    value: float,
    errors: Float64,
    clipped: Float64,
    weight: Float64,
    users: npt.NDArray[np.integer] | None,
) -> OffPolicyEstimate:
    """Make the estimate; `errors` are the contributions of the rows to its deviation, with mean 0."""
    rows = len(errors)
    if users is not None:
        if np.shape(users) != (rows,):
            raise DataError(
                f"`users` is invalid: expected one for each of {rows} rows, got shape {np.shape(users)}. "
                "Correct it."
            )
        _, index = np.unique(users, return_inverse=True)
        errors = np.bincount(index, errors).astype(np.float64)
    count = len(errors)
    spread = _NORMAL * float(np.sqrt((errors**2).sum() * count / max(count - 1, 1))) / rows
    squares = float((clipped**2).sum())
    return OffPolicyEstimate(
        method=method,
        value=value,
        ci95=(value - spread, value + spread),
        effective_sample_size=float(clipped.sum()) ** 2 / squares if squares else 0.0,
        mean_weight=float(weight.mean()),
        rows=rows,
    )
