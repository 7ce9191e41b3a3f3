"""What the verbs of the ranking wing share: options, and the way from a source to events and vectors."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sidkit.cli.progress import Watcher

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sidkit.data import Dataset
    from sidkit.rank import TimeSplit

__all__ = [
    "BatchSize",
    "Codes",
    "Dim",
    "Epochs",
    "Levels",
    "Liked",
    "Ranking",
    "Rows",
    "Seeds",
    "Template",
    "Vectors",
    "prepare",
]

Levels = Annotated[int, typer.Option("--levels", min=1, help="Levels of the Semantic IDs.")]
Codes = Annotated[int, typer.Option("--codes", min=2, help="Codes of each level.")]
Rows = Annotated[int, typer.Option("--rows", min=1, help="Rows of each representation's table.")]
Dim = Annotated[int, typer.Option("--dim", min=1, help="Length of the vectors.")]
Seeds = Annotated[int, typer.Option("--seeds", min=1, max=10, help="Trainings of each representation.")]
Epochs = Annotated[int, typer.Option("--epochs", min=1, help="Epochs at most.")]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Events a step.")]
Liked = Annotated[float, typer.Option("--liked", help="Ratings from here on are positive.")]
Template = Annotated[str | None, typer.Option("--template", help="Text of an item, as in `sidkit embed`.")]
Vectors = Annotated[
    Path | None,
    typer.Option("--vectors", help="Items' vectors (.npy, .safetensors, .parquet) instead of their texts'."),
]


@dataclass(frozen=True)
class Ranking:
    """A data set made ready: its events in time, and the vectors of its items, float32 (items, dim)."""

    dataset: "Dataset"
    split: "TimeSplit"
    vectors: "npt.NDArray[np.float32]"


def prepare(
    source: str, console: Console, *, liked: float, template: str | None, vectors: Path | None
) -> Ranking:
    """Load a rated log, split it in time, and get the vectors of its items."""
    from sidkit.data import cache_folder, load_dataset
    from sidkit.embed import embed_texts, item_texts, load_vectors
    from sidkit.rank import impressions, split_by_time

    dataset = load_dataset(source)
    split = split_by_time(impressions(dataset, liked=liked), len(dataset.items))
    if vectors is not None:
        return Ranking(dataset, split, load_vectors(vectors, dataset.item_ids))
    texts = item_texts(dataset.items, template)
    with Watcher(console) as watcher:
        made = embed_texts(texts, cache=cache_folder() / "vectors", progress=watcher.started("embed"))
    return Ranking(dataset, split, made)
