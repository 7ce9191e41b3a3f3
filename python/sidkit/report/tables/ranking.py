"""Tables of Semantic IDs in ranking models, from stored files.

The subject of a block names a table and stored runs, such as `comparison ml-100k/embeddings-1024`.

| table | file | written by |
|---|---|---|
| `comparison`, `deciles` | `rank.json` | `sidkit rank --out` |
| `coherence` | `coherence.json`; one table per run | `sidkit rank --out` |
| `sweep` | `sweep.json` | `sidkit sweep` |
| `moved`, `retraining` | `drift.json` | `sidkit drift --out` |
"""

from collections.abc import Callable
from pathlib import Path

import polars as pl

from sidkit.errors import DataError
from sidkit.ranking import Comparison, Retraining, Sweep
from sidkit.report.tables.markdown import markdown_table
from sidkit.tokenizers.quality.coherence import coherence_from_json

__all__ = ["ranking_table"]

METRICS = {"auc": "AUC", "user_auc": "AUC within users", "log_loss": "log-loss"}
PARTS = ("all", "new items")


def ranking_table(results: Path, subject: str) -> str:
    """Format the Markdown table of a subject.

    Args:
        results: directory of stored runs, by convention `benches/results/ranking`.
        subject: name of the table and stored runs.

    Raises:
        DataError: if there is no such table or run.
        FormatError: if a stored file is damaged.
    """
    table, *runs = subject.split()
    if table not in _TABLES:
        raise DataError(f"unknown table `{table}`: expected one of {', '.join(_TABLES)}")
    if not runs:
        raise DataError(
            f"`ranking:{table}` must name a stored run, as in `ranking:{table} ml-100k/embeddings-1024`"
        )
    file, write = _TABLES[table]
    texts = {}
    for run in runs:
        path = results / run / file
        if not path.is_file():
            raise DataError(f"no stored run `{run}`: expected {path}")
        texts[run] = path.read_text(encoding="utf-8")
    return write(texts)


def _comparison(texts: dict[str, str]) -> str:
    ((run, text),) = texts.items()
    found = Comparison.from_json(text)
    summary = found.summary()
    heads = [f"{name}, {part}" for part in PARTS for name in METRICS.values()]
    columns = [(part, metric) for part in PARTS for metric in METRICS]
    names = list(found.parameters)
    means = [[name, *(_mean(_at(summary, name, *each)) for each in columns)] for name in names]
    apart = [
        [name, *(_apart(_at(summary, name, *each)) for each in columns)] for name in names if name != "random"
    ]
    return "\n\n".join(
        [
            _conditions(run, found, summary),
            markdown_table(["representation", *heads], means),
            "Paired differences from `random`, by seed:",
            markdown_table(["representation", *heads], apart),
        ]
    )


def _deciles(texts: dict[str, str]) -> str:
    ((run, text),) = texts.items()
    found = Comparison.from_json(text)
    summary = found.summary()
    parts = [part for part in (f"decile {number}" for number in range(1, 11)) if part in summary["slice"]]
    written = [_conditions(run, found, summary)]
    for metric, title in METRICS.items():
        events = [f"{_at(summary, 'random', part, metric)['events']:,}" for part in parts]
        rows = [["*test events*", *events]]
        rows.append(["random", *(_mean(_at(summary, "random", part, metric)) for part in parts)])
        for name in found.parameters:
            if name != "random":
                rows.append([name, *(_apart(_at(summary, name, part, metric)) for part in parts)])
        written.append(
            f"{title} by decile of item popularity in training; rows below `random` are paired differences "
            "from it:"
        )
        written.append(markdown_table(["", *(part.removeprefix("decile ") for part in parts)], rows))
    return "\n\n".join(written)


def _conditions(run: str, found: Comparison, summary: pl.DataFrame) -> str:
    settings = found.settings
    sizes = "×".join(map(str, settings["codebook_sizes"]))
    events = {row["slice"]: row["events"] for row in summary.to_dicts()}
    return (
        f"**{run.partition('/')[0]}, {settings['num_embeddings']:,} embeddings of {settings['dim']}**: "
        f"{settings['items']:,} items, so {settings['items'] / settings['num_embeddings']:.1f} per embedding "
        f"of the random hash; {settings['test']:,} test events, {events.get('new items', 0):,} on new items; "
        f"Semantic IDs of {sizes}; mean of {len(settings['seeds'])} seeds, 95 % intervals (Student's t)."
    )


def _coherence(texts: dict[str, str]) -> str:
    blocks = []
    for run, text in texts.items():
        heads = ["tokens shared", "prefixes", "items", "pairs", "mean cosine"]
        rows = []
        for each in coherence_from_json(text):
            counts = (f"{count:,}" for count in (each.prefixes, each.items, each.pairs))
            rows.append([str(each.depth), *counts, f"{each.cosine:.3f}" if each.pairs else "–"])
        blocks += [f"**{run.partition('/')[0]}**", markdown_table(heads, rows)]
    return "\n\n".join(blocks)


def _sweep(texts: dict[str, str]) -> str:
    ((_, text),) = texts.items()
    found = Sweep.from_json(text)
    table = found.table()
    heads = [f"{name}, {part}" for part in PARTS for name in METRICS.values()]
    rows = []
    for (name, distinct), _ in table.group_by("name", "distinct", maintain_order=True):
        figures = [_mean(_at(table, str(name), part, metric, "name")) for part in PARTS for metric in METRICS]
        rows.append([str(name), "" if distinct is None else f"{distinct:.3f}", *figures])
    return markdown_table(["Semantic IDs", "SIDs per item", *heads], rows)


def _moved(texts: dict[str, str]) -> str:
    blocks = []
    for run, text in texts.items():
        found = Retraining.from_json(text)
        rows = [
            [str(one.depth)]
            + [
                f"{value:.3f}"
                for each in (one, two)
                for value in (each.agreement, each.remapped, each.information)
            ]
            for one, two in zip(found.moved, found.moved_by_seed, strict=True)
        ]
        figures = ["same", "remapped", "information"]
        heads = ["tokens", *figures, *(f"{figure}, two seeds" for figure in figures)]
        blocks += [f"**{run.partition('/')[0]}**", markdown_table(heads, rows)]
    return "\n\n".join(blocks)


def _retraining(texts: dict[str, str]) -> str:
    blocks = []
    for run, text in texts.items():
        found = Retraining.from_json(text)
        summary = found.comparison.summary(against="earlier")
        columns = [(part, metric) for part in PARTS for metric in METRICS]
        rows = [
            [name, f"{found.trained_on[name]:,}" if name in found.trained_on else ""]
            + [_mean(_at(summary, name, *each)) for each in columns]
            for name in found.comparison.parameters
        ]
        rows.append(["later − earlier", "", *(_apart(_at(summary, "later", *each)) for each in columns)])
        heads = [f"{name}, {part}" for part in PARTS for name in METRICS.values()]
        written = markdown_table(["Semantic IDs", "trained on items", *heads], rows)
        blocks += [_conditions(run, found.comparison, summary), written]
    return "\n\n".join(blocks)


def _at(
    summary: pl.DataFrame, name: str, part: str, metric: str, column: str = "representation"
) -> dict[str, float]:
    rows = summary.filter(pl.col(column) == name, pl.col("slice") == part, pl.col("metric") == metric)
    return rows.row(0, named=True) if len(rows) else {}


def _mean(row: dict[str, float]) -> str:
    return _with_interval(row.get("mean"), row.get("half_width"), "")


def _apart(row: dict[str, float]) -> str:
    return _with_interval(row.get("difference"), row.get("difference_half_width"), "+")


def _with_interval(value: float | None, half_width: float | None, sign: str) -> str:
    if value is None or value != value:
        return "–"
    known = half_width is not None and half_width == half_width
    return f"{value:{sign}.3f}" + (f" ± {half_width:.3f}" if known else "")


_TABLES: dict[str, tuple[str, Callable[[dict[str, str]], str]]] = {
    "comparison": ("rank.json", _comparison),
    "deciles": ("rank.json", _deciles),
    "coherence": ("coherence.json", _coherence),
    "sweep": ("sweep.json", _sweep),
    "moved": ("drift.json", _moved),
    "retraining": ("drift.json", _retraining),
}
