"""Figures of the tokenizer of a run."""

import statistics
import time

from sidkit.embed import load_vectors
from sidkit.errors import RunDirectoryError
from sidkit.report import read_run
from sidkit.run.directory import RunDirectory
from sidkit.run.stages.files import EMBEDDINGS, TOKENIZER
from sidkit.tokenizers import (
    TokenizerFigures,
    load_tokenizer,
    neighbour_recall,
    prefix_purity,
    quality_report,
)

__all__ = ["measure_tokenizer"]

_REPEATS = 5


def measure_tokenizer(run: RunDirectory, variant: str) -> TokenizerFigures:
    """Measure the tokenizer of a run whose items have Semantic IDs.

    Neighbours are those by content vectors for every variant, so that the figures are comparable; errors are
    those of the vectors that were tokenized, and comparable among variants that tokenize the same vectors.

    Raises:
        RunDirectoryError: if the run has no Semantic IDs, or its dataset is not available any more.
    """
    data = read_run(run.path)
    if data.table is None or data.vectors is None:
        raise RunDirectoryError(f"there are no Semantic IDs in `{run.path}`: continue with `sidkit run`")
    if data.dataset is None:
        raise RunDirectoryError(f"the dataset of `{run.path}` is not available: {data.missing_data}")
    tokenizer = load_tokenizer(run.path / TOKENIZER)
    content = load_vectors(run.path / EMBEDDINGS, data.dataset.item_ids)
    # The tokenizer's codes, before collision handling.
    codes = tokenizer.encode(data.vectors)
    seconds = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        tokenizer.encode(data.vectors)
        seconds.append(time.perf_counter() - began)
    quality = quality_report(tokenizer, data.vectors)
    near = neighbour_recall(tokenizer, content, codes)
    pure = [] if data.categories is None else prefix_purity(codes, data.categories)[1:]
    record = run.records["tokenize"]
    return TokenizerFigures(
        tokenizer=variant,
        items=len(codes),
        codebook_sizes=[int(size) for size in tokenizer.codebook_sizes],
        fit_seconds=record.seconds,
        fit_cpu_seconds=record.cpu_seconds,
        encode_rows_per_second=len(codes) / max(statistics.median(seconds), 1e-9),
        unique_rate=quality.unique_rate,
        largest_collision=quality.largest_collision,
        perplexity=[level.perplexity for level in quality.levels],
        mse=[level.mse for level in quality.levels],
        purity=[each.purity for each in pure],
        purity_by_chance=[each.chance for each in pure],
        neighbours=near.recall,
        neighbours_by_chance=near.chance,
        neighbours_by_prefix=near.prefix,
        notes=list(quality.notes),
    )
