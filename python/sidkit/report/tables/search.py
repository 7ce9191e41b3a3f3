"""Tables of retrievers on document collections, from stored files.

The subject of a block is `<collection>/<run>`, such as `nfcorpus/search` (`search.json`, written by
`benches/python/search_collections.py`) or `nfcorpus/growing` (`growing.json`, by `search_growing.py`).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from sidkit.errors import DataError, FormatError
from sidkit.report.tables.markdown import markdown_table

__all__ = ["search_table"]

_NAMES = {"bm25": "BM25", "dense": "MiniLM, exact", "ivf": "MiniLM, faiss IVF", "dsi": "DSI"}
_NAMES |= {"sid": "SidRetriever", "hybrid": "Hybrid"}
_METRICS = ("ndcg@10", "recall@10", "recall@100", "mrr@10", "success@1")
_TITLES = ("NDCG@10", "Recall@10", "Recall@100", "MRR@10", "success@1")


def search_table(results: Path, subject: str) -> str:
    """Format the Markdown tables of a stored run.

    Args:
        results: directory of stored runs, by convention `benches/results`.
        subject: collection and run.

    Raises:
        DataError: if there is no such run.
        FormatError: if the stored file is damaged.
    """
    directory = results / subject
    path = directory / "search.json" if directory.is_dir() else results / f"{subject}.json"
    if not path.is_file():
        raise DataError(f"no stored run `{subject}`: expected {path}")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return _growing(found) if "runs" in found else _retrievers(found)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise FormatError(f"`{path}` is damaged: {error!r}. Measure it again.") from error


def _retrievers(found: dict[str, Any]) -> str:
    rows = []
    for method in _NAMES:
        runs = [each for name, each in found["results"].items() if name.partition("-")[0] == method]
        if runs:
            rows.append([_NAMES[method], *(_figure(runs, metric) for metric in _METRICS), _cost(runs)])
    compared = [
        [
            f"{_title(each['model'])} − {_title(each['baseline'])}",
            f"{each['difference']:+.4f}",
            "{:+.4f} … {:+.4f}".format(*each["interval"]),
            f"{each['p_value']:.4f}",
        ]
        for each in found["comparisons"]
    ]
    seeds = ", ".join(map(str, found["seeds"]))
    facts = (
        f"**{found['collection']}**: {found['documents']:,} documents, "
        f"{found['queries']['test']:,} test queries; "
        f"all documents are candidates; seeds {seeds}; 95 % bootstrap intervals over queries (first seed)."
    )
    heads = ["difference in NDCG@10", "mean", "95 % interval", "p"]
    blocks = [
        facts,
        markdown_table(["retriever", *_TITLES, "fit, CPU s"], rows),
        "Paired differences over the same queries:",
        markdown_table(heads, compared),
    ]
    if "curve" in found:
        points = [[f"{epoch:.0f}", f"{loss:.3f}", f"{ndcg:.4f}"] for epoch, loss, ndcg in found["curve"]]
        heads = ["epoch", "training loss (nats per Semantic ID)", "NDCG@10, validation"]
        blocks += ["Curve of the training:", markdown_table(heads, points)]
    return "\n\n".join(blocks)


def _figure(runs: list[dict[str, Any]], metric: str) -> str:
    values = [run[metric]["mean"] for run in runs]
    spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    low, high = runs[0][metric]["interval"]
    return f"{np.mean(values):.4f}{spread} ({low:.3f}–{high:.3f})"


def _cost(runs: list[dict[str, Any]]) -> str:
    seconds = [run["facts"]["fit_seconds"] for run in runs if "fit_seconds" in run["facts"]]
    return f"{np.mean(seconds):.0f}" if seconds else "–"


def _title(name: str) -> str:
    method, _, seed = name.partition("-seed")
    return _NAMES[method] + (f", seed {seed}" if seed else "")


def _growing(found: dict[str, Any]) -> str:
    rows = []
    for place, step in enumerate(found["runs"][0]["steps"]):
        steps = [run["steps"][place] for run in found["runs"]]
        rows.append([str(step["batch"]), *_kinds(steps)])
    for title, name in _REFERENCES.items():
        rows.append([title, *_kinds([run[name] for run in found["runs"]])])
    heads = [
        "batches added",
        "Recall@100, trained",
        "NDCG@10, trained",
        "Recall@100, added",
        "NDCG@10, added",
        "Recall@100, all",
        "NDCG@10, all",
        "added / trained",
    ]
    facts = f"**{found['collection']}**, {found['evaluated_on']} queries, mean of {len(found['runs'])} draws."
    return "\n\n".join([facts, markdown_table(heads, rows)])


def _kinds(steps: list[dict[str, Any]]) -> list[str]:
    """Format the means of both metrics for every kind of document, and the relative Recall@100."""
    cells = [
        f"{np.mean([step[kind][metric] for step in steps]):.4f}" if kind in steps[0] else "–"
        for kind in ("old", "new", "all")
        for metric in ("recall@100", "ndcg@10")
    ]
    if "new" not in steps[0]:
        return [*cells, "–"]
    return [
        *cells,
        f"{np.mean([step['new']['recall@100'] / step['old']['recall@100'] for step in steps]):.2f}",
    ]


#: Rows below those of the batches, with all documents.
_REFERENCES = {
    "without the bias": "without_bias",
    "fitted again": "refitted",
    "text vectors, no training": "untrained",
}
