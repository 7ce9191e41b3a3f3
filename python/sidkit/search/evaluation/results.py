"""Results of search on a set of queries: means, intervals, paired comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.errors import DataError
from sidkit.evaluate import bootstrap_interval, bootstrap_p_value
from sidkit.search.collection.tables import QuerySet
from sidkit.search.evaluation.metrics import METRICS, query_metrics

__all__ = ["Comparison", "SearchEvaluation"]

_RESAMPLES = 10_000


@dataclass(frozen=True)
class Comparison:
    """Paired difference of two systems in one metric.

    Attributes:
        metric: name of the metric.
        difference: mean over queries of the first system minus the second.
        interval: 95 % bootstrap interval of the difference, over queries.
        p_value: two-sided paired bootstrap p-value of no difference.
        wins: queries on which the first system is better.
        losses: queries on which the second system is better.
    """

    metric: str
    difference: float
    interval: tuple[float, float]
    p_value: float
    wins: int
    losses: int


@dataclass(frozen=True, eq=False)
class SearchEvaluation:
    """Metrics of one retriever for every query of a set.

    Attributes:
        name: name of the retriever.
        query_ids: ids of the m queries.
        values: float64 (m,) of each metric.
        protocol: settings under which the metrics were measured, such as split and seed.
    """

    name: str
    query_ids: list[Any]
    values: Mapping[str, npt.NDArray[np.float64]]
    protocol: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        name: str,
        rows: npt.NDArray[np.integer],
        queries: QuerySet,
        metrics: Iterable[str] = METRICS,
        **protocol: Any,
    ) -> SearchEvaluation:
        """Evaluate ranked document rows, int (m, k); see `query_metrics`."""
        values = query_metrics(rows, queries, metrics)
        facts = {"split": queries.split, "queries": len(queries), "resamples": _RESAMPLES, **protocol}
        return cls(name, queries.query_ids.to_list(), values, facts)

    def __getitem__(self, metric: str) -> float:
        """Return the mean of a metric over the queries."""
        return float(self.values[metric].mean())

    def interval(self, metric: str) -> tuple[float, float]:
        """Compute the 95 % bootstrap interval of the mean of a metric over queries."""
        return bootstrap_interval(self.values[metric], resamples=_RESAMPLES)

    def compare(self, other: SearchEvaluation, metric: str = "ndcg@10") -> Comparison:
        """Compare with another evaluation of the same queries, pair by pair.

        Raises:
            DataError: if the queries differ.
        """
        if self.query_ids != other.query_ids:
            raise DataError(
                f"`{self.name}` and `{other.name}` cannot be compared: expected the same queries in the same "
                "order, got others. Evaluate both on one set."
            )
        gain = self.values[metric] - other.values[metric]
        return Comparison(
            metric,
            float(gain.mean()),
            bootstrap_interval(gain, resamples=_RESAMPLES),
            bootstrap_p_value(gain, resamples=_RESAMPLES),
            int((gain > 0).sum()),
            int((gain < 0).sum()),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return means, intervals and protocol as plain values, for JSON."""
        figures = {name: {"mean": self[name], "interval": list(self.interval(name))} for name in self.values}
        return {"name": self.name, "metrics": figures, "protocol": dict(self.protocol)}

    def __repr__(self) -> str:
        figures = "  ".join(
            f"{name} {self[name]:.4f} ({low:.4f}–{high:.4f})"
            for name in self.values
            for low, high in [self.interval(name)]
        )
        return f"{self.name}, {len(self.query_ids)} queries: {figures}"
