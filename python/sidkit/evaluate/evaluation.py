"""Result of evaluating one model: metrics with intervals and the protocol, as an object with a table."""

from __future__ import annotations

import dataclasses
import html
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import checked
from sidkit.errors import ConfigError, DataError
from sidkit.evaluate.lists.facts import ListFacts
from sidkit.evaluate.measure import measure
from sidkit.evaluate.metrics_file import Metrics, Result
from sidkit.evaluate.predictions import Predictions
from sidkit.evaluate.protocol import Protocol

__all__ = ["Evaluation"]

_KINDS = {
    "recall": "Recall",
    "ndcg": "NDCG",
    "mrr": "MRR",
    "diversity": "Diversity",
    "entropy": "Entropy",
    "average_popularity": "Average popularity",
    "novelty": "Novelty",
    "serendipity": "Serendipity",
    "new": "New items",
    "miscalibration": "Miscalibration",
    "violations": "Violations",
    "gini": "Gini index",
}
_SETTINGS = {True: "seen items excluded", False: "seen items included"}


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Metrics of one model with 95 % bootstrap intervals and the protocol.

    `evaluation["ndcg@10"]` is the value of one metric, `print(evaluation)` a table of all. If both
    `exclude_seen` settings were evaluated, seen items are excluded unless a setting is given, since this is
    what `recommend` does.

    Attributes:
        model: name of the model.
        metrics: all results and the protocol, as in `metrics.json`.
    """

    model: str
    metrics: Metrics

    @classmethod
    @checked
    def of(
        cls,
        predictions: Sequence[Predictions],
        protocol: Protocol,
        *,
        ks: Iterable[int] = (5, 10, 20),
        slices: Mapping[str, npt.NDArray[np.bool_]] | None = None,
        popularity: npt.NDArray[np.integer] | None = None,
        lists: ListFacts | None = None,
    ) -> Evaluation:
        """Measure the predictions of one model.

        Args:
            predictions: the lists of the model, one object per `exclude_seen` setting.
            protocol: how they were made; `users` and `exclude_seen` are taken from the predictions.
            ks: the cut-offs, each at most the length of the lists.
            slices: masks, bool (m,), of groups of users, see `user_slices`.
            popularity: int (candidates,), the training events of each item, for `popular@K` and `cold@K`.
            lists: facts about the items, for metrics of lists beyond accuracy, see `list_metrics`.

        Raises:
            ConfigError: if the predictions are of several models, or a cut-off is beyond the lists.
            DataError: if there are no predictions, or an item is outside the catalogue.
        """
        if not len(predictions):
            raise DataError("no predictions to evaluate: expected one or two, got none")
        models = list(dict.fromkeys(made.model for made in predictions))
        if len(models) > 1:
            raise ConfigError(f"predictions of several models: expected one, got {', '.join(models)}")
        ks = tuple(ks)
        results: list[Result] = []
        for made in sorted(predictions, key=lambda each: not each.exclude_seen):
            results += measure(
                made,
                protocol.candidates,
                ks=ks,
                slices=slices,
                popularity=popularity,
                lists=lists,
                resamples=protocol.resamples,
            )
        described = dataclasses.replace(
            protocol,
            users=len(predictions[0]),
            exclude_seen=tuple(made.exclude_seen for made in predictions),
        )
        counts = {name: int(np.count_nonzero(mask)) for name, mask in (slices or {}).items()}
        return cls(models[0], Metrics(described, results, slices={"all": len(predictions[0])} | counts))

    @property
    def protocol(self) -> Protocol:
        """Evaluation protocol of the metrics."""
        return self.metrics.protocol

    @checked
    def result(self, metric: str, *, slice: str = "all", exclude_seen: bool | None = None) -> Result:
        """Return one metric with its interval.

        Args:
            metric: such as `ndcg@10`.
            slice: `all`, or a group of users.
            exclude_seen: the setting; by default the first of the protocol.

        Raises:
            ConfigError: if it was not measured.
        """
        found = self.metrics.find(self.model, metric, slice, exclude_seen=exclude_seen)
        if found is None:
            names = dict.fromkeys(each.metric for each in self.metrics.results)
            raise ConfigError(f"`{metric}` of `{slice}` was not measured: expected one of {', '.join(names)}")
        return found

    def __getitem__(self, metric: str) -> float:
        """Return the value of a metric over all users, such as `evaluation["ndcg@10"]`."""
        return self.result(metric).value

    def to_polars(self) -> pl.DataFrame:
        """Return all results as a frame.

        The columns are `model`, `slice`, `exclude_seen`, `metric`, `value`, `low` and `high`, the last two
        being the ends of the interval, or null for figures that are not means over users.
        """
        rows = [
            {
                "model": each.model,
                "slice": each.slice,
                "exclude_seen": each.exclude_seen,
                "metric": each.metric,
                "value": each.value,
                "low": None if each.ci95 is None else each.ci95[0],
                "high": None if each.ci95 is None else each.ci95[1],
            }
            for each in self.metrics.results
        ]
        types = {
            "model": pl.String,
            "slice": pl.String,
            "exclude_seen": pl.Boolean,
            "metric": pl.String,
            "value": pl.Float64,
            "low": pl.Float64,
            "high": pl.Float64,
        }
        return pl.DataFrame(rows, schema=types)

    def __repr__(self) -> str:
        """Return a table of Recall, NDCG and MRR with intervals, and the protocol below it.

        For the splits `cold_items` and `global_time`, the table also has Recall and NDCG of warm and of cold
        targets, and the share of cold items in the lists.
        """
        rows = self._table()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
            for row in rows
        ]
        protocol = textwrap.wrap(self.protocol.sentence() + ".", width=max(76, len(lines[0])))
        return "\n".join([*lines, *protocol])

    def _repr_html_(self) -> str:
        """Return the same table as HTML, for notebooks."""
        heads, *rows = self._table()
        written = "".join(f"<th>{html.escape(cell)}</th>" for cell in heads)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
        )
        caption = html.escape(self.protocol.sentence())
        return f"<table><thead><tr>{written}</tr></thead><tbody>{body}</tbody></table><p>{caption}.</p>"

    def _table(self) -> list[list[str]]:
        settings = self.protocol.exclude_seen
        names = [name for name in dict.fromkeys(r.metric for r in self.metrics.results) if _written(name)]
        rows = [[self.model, *(_SETTINGS[setting] for setting in settings)]]
        for name in names:
            found = (self.metrics.find(self.model, name, exclude_seen=setting) for setting in settings)
            rows.append([_written(name), *map(_cell, found)])
        for name, group in self.metrics.cold_start:
            found = (self.metrics.find(self.model, name, group, exclude_seen=each) for each in settings)
            kind, _, k = name.partition("@")
            title = f"Cold items in the top {k}" if kind == "cold" else f"{_written(name)}, {group} targets"
            rows.append([title, *map(_cell, found)])
        return rows


def _written(metric: str) -> str:
    kind, at, k = metric.partition("@")
    return f"{_KINDS[kind]}{at}{k}" if kind in _KINDS else ""


def _cell(result: Result | None) -> str:
    if result is None:
        return "–"
    ends = "" if result.ci95 is None else f" ({result.ci95[0]:.4f}–{result.ci95[1]:.4f})"
    return f"{result.value:.4f}{ends}"
