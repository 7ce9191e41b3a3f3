"""Tables of the comparison of tokenizers: costs, quality of the codes, and accuracy of a generative model."""

import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sidkit.errors import DataError
from sidkit.evaluate import Comparison
from sidkit.report.names import metric_name, model_name
from sidkit.report.numbers import short
from sidkit.report.tables.cells import accuracy_cell, cost_cell, gain_cell, p_cell, seeds_cell
from sidkit.report.tables.markdown import markdown_table
from sidkit.report.tables.stored import Entry, Setting, settings_of, stored_runs
from sidkit.tokenizers import TokenizerFigures

__all__ = ["tokenizers_tables"]

#: The tokenizer that others are compared with.
BASELINE = "rqkmeans"
_METRICS = ("recall@10", "ndcg@10")
_RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class _Tokenizer:
    """One tokenizer with one generative model, over its seeds."""

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
        """Format means over the seeds, for the levels that all seeds have."""
        rows = [list(of(each)) for each in self.figures]
        depth = min(map(len, rows))
        return " / ".join(write(statistics.fmean(row[level] for row in rows)) for level in range(depth))


def tokenizers_tables(results: str | os.PathLike[str], dataset: str) -> str:
    """Format the Markdown tables of a stored comparison of tokenizers.

    There are two tables for each generative model and setting: accuracy of its lists, best first, with the
    paired difference from `rqkmeans`, and quality of the codes.

    Args:
        results: the directory that `sidkit tokenizers` stored to.
        dataset: name of a dataset in it.

    Raises:
        DataError: if there are no results, or figures of a tokenizer or metrics are missing.
        FormatError: if a file is damaged.
    """
    parts = [part for setting in settings_of(stored_runs(results, dataset)) for part in _of_setting(setting)]
    return "\n\n".join(parts) + "\n"


def _of_setting(setting: Setting) -> Iterable[str]:
    for ranking in dict.fromkeys(entry.ranking for entry in setting.entries):
        tokenizers = [_Tokenizer(entry) for entry in setting.entries if entry.ranking == ranking]
        if any(not each.entry.variant for each in tokenizers):
            raise DataError(f"{tokenizers[0].entry.runs[0].path}: a run without the name of a tokenizer")
        for entry in (each.entry for each in tokenizers):
            lacking = [metric for metric in _METRICS if not entry.values(metric)]
            if lacking:
                raise DataError(
                    f"{entry.runs[0].path}: expected {metric_name(lacking[0])} among its metrics, got none. "
                    "Evaluate the run with 10 in `evaluate.ks`"
                )
        tokenizers.sort(key=lambda each: each.place)
        yield f"**{model_name(ranking)}: {setting.title[0].lower()}{setting.title[1:]}**"
        yield _lists(tokenizers)
        yield "The codes:"
        yield _codes(tokenizers)
    yield from (f"Evaluation protocol: {protocol.sentence()}." for protocol in setting.protocols)


def _lists(tokenizers: Sequence[_Tokenizer]) -> str:
    head = ["tokenizer", "seeds"]
    for metric in _METRICS:
        head += [metric_name(metric), f"Δ vs {BASELINE}"]
    rows = []
    baseline = next((each.entry for each in tokenizers if each.entry.variant == BASELINE), None)
    for each in tokenizers:
        entry = each.entry
        cells, p = [each.name, seeds_cell(entry)], "–"
        for metric in _METRICS:
            gain = None if baseline in (None, entry) else entry.gain_over(baseline, metric)
            difference = "–"
            if gain is not None:
                found = Comparison.of(entry.variant, BASELINE, metric, gain, resamples=_RESAMPLES)
                difference = gain_cell(found.difference, found.ci95)
                p = p_cell(found.p, _RESAMPLES)
            cells += [accuracy_cell(entry, metric), difference]
        rows.append([*cells, p, cost_cell(run.cpu_seconds for run in entry.runs)])
    return markdown_table([*head, "p", "training, CPU s"], rows)


def _codes(tokenizers: Sequence[_Tokenizer]) -> str:
    head = [
        "tokenizer",
        "codebook size",
        "fit, s",
        "fit, CPU s",
        "encode, rows/s",
        "unique",
        "largest collision",
        "perplexity",
    ]
    head += ["MSE", "purity, first code (by chance)", "neighbours (by prefix)"]
    rows = []
    for each in tokenizers:
        sizes = each.figures[0].codebook_sizes
        alike = len(set(sizes)) == 1
        codes = f"{len(sizes)} × {sizes[0]:,}" if alike else " × ".join(f"{size:,}" for size in sizes)
        rows.append(
            [
                each.name,
                codes if len(sizes) > 1 else f"{sizes[0]:,}",
                f"{each.mean(lambda of: of.fit_seconds):,.1f}",
                f"{each.mean(lambda of: of.fit_cpu_seconds):,.1f}",
                short(round(each.mean(lambda of: of.encode_rows_per_second))),
                f"{each.mean(lambda of: of.unique_rate):.3f}",
                f"{each.mean(lambda of: of.largest_collision):,.0f}",
                each.levels(lambda of: of.perplexity, lambda value: f"{value:,.0f}"),
                each.levels(lambda of: of.mse, lambda value: f"{value:.3f}".lstrip("0")),
                _purity(each),
                f"{each.mean(lambda of: of.neighbours):.3f} "
                f"({each.mean(lambda of: of.neighbours_by_prefix):.3f})",
            ]
        )
    return markdown_table(head, rows)


def _purity(each: _Tokenizer) -> str:
    """Format the purity under the first code, and of random groups of the same sizes."""
    known = [each for each in each.figures if len(each.purity)]
    if not known:
        return "–"
    ours = np.mean([each.purity[0] for each in known])
    chance = np.mean([each.purity_by_chance[0] for each in known])
    return f"{ours:.3f} ({chance:.3f})"
