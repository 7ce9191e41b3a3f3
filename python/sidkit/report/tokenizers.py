"""The comparison of tokenizers: what each costs, what its codes are like, what a generator makes of them."""

import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sidkit.errors import DataError
from sidkit.evaluate import Comparison
from sidkit.report.cells import accuracy_cell, cost_cell, gain_cell, p_cell, seeds_cell
from sidkit.report.charts import short
from sidkit.report.markdown import markdown_table
from sidkit.report.stored import Entry, Setting, settings_of, stored_runs
from sidkit.report.vocabulary import metric_name, model_name
from sidkit.tokenizers import TokenizerFigures

__all__ = ["tokenizers_tables"]

#: What the other families are compared with.
BASELINE = "rqkmeans"
_METRICS = ("recall@10", "ndcg@10")
_RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class _Family:
    """One family under one generator, over its seeds."""

    entry: Entry

    @cached_property
    def figures(self) -> list[TokenizerFigures]:
        return [TokenizerFigures.load(run.path / "tokenizer.json") for run in self.entry.runs]

    @property
    def name(self) -> str:
        return self.entry.variant.replace("_", ", ")

    @property
    def place(self) -> float:
        return -statistics.fmean(self.entry.values("ndcg@10"))

    def mean(self, of: Callable[[TokenizerFigures], float]) -> float:
        return statistics.fmean(map(of, self.figures))

    def levels(self, of: Callable[[TokenizerFigures], Sequence[float]], write: Callable[[float], str]) -> str:
        """Means of each level over the seeds; levels may be more for one seed than for another."""
        rows = [list(of(each)) for each in self.figures]
        depth = min(map(len, rows))
        return " / ".join(write(statistics.fmean(row[level] for row in rows)) for level in range(depth))


def tokenizers_tables(results: str | os.PathLike[str], dataset: str) -> str:
    """Write the Markdown tables of a comparison of tokenizers that was stored.

    Two tables for each generator and setting: of the codes, and of the lists that the generator makes of
    them, best first, with the difference from `rqkmeans` user by user.

    Args:
        results: the folder that `sidkit tokenizers` stored to.
        dataset: below it.

    Raises:
        DataError: if nothing is stored there, or figures of a tokenizer or the metrics are missing.
        FormatError: if a file is damaged.
    """
    parts = [part for setting in settings_of(stored_runs(results, dataset)) for part in _of_setting(setting)]
    return "\n\n".join(parts) + "\n"


def _of_setting(setting: Setting) -> Iterable[str]:
    for ranking in dict.fromkeys(entry.ranking for entry in setting.entries):
        families = [_Family(entry) for entry in setting.entries if entry.ranking == ranking]
        if any(not family.entry.variant for family in families):
            raise DataError(f"{families[0].entry.runs[0].path}: a run without the name of a family")
        for entry in (family.entry for family in families):
            lacking = [metric for metric in _METRICS if not entry.values(metric)]
            if lacking:
                raise DataError(
                    f"{entry.runs[0].path}: expected {metric_name(lacking[0])} among its metrics; "
                    "evaluate the run with 10 in `evaluate.ks`"
                )
        families.sort(key=lambda family: family.place)
        yield f"**{model_name(ranking)}: {setting.title[0].lower()}{setting.title[1:]}**"
        yield _lists(families)
        yield "The codes:"
        yield _codes(families)
    yield from (f"Measured on: {protocol.sentence()}." for protocol in setting.protocols)


def _lists(families: Sequence[_Family]) -> str:
    head = ["tokenizer", "seeds"]
    for metric in _METRICS:
        head += [metric_name(metric), f"less {BASELINE}"]
    rows = []
    baseline = next((family.entry for family in families if family.entry.variant == BASELINE), None)
    for family in families:
        entry = family.entry
        cells, p = [family.name, seeds_cell(entry)], "–"
        for metric in _METRICS:
            gain = None if baseline in (None, entry) else entry.gain_over(baseline, metric)
            told = "–"
            if gain is not None:
                found = Comparison.of(entry.variant, BASELINE, metric, gain, resamples=_RESAMPLES)
                told = gain_cell(found.difference, found.ci95)
                p = p_cell(found.p, _RESAMPLES)
            cells += [accuracy_cell(entry, metric), told]
        rows.append([*cells, p, cost_cell(run.cpu_seconds for run in entry.runs)])
    return markdown_table([*head, "p", "training, CPU s"], rows)


def _codes(families: Sequence[_Family]) -> str:
    head = [
        "tokenizer",
        "codebook_size",
        "fit, s",
        "fit, CPU s",
        "encode, rows/s",
        "unique",
        "fullest",
        "perplexity",
    ]
    head += ["MSE", "purity, first code (by chance)", "neighbours (by prefix)"]
    rows = []
    for family in families:
        sizes = family.figures[0].sizes
        alike = len(set(sizes)) == 1
        codes = f"{len(sizes)} × {sizes[0]:,}" if alike else " × ".join(f"{size:,}" for size in sizes)
        rows.append(
            [
                family.name,
                codes if len(sizes) > 1 else f"{sizes[0]:,}",
                f"{family.mean(lambda of: of.fit_seconds):,.1f}",
                f"{family.mean(lambda of: of.fit_cpu_seconds):,.1f}",
                short(round(family.mean(lambda of: of.encode_rows_per_second))),
                f"{family.mean(lambda of: of.unique_rate):.3f}",
                f"{family.mean(lambda of: of.largest_collision):,.0f}",
                family.levels(lambda of: of.perplexity, lambda value: f"{value:,.0f}"),
                family.levels(lambda of: of.mse, lambda value: f"{value:.3f}".lstrip("0")),
                _purity(family),
                f"{family.mean(lambda of: of.neighbours):.3f} "
                f"({family.mean(lambda of: of.neighbours_by_prefix):.3f})",
            ]
        )
    return markdown_table(head, rows)


def _purity(family: _Family) -> str:
    """Purity under the first code, and what as large groups of random items have."""
    known = [each for each in family.figures if len(each.purity)]
    if not known:
        return "–"
    ours = np.mean([each.purity[0] for each in known])
    chance = np.mean([each.purity_by_chance[0] for each in known])
    return f"{ours:.3f} ({chance:.3f})"
