"""A run directory, opened to be asked."""

import os
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit import Trie
from sidkit.data import Dataset, Sequences, load_dataset
from sidkit.errors import ConfigError, DataError, FormatError, RunDirectoryError
from sidkit.ids import SidTable
from sidkit.recommenders.ranker import Ranker, load_ranker
from sidkit.run import RunConfig, RunDirectory, read_config
from sidkit.run.appended import Appended, read_appended
from sidkit.run.config import GENERATIVE_MODELS
from sidkit.run.config.settings import flatten
from sidkit.run.stages import source_files

__all__ = ["Run", "open_run"]

ItemId = int | str

_PREFERRED = ("rqtransformer", "tiger", "actionpiece", "decoderonly")  # who recommends if nobody is asked for
_BY_DIGITS = ("tiger", "actionpiece", "decoderonly")  # who can recommend an item that came after the training


def open_run(path: str | os.PathLike[str], *, model: str | None = None) -> "Run":
    """Open a finished run.

    Args:
        path: the run directory.
        model: which of its models recommends; if not given `rqtransformer`, else `tiger`, else
            `actionpiece`, else `decoderonly`, else the last one that was trained. With its dense head,
            `rqtransformer-dense` and `rqtransformer-fused` too.

    Raises:
        RunDirectoryError: if it is not a run, the model has not been trained in it, or what it was trained on
            has been made anew or damaged since.

    Example:
        run = sidkit.open_run("runs/ml-100k")
        items, scores = run.recommend(history=[50, 172, 181], k=10)
    """
    return Run(path, model=model)


class Run:
    """A finished run; everything is read from the disk when it is first needed.

    Attributes:
        path: the run directory.
        config: its settings.
        model: the name of the model that recommends.
    """

    def __init__(self, path: str | os.PathLike[str], *, model: str | None = None) -> None:
        self.path = Path(path)
        self._folder = RunDirectory(self.path)
        if not self._folder.config_path.exists():
            raise RunDirectoryError(
                f"there is no run in `{self.path}`: make one with `sidkit run SOURCE --out {self.path}`"
            )
        self.config: RunConfig = read_config(self._folder.config_path)
        trained = [name.removeprefix("train.") for name in self._folder.records if name.startswith("train.")]
        if not trained:
            raise RunDirectoryError(
                f"no model of the run `{self.path}` is trained yet: go on with `sidkit run {self.path}`"
            )
        rankings = list(trained)
        if "rqtransformer" in trained and self.config.models.rqtransformer.dense:
            rankings += ["rqtransformer-dense", "rqtransformer-fused"]
        if model is not None and model not in rankings:
            raise RunDirectoryError(
                f"the run `{self.path}` has no model `{model}`; trained there: {', '.join(rankings)}"
            )
        preferred = [name for name in _PREFERRED if name in trained]
        self.model: str = model or (preferred or trained[-1:])[0]
        settings = flatten(self.config)
        for stage in ("data", *(("ids",) if self.has_sids else ()), f"train.{self._trained}"):
            self._folder.check(stage, settings)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, model={self.model!r})"

    @property
    def _trained(self) -> str:
        """The model whose files are read: one model may rank in several ways, named with a dash."""
        return self.model.partition("-")[0]

    @property
    def has_sids(self) -> bool:
        """Whether the run made Semantic IDs."""
        return "ids" in self._folder.records

    @cached_property
    def dataset(self) -> Dataset:
        """The data set, read from where it was when the run was made.

        Raises:
            DataError: if it is no longer there.
            RunDirectoryError: if it has changed since.
        """
        data, record = self.config.data, self._folder.records["data"]
        source = record.facts["source"]
        there = source_files(source)
        if there and there != record.inputs:
            raise RunDirectoryError(
                f"the data set `{source}` has changed since the run `{self.path}` was made from it, so its "
                "rows are no longer those of the model; make a run of the new data with --out"
            )
        return load_dataset(
            source,
            min_user_events=data.min_user_events,
            min_item_events=data.min_item_events,
            unknown_items=data.unknown_items,
        )

    @cached_property
    def table(self) -> SidTable:
        """Which item has which Semantic ID; items that were appended to the run come last."""
        own = self._folder.output("ids", "sids.parquet")
        return SidTable.load(own if self._appended is None else self._appended.sids)

    @cached_property
    def trie(self) -> Trie:
        """The trie of all Semantic IDs that the model can recommend.

        Items that were appended to the run are among them if the model reads and writes tokens.
        """
        file = self._folder.output("ids", "index.sidx")
        if self._appended is not None and self._takes_appended:
            file = self._appended.index
        try:
            return Trie.open(file)
        except FormatError as error:
            raise FormatError(f"`{file}`: {error}") from error

    def recommend(
        self, history: Iterable[ItemId], k: int = 10, exclude_seen: bool = True
    ) -> tuple[list[Any], npt.NDArray[np.float32]]:
        """Recommend what comes after a history.

        Args:
            history: item ids, oldest first; text such as "12" finds the integer id 12.
            k: items wanted.
            exclude_seen: whether items of the history are left out.

        Returns:
            item ids, best first, at most k of them; and their scores, f32 of the same length: natural-log
            probabilities (of a generator), inner products (`sasrec`), counts (`popularity`).

        Raises:
            DataError: if an item is unknown, there is none, or `history` is one string.
            ConfigError: if `k` is not positive.
        """
        if isinstance(history, str):  # whose letters could be ids
            raise DataError(f"history must be a list of item ids, not one string; hint: [{history!r}]")
        rows = np.fromiter((self._row(item) for item in history), np.int32)
        return self._recommend(rows, None, k, exclude_seen)

    def recommend_user(
        self, user_id: ItemId, k: int = 10, exclude_seen: bool = True
    ) -> tuple[list[Any], npt.NDArray[np.float32]]:
        """Recommend what comes after all events of a user of the data set; otherwise as `recommend`.

        Raises:
            DataError: if the user is unknown.
        """
        user = self.dataset.find_users([user_id])
        return self._recommend(self._sequences[int(user[0])], user, k, exclude_seen)

    def user_history(self, user_id: ItemId) -> list[Any]:
        """Item ids of all events of a user, oldest first.

        Raises:
            DataError: if the user is unknown.
        """
        (user,) = self.dataset.find_users([user_id])
        return self._ids(self._sequences[int(user)])

    def label(self, item_id: ItemId) -> str:
        """The title of an item, or nothing if the data set has no titles."""
        items = self.dataset.items
        if self._appended is not None and self._row(item_id) >= len(items):
            items = self._appended.items()
            row = self._row(item_id) - len(self.dataset.items)
        else:
            row = int(self.dataset.find_items([item_id])[0])
        return (items["title"][row] or "") if "title" in items.columns else ""

    def sid(self, item_id: ItemId) -> str:
        """The Semantic ID of an item; text such as "12" finds the integer id 12.

        Raises:
            DataError: if the item is unknown.
        """
        return self.table[self._typed(item_id)]

    @cached_property
    def _appended(self) -> Appended | None:
        """Items that came after the run was made."""
        return read_appended(self._folder) if self.has_sids else None

    @property
    def _takes_appended(self) -> bool:
        """Whether the model can recommend items it was not trained on, by their tokens."""
        return self._trained in _BY_DIGITS

    @cached_property
    def _sequences(self) -> Sequences:
        return self.dataset.histories(self.config.data.ties, self.config.data.seed)

    @cached_property
    def _rank(self) -> Ranker:
        generator = self._trained in GENERATIVE_MODELS
        return load_ranker(
            self.model,
            self.path / "models" / self._trained,
            table=self.table if generator else None,
            trie=self.trie if generator else None,
            beam=self.config.decode.beam,
        )

    @property
    def _item_ids(self) -> pl.Series:
        # The table spares a served generator the log.
        return self.table.item_ids if self.has_sids else self.dataset.item_ids

    def _row(self, item_id: ItemId) -> int:
        if not self.has_sids:
            return int(self.dataset.find_items([item_id])[0])
        return int(self.table.rows([self._typed(item_id)])[0])

    def _typed(self, item_id: ItemId) -> ItemId:
        wants_integer = self.table.item_ids.dtype.is_integer()
        if wants_integer and isinstance(item_id, str) and re.fullmatch(r"-?[0-9]{1,20}", item_id):
            return int(item_id)
        return item_id

    def _ids(self, rows: npt.NDArray[np.int32]) -> list[Any]:
        return self._item_ids.gather(rows).to_list()

    def _recommend(
        self, rows: npt.NDArray[np.int32], user: npt.NDArray[np.int32] | None, k: int, exclude_seen: bool
    ) -> tuple[list[Any], npt.NDArray[np.float32]]:
        if k < 1:
            raise ConfigError(f"`k` must be 1 or more, it is {k}")
        if len(rows) == 0:
            raise DataError("the history is empty; give at least one item id")
        own = len(self.table) - (self._appended.count if self._appended else 0) if self.has_sids else 0
        if self.has_sids and not self._takes_appended and (rows >= own).any():
            late = self._ids(rows[rows >= own][:1])[0]
            raise DataError(
                f"item {late!r} was appended after `{self.model}` was trained, and that model has a row for "
                f"each item it knows; ask one that reads tokens ({', '.join(_BY_DIGITS)}), or train it anew"
            )
        history = Sequences.from_lengths(rows, np.array([len(rows)]))
        items, scores = self._rank(history, user, k, history if exclude_seen else None, lambda done: None)
        found = items[0] >= 0
        return self._ids(items[0][found]), scores[0][found]
