"""Options of the verbs that train ranking models, and the preparation of their data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from rich.console import Console

from sidkit.cli.progress import Watcher
from sidkit.data import Dataset, load_dataset
from sidkit.embed import embed_items, load_vectors
from sidkit.errors import DataError
from sidkit.ranking import RankedItems, RankSettings, TimeSplit, impressions, split_by_time

__all__ = ["CodebookSize", "Levels", "Ranking", "RankingOptions", "Representation", "prepare"]

Levels = Annotated[int, typer.Option("--levels", min=1, help="Levels of the Semantic IDs.")]
CodebookSize = Annotated[int, typer.Option("--codebook-size", min=2, help="Codewords per level.")]
Representation = Annotated[
    str, typer.Option("--representation", help="Kind of n-grams, as in `sidkit rank`.")
]


@dataclass(frozen=True)
class RankingOptions:
    """Options of every verb that trains ranking models."""

    num_embeddings: Annotated[
        int,
        typer.Option("--num-embeddings", min=1, help="Size of the embedding table of each representation."),
    ] = 1024
    dim: Annotated[int, typer.Option("--dim", min=1, help="Width of the embeddings.")] = 16
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=10, help="Trainings per representation.")] = 5
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Epochs at most.")] = 8
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Events per step.")] = 1024
    liked: Annotated[float, typer.Option("--liked", help="Least rating of a positive event.")] = 4.0
    template: Annotated[
        str | None, typer.Option("--template", help="Text of an item, as in `sidkit embed`.")
    ] = None
    vectors: Annotated[
        Path | None,
        typer.Option(
            "--vectors",
            help="File of item vectors (.npy, .safetensors, .parquet); without it, texts are embedded.",
        ),
    ] = None


@dataclass(frozen=True)
class Ranking:
    """A dataset prepared for ranking.

    Attributes:
        dataset: the dataset.
        split: its events, split by time.
        items: its items with content vectors.
        settings: budget and training of every ranking model.
    """

    dataset: Dataset
    split: TimeSplit
    items: RankedItems
    settings: RankSettings


def prepare(source: str, options: RankingOptions, console: Console) -> Ranking:
    """Load a rated log, split it by time, and embed its items."""
    dataset = load_dataset(source)
    events = impressions(dataset, liked=options.liked)
    if len(set(events.labels.tolist())) < 2:
        raise DataError(
            f"all {len(events)} events of `{dataset.name}` have one label, so nothing can be ranked; "
            f"ratings of {options.liked} or more are positive, choose another number with --liked"
        )
    split = split_by_time(events, len(dataset.items))
    items = RankedItems(dataset.item_ids, _vectors(dataset, options, console))
    settings = RankSettings(
        num_embeddings=options.num_embeddings,
        dim=options.dim,
        seeds=range(options.seeds),
        epochs=options.epochs,
        batch_size=options.batch_size,
    )
    return Ranking(dataset, split, items, settings)


def _vectors(dataset: Dataset, options: RankingOptions, console: Console) -> npt.NDArray[np.float32]:
    if options.vectors is not None:
        return load_vectors(options.vectors, dataset.item_ids)
    with Watcher(console) as watcher:
        return embed_items(dataset.items, template=options.template, progress=watcher.started("embed"))
