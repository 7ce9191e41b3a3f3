"""What the verbs of the ranking wing share: options, and the way from a source to events and vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer
from rich.console import Console

from sidkit.cli.progress import Watcher
from sidkit.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl

    from sidkit.data import Dataset
    from sidkit.ranking import TimeSplit

__all__ = ["Codes", "Levels", "Ranking", "RankingOptions", "Representation", "prepare"]

Levels = Annotated[int, typer.Option("--levels", min=1, help="Levels of the Semantic IDs.")]
Codes = Annotated[int, typer.Option("--codes", min=2, help="Codes of each level.")]
Representation = Annotated[str, typer.Option("--representation", help="The n-grams, as in `sidkit rank`.")]


@dataclass(frozen=True)
class RankingOptions:
    """The options of every verb that trains ranking models."""

    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows of each representation's table.")] = 1024
    dim: Annotated[int, typer.Option("--dim", min=1, help="Length of the vectors.")] = 16
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, max=10, help="Trainings of each representation.")
    ] = 5
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Epochs at most.")] = 8
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Events a step.")] = 1024
    liked: Annotated[float, typer.Option("--liked", help="Ratings from here on are positive.")] = 4.0
    template: Annotated[
        str | None, typer.Option("--template", help="Text of an item, as in `sidkit embed`.")
    ] = None
    vectors: Annotated[
        Path | None,
        typer.Option(
            "--vectors", help="Items' vectors (.npy, .safetensors, .parquet) instead of their texts'."
        ),
    ] = None


class Trial(TypedDict):
    """What `compare`, `retrain` and `sweep` all take by name, beside what each varies."""

    users: int
    item_ids: "pl.Series"
    vectors: "npt.NDArray[np.float32]"
    rows: int
    dim: int
    seeds: Sequence[int]
    epochs: int
    batch_size: int


@dataclass(frozen=True)
class Ranking:
    """A data set made ready.

    Attributes:
        dataset: all of it.
        split: its events in time.
        vectors: of its items, float32 (items, content dim).
        trial: the arguments that all trainings on it share.
    """

    dataset: "Dataset"
    split: "TimeSplit"
    vectors: "npt.NDArray[np.float32]"
    trial: Trial


def prepare(source: str, options: RankingOptions, console: Console) -> Ranking:
    """Load a rated log, split it in time, and get the vectors of its items."""
    from sidkit.data import load_dataset
    from sidkit.ranking import impressions, split_by_time

    dataset = load_dataset(source)
    events = impressions(dataset, liked=options.liked)
    if len(set(events.labels.tolist())) < 2:
        raise DataError(
            f"all {len(events)} events of `{dataset.name}` have one label, so nothing can be ranked; "
            f"ratings of {options.liked} or more are positive, choose another number with --liked"
        )
    split = split_by_time(events, len(dataset.items))
    vectors = _vectors(dataset, options, console)
    trial: Trial = {
        "users": len(dataset.user_ids),
        "item_ids": dataset.item_ids,
        "vectors": vectors,
        "rows": options.rows,
        "dim": options.dim,
        "seeds": range(options.seeds),
        "epochs": options.epochs,
        "batch_size": options.batch_size,
    }
    return Ranking(dataset, split, vectors, trial)


def _vectors(dataset: "Dataset", options: RankingOptions, console: Console) -> "npt.NDArray[np.float32]":
    from sidkit.data import cache_folder
    from sidkit.embed import embed_texts, item_texts, load_vectors

    if options.vectors is not None:
        return load_vectors(options.vectors, dataset.item_ids)
    texts = item_texts(dataset.items, options.template)
    with Watcher(console) as watcher:
        return embed_texts(texts, cache=cache_folder() / "vectors", progress=watcher.started("embed"))
