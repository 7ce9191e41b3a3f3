"""Measuring the tokenizer of a run."""

import statistics
import time

from sidkit.errors import RunDirectoryError
from sidkit.run.directory import RunDirectory
from sidkit.tokenizers import TokenizerFigures

__all__ = ["measure_tokenizer"]

_REPEATS = 5


def measure_tokenizer(run: RunDirectory, family: str) -> TokenizerFigures:
    """Measure the tokenizer of a run whose items have Semantic IDs.

    Neighbours are those by the content vectors in every family, so that the figures compare; an error is
    that of the vectors a family quantized, and compares among families that quantize the same.

    Raises:
        RunDirectoryError: if the run has no Semantic IDs, or its data is not here any more.
    """
    from sidkit.embed import load_vectors
    from sidkit.report import read_run
    from sidkit.tokenizers import load_tokenizer, neighbour_recall, prefix_purity, quality_report

    data = read_run(run.path)
    if data.table is None or data.vectors is None:
        raise RunDirectoryError(f"there are no Semantic IDs in `{run.path}`: go on with `sidkit run`")
    if data.dataset is None:
        raise RunDirectoryError(f"the data of `{run.path}` is not here: {data.missing_data}")
    tokenizer = load_tokenizer(run.path / "tokenizer.safetensors")
    content = load_vectors(run.path / "embeddings.safetensors", data.dataset.item_ids)
    # The tokenizer's own codes: what a collision policy makes of them is not the tokenizer's doing.
    codes = tokenizer.encode(data.vectors)
    taken = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        tokenizer.encode(data.vectors)
        taken.append(time.perf_counter() - began)
    quality = quality_report(tokenizer, data.vectors)
    near = neighbour_recall(tokenizer, content, codes)
    pure = [] if data.categories is None else prefix_purity(codes, data.categories)[1:]
    record = run.records["tokenize"]
    return TokenizerFigures(
        family=family,
        items=len(codes),
        sizes=[int(size) for size in tokenizer.codebook_sizes],
        fit_seconds=record.seconds,
        fit_cpu_seconds=record.cpu_seconds,
        encode_rows_per_second=len(codes) / max(statistics.median(taken), 1e-9),
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
