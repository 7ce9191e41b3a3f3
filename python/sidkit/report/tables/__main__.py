"""Command that updates the generated blocks of Markdown files from stored results."""

import sys
from collections.abc import Sequence

from sidkit.report.tables.documents import Write, run_update
from sidkit.report.tables.experiments.beams import beams_table, read_beams
from sidkit.report.tables.experiments.tuning import tuning_table
from sidkit.report.tables.independent import read_independent
from sidkit.report.tables.ranking import ranking_table
from sidkit.report.tables.recipes import recipes_table
from sidkit.report.tables.results import results_tables
from sidkit.report.tables.search import search_table
from sidkit.report.tables.stored import stored_runs
from sidkit.report.tables.tokenizers import tokenizers_tables

__all__ = ["KINDS", "main"]

#: Kinds of blocks: `results:beauty`, `recipes:beauty`, `beams:beauty/rqtransformer-seed0`,
#: `tokenizers:beauty`, `ranking:comparison ml-100k/embeddings-1024`, `search:nfcorpus/search`, and
#: `tuning:beauty`.
KINDS: dict[str, Write] = {
    "results": lambda results, dataset: results_tables(
        stored_runs(results, dataset), read_independent(results / "independent.toml")
    ),
    "recipes": lambda results, dataset: recipes_table(stored_runs(results, dataset)),
    "beams": lambda results, run: beams_table(read_beams(results / run / "beams.json")),
    "tokenizers": lambda results, dataset: tokenizers_tables(results / "tokenizers", dataset),
    "ranking": lambda results, subject: ranking_table(results / "ranking", subject),
    "search": search_table,
    "tuning": tuning_table,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Update or check the generated blocks; return the exit status."""
    return run_update(KINDS, arguments, prog="python -m sidkit.report.tables")


if __name__ == "__main__":
    sys.exit(main())
