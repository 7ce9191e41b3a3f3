"""Source of a server: a saved model or a run, and files next to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._tables import read_csv, read_parquet
from sidkit.embed import embed_items
from sidkit.errors import ConfigError, DataError
from sidkit.ids import SidTable
from sidkit.serve.live.catalogue import Embed, SourceFiles
from sidkit.serve.live.model import open_model
from sidkit.serve.users import UserHistories, histories_of, read_histories
from sidkit.tokenizers import load_tokenizer

__all__ = ["ServerSource"]


@dataclass(frozen=True)
class ServerSource:
    """Paths of a model and of what belongs to it; read again at every reload.

    Attributes:
        model: directory of a saved model, or of a run.
        name: name of the model of a run; by default a generative one.
        items: Parquet or CSV file with `item_id` and any columns; by default the items of the run.
        tokenizer: file of the tokenizer of new items; by default that of the run.
        histories: Parquet or CSV file of interactions, for requests by user; by default those of the run.
        embed: embed the text of new items that have no vector, with this sentence-transformers model.
        compare: directory of another saved model or run, with which the model is compared.
        threads: most threads of a batch of requests; None for one per core.
    """

    model: Path
    name: str | None = None
    items: Path | None = None
    tokenizer: Path | None = None
    histories: Path | None = None
    embed: str | None = None
    compare: Path | None = None
    threads: int | None = None

    @property
    def is_run(self) -> bool:
        """True if the model is that of a run."""
        return (self.model / "run.toml").is_file()

    def open(self) -> tuple[SourceFiles, UserHistories | None]:
        """Read the model and the files.

        Raises:
            SidkitError: if something is missing, damaged, or does not fit the rest.
        """
        frame, tokenizer, users = None, self.tokenizer, None
        path = self.model
        if self.is_run:
            from sidkit.run.opened import open_run

            run = open_run(self.model, model=self.name)
            path = self.model / "models" / run.model
            frame = run.catalogue().items
            tokenizer = tokenizer or next(iter(sorted(self.model.glob("tokenizer.*"))), None)
            users = histories_of(
                run.dataset, run.dataset.histories(run.config.data.ties, run.config.data.seed)
            )
        elif self.name is not None:
            raise ConfigError(
                f"a model of a run has a name: expected a run, got the saved model `{self.model}`. "
                "Leave --model out."
            )
        model = open_model(path, threads=self.threads)
        if self.items is not None:
            frame = _read_items(self.items, model.item_ids.dtype)
        if frame is None:
            frame = pl.DataFrame([model.item_ids])
        sids = path / "sids.parquet"
        files = SourceFiles(
            model,
            frame,
            SidTable.load(sids) if sids.exists() else None,
            None if tokenizer is None else load_tokenizer(tokenizer),
            None if self.embed is None else _embedder(self.embed),
        )
        return files, users if self.histories is None else read_histories(self.histories)

    def open_compared(self) -> SourceFiles | None:
        """Read the model of `compare`, with the same items; None if there is none.

        Raises:
            SidkitError: as for `open`.
        """
        if self.compare is None:
            return None
        other = replace(self, model=self.compare, name=None, tokenizer=None, embed=None, compare=None)
        return other.open()[0]


def _read_items(path: Path, dtype: pl.DataType) -> pl.DataFrame:
    try:
        frame = read_csv(path) if path.suffix == ".csv" else read_parquet(path)
        frame = frame.with_columns(pl.col("item_id").cast(dtype))
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DataError(
            f"`{path}` holds no items: expected a Parquet or CSV file whose `item_id` are {dtype}, got "
            f"{str(error).partition(chr(10))[0]}. Correct the file."
        ) from error
    if frame["item_id"].null_count() or frame["item_id"].n_unique() < len(frame):
        raise DataError(
            f"`{path}` repeats an item or lacks an id: expected distinct `item_id`. Drop these rows."
        )
    return frame


def _embedder(model: str) -> Embed:
    """Return a function that embeds rows of items by their text."""

    def embed(rows: list[dict[str, Any]]) -> npt.NDArray[np.float32]:
        texts = {name: [row.get(name) for row in rows] for name in rows[0]}
        return embed_items(pl.DataFrame(texts, strict=False), model=model, cache=False)

    return embed
