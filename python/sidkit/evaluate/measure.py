"""All metrics of a model for all slices, and paired comparisons of two models."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Count, Seed, checked
from sidkit.errors import ConfigError, DataError
from sidkit.evaluate.interval import bootstrap_interval, bootstrap_means, interval_of, p_value_of
from sidkit.evaluate.lists.exposure import gini
from sidkit.evaluate.lists.facts import ListFacts, list_metrics
from sidkit.evaluate.metrics import catalogue_metrics, user_metrics
from sidkit.evaluate.metrics_file import Result
from sidkit.evaluate.predictions import Predictions

__all__ = ["Comparison", "compare", "measure"]


@checked
def measure(
    predictions: Predictions,
    n_items: Count,
    *,
    ks: Iterable[int] = (5, 10, 20),
    slices: Mapping[str, npt.NDArray[np.bool_]] | None = None,
    popularity: npt.NDArray[np.integer] | None = None,
    lists: ListFacts | None = None,
    resamples: Count = 1000,
    seed: Seed = 0,
) -> list[Result]:
    """Compute every metric of a model, with 95 % bootstrap intervals over users.

    Args:
        predictions: m rows of k items.
        n_items: the size of the catalogue.
        ks: the cut-offs, each at most k.
        slices: masks, bool (m,), by name, such as those of `user_slices`; the slice `all` is always added.
        popularity: int (n_items,), the training events of each item, for `popular@K` and `cold@K`.
        lists: facts about the items, for metrics of lists beyond accuracy, see `list_metrics`.
        resamples: bootstrap samples per metric.
        seed: seed of the bootstrap.

    Returns:
        Recall, NDCG and MRR for every slice and cut-off, with intervals, and the metrics of `lists` over
        the users for whom they are defined. The figures of `catalogue_metrics`, and with `lists` the
        `gini@K`, for the slice `all`, without intervals, since they are not means over users. Every result
        carries the `exclude_seen` of the predictions.

    Raises:
        ConfigError: if a cut-off is beyond the length of the lists, or a slice is named `all`.
        DataError: if an item is outside the catalogue, or a slice has a wrong length or no user.
    """
    ks = tuple(ks)
    metrics = user_metrics(predictions, n_items, ks)
    figures = catalogue_metrics(predictions, n_items, ks, popularity=popularity)
    if lists is not None:
        lists.check(len(predictions), n_items)
        for k in ks:
            metrics |= list_metrics(predictions, lists, k)
            figures[f"gini@{k}"] = gini(predictions.items[:, :k], n_items)
    everyone = {"all": np.ones(len(predictions), bool)}
    results = []
    for name, mask in (everyone | _checked(slices or {}, len(predictions))).items():
        for metric, values in metrics.items():
            rows = mask & ~np.isnan(values)
            if not rows.any():
                continue
            low, high = bootstrap_interval(
                values[rows], users=predictions.users[rows], resamples=resamples, seed=seed
            )
            value = float(values[rows].mean())
            results.append(
                Result(predictions.model, name, metric, value, (low, high), predictions.exclude_seen)
            )
    return results + [
        Result(predictions.model, "all", metric, value, None, predictions.exclude_seen)
        for metric, value in figures.items()
    ]


@dataclass(frozen=True)
class Comparison:
    """The mean over users of one model's metric minus another's, for the same users and targets.

    Attributes:
        model: the model compared.
        baseline: the model to compare with.
        metric: name of the metric, such as `ndcg@10`.
        difference: positive if `model` is better.
        ci95: 95 % bootstrap interval of the difference; narrower than two separate intervals suggest.
        p: two-sided p-value of no difference, see `bootstrap_p_value`.
    """

    model: str
    baseline: str
    metric: str
    difference: float
    ci95: tuple[float, float]
    p: float

    @classmethod
    @checked
    def of(
        cls,
        model: str,
        baseline: str,
        metric: str,
        gain: npt.NDArray[np.float64],
        *,
        users: npt.NDArray[np.integer] | None = None,
        resamples: Count = 1000,
        seed: Seed = 0,
    ) -> "Comparison":
        """Build a comparison from the difference of each user, float64 (m,).

        The arguments `users`, `resamples` and `seed` are those of `bootstrap_interval`.
        """
        means = bootstrap_means(gain, users=users, resamples=resamples, seed=seed)
        interval, p = interval_of(means), p_value_of(means)
        return cls(model, baseline, metric, float(gain.mean()), interval, p)

    @property
    def significant(self) -> bool:
        """True if the interval excludes 0."""
        return self.ci95[0] > 0 or self.ci95[1] < 0


@checked
def compare(
    model: Predictions,
    baseline: Predictions,
    n_items: Count,
    *,
    ks: Iterable[int] = (10,),
    resamples: Count = 1000,
    seed: Seed = 0,
) -> list[Comparison]:
    """Compare two models with paired differences over users.

    Args:
        model: predictions of the model.
        baseline: predictions of the baseline for the same users and targets in the same order.
        n_items: the size of the catalogue.
        ks: the cut-offs, each at most the k of both.
        resamples: bootstrap samples per metric.
        seed: seed of the bootstrap.

    Returns:
        One comparison for each of Recall, NDCG and MRR at each cut-off.

    Raises:
        ConfigError: if the two have different users or targets.
    """
    if not (np.array_equal(model.users, baseline.users) and np.array_equal(model.targets, baseline.targets)):
        raise ConfigError(
            f"`{model.model}` and `{baseline.model}` have different users or targets: expected the same ones "
            "for a paired comparison. Use the same data, split and order of tied timestamps for both"
        )
    ks = tuple(ks)
    ours, theirs = user_metrics(model, n_items, ks), user_metrics(baseline, n_items, ks)
    return [
        Comparison.of(
            model.model,
            baseline.model,
            metric,
            values - theirs[metric],
            users=model.users,
            resamples=resamples,
            seed=seed,
        )
        for metric, values in ours.items()
    ]


def _checked(slices: Mapping[str, npt.NDArray[np.bool_]], rows: int) -> dict[str, npt.NDArray[np.bool_]]:
    if "all" in slices:
        raise ConfigError("the slice name `all` is reserved for all users. Use another name")
    for name, mask in slices.items():
        if mask.dtype != bool or mask.shape != (rows,) or not mask.any():
            raise DataError(
                f"slice `{name}` must be bool ({rows},) with at least one user, "
                f"got {mask.dtype} {mask.shape} with {np.count_nonzero(mask)}"
            )
    return dict(slices)
