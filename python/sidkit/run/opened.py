"""A finished run, opened for recommendations."""

import contextlib
import os
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import TopK, checked
from sidkit._core import Trie
from sidkit.data import Catalogue, Dataset, EvaluationSet, Histories
from sidkit.errors import ConfigError, FormatError, RunDirectoryError
from sidkit.ids import SidTable
from sidkit.run.appended import Appended, read_appended
from sidkit.run.config import RunConfig, flatten, read_config
from sidkit.run.directory import RunDirectory
from sidkit.run.stages.context import Context
from sidkit.run.stages.files import INDEX, SIDS, model_path, source_files

__all__ = ["Run", "open_run"]

ItemId = int | str

_PREFERRED = ("rqtransformer", "tiger", "actionpiece", "decoderonly")


@checked
def open_run(path: str | os.PathLike[str], *, model: str | None = None) -> "Run":
    """Open a finished run.

    Args:
        path: the run directory.
        model: name of the trained recommender to use; by default a generative one, `rqtransformer` first,
            otherwise the last that was trained.

    Raises:
        RunDirectoryError: if it is not a run, the model was not trained in it, or results on which the model
            depends have changed since.

    Example:
        run = sidkit.open_run("runs/ml-100k")
        ids, scores = run.recommend([50, 172, 181], k=10)
    """
    return Run(path, model=model)


@checked
class Run:
    """A finished run. Files are read when they are first needed; pickling keeps the path only.

    Attributes:
        path: the run directory.
        config: its settings.
        models: names of its trained recommenders.
        model: name of the one that recommends.
    """

    def __init__(self, path: str | os.PathLike[str], *, model: str | None = None) -> None:
        self.path = Path(path)
        self._directory = RunDirectory(self.path)
        if not self._directory.config_path.exists():
            raise RunDirectoryError(
                f"there is no run in `{self.path}`: make one with `sidkit run SOURCE --out {self.path}`"
            )
        self.config: RunConfig = read_config(self._directory.config_path)
        records = self._directory.records
        self.models = tuple(name.removeprefix("train.") for name in records if name.startswith("train."))
        if not self.models:
            raise RunDirectoryError(
                f"no model of the run `{self.path}` is trained yet: continue with `sidkit run {self.path}`"
            )
        self.model = self._checked(self._default() if model is None else model)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, model={self.model!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path.resolve(), "model": self.model}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"], model=state["model"])  # type: ignore[misc]

    def recommender(self, name: str | None = None) -> Any:
        """Return a trained recommender of the run, see `sidkit.recommenders`.

        It also recommends the items that were appended to the run, if it can recommend new items.

        Args:
            name: one of `models`; by default `model`.

        Raises:
            RunDirectoryError: if there is no such model.
            FormatError: if its files are damaged.
        """
        name = self._checked(name or self.model)
        if name not in self._loaded:
            recommender = self.config.recommenders[name].configures.load(self.path / model_path(name))
            if self._appended is not None:
                with contextlib.suppress(ConfigError):  # not every recommender can add items
                    ids, vectors = self._appended.items()["item_id"], self._appended.vectors()
                    recommender.add_items(ids, vectors, sids=self.sids)
            self._loaded[name] = recommender
        return self._loaded[name]

    def recommend(
        self,
        histories: Any,
        k: TopK = 10,
        *,
        exclude_seen: bool = True,
        exclude: Any = None,
        allow: Any = None,
        scoring: str | None = None,
        rerank: Any = (),
        candidates: TopK = 200,
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
        """Recommend the next items, see `Recommender.recommend`.

        Unknown item ids in a history are skipped with a warning, and so are appended items by a model that
        cannot recommend new items. An empty history is answered with the most popular items.

        Args:
            histories: one history of item ids, oldest first, or a batch of them: lists, NumPy, a polars or
                Arrow list column.
            k: items per history.
            exclude_seen: exclude the items of each history.
            exclude: item ids, or an `ItemSet`, that are not recommended: one for all histories, or one per
                history.
            allow: the same, to which recommendations are restricted, such as
                `run.catalogue().where("price < 20")`.
            scoring: how the model ranks, one of its `scorings`; by default the first.
            rerank: re-rankers of `sidkit.rerank`, which choose the k items.
            candidates: items that re-rankers choose from.

        Returns:
            Item ids and float32 scores, best first: (n, k) for a batch, (k,) for one history.

        Raises:
            ConfigError: if `k` is not positive, or the model has no such scoring.
        """
        return self.recommender().recommend(  # type: ignore[no-any-return]
            histories,
            k,
            exclude_seen=exclude_seen,
            exclude=exclude,
            allow=allow,
            scoring=scoring,
            rerank=rerank,
            candidates=candidates,
        )

    def recommend_users(
        self,
        user_ids: ItemId | Sequence[ItemId],
        k: TopK = 10,
        *,
        exclude_seen: bool = True,
        exclude: Any = None,
        allow: Any = None,
        scoring: str | None = None,
        rerank: Any = (),
        candidates: TopK = 200,
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
        """Recommend the next items to users of the dataset, after all of their events.

        Args:
            user_ids: one user id, or several.
            k: items per user.
            exclude_seen: exclude the items of the user's own history.
            exclude: as in `recommend`.
            allow: as in `recommend`.
            scoring: as in `recommend`.
            rerank: as in `recommend`.
            candidates: as in `recommend`.

        Returns:
            Item ids and float32 scores, best first: (n, k), or (k,) for one user id.

        Raises:
            DataError: if a user is unknown.
        """
        single = isinstance(user_ids, str) or not hasattr(user_ids, "__len__")
        users = self.dataset.find_users([user_ids] if single else list(user_ids))  # type: ignore[arg-type,list-item]
        examples = EvaluationSet(users, self._histories.take(users), np.full(len(users), -1))
        ids, scores = self.recommender().recommend(
            examples,
            k,
            exclude_seen=exclude_seen,
            exclude=exclude,
            allow=allow,
            scoring=scoring,
            rerank=rerank,
            candidates=candidates,
        )
        return (ids[0], scores[0]) if single else (ids, scores)

    def user_history(self, user_id: ItemId) -> list[Any]:
        """Return the item ids of all events of a user, oldest first.

        Raises:
            DataError: if the user is unknown.
        """
        (user,) = self.dataset.find_users([user_id])
        return self.dataset.item_ids.gather(self._histories[int(user)]).to_list()

    def title(self, item_id: ItemId) -> str:
        """Return the title of an item, or "" if the dataset has no titles.

        Raises:
            DataError: if the item is unknown.
        """
        (item_id,) = self.typed([item_id])
        items = self.dataset.items
        if self._appended is not None and item_id in (late := self._appended.items())["item_id"]:
            items, row = late, int(late["item_id"].index_of(item_id) or 0)
        else:
            row = int(self.dataset.find_items([item_id])[0])
        return (items["title"][row] or "") if "title" in items.columns else ""

    def sid(self, item_id: ItemId) -> str:
        """Return the Semantic ID of an item.

        Raises:
            DataError: if the item is unknown.
        """
        return self.sids[self.typed([item_id])[0]]

    def typed(self, item_ids: Iterable[ItemId]) -> list[ItemId]:
        """Return item ids in the type of the catalogue: the text "12" becomes 12 if ids are integers."""
        integers = (self.sids if self.has_sids else self.dataset).item_ids.dtype.is_integer()
        return [
            int(each) if integers and isinstance(each, str) and re.fullmatch(r"-?[0-9]{1,18}", each) else each
            for each in item_ids
        ]

    def catalogue(self) -> Catalogue:
        """Return the items of the dataset and those that were appended, to select sets by conditions.

        Columns that appended items do not have are null. The object is the same every time.
        """
        return self._catalogue

    @property
    def has_sids(self) -> bool:
        """True if the run made Semantic IDs."""
        return "ids" in self._directory.records

    @cached_property
    def dataset(self) -> Dataset:
        """Dataset of the run, read from where it was when the run was made.

        Raises:
            DataError: if it is not there any more.
            RunDirectoryError: if it has changed since.
        """
        context = Context(self.config, self._directory)
        there = source_files(context.source)
        if there and there != dict(self._directory.records["data"].inputs):
            raise RunDirectoryError(
                f"the dataset `{context.source}` has changed since the run `{self.path}` was made from it, "
                "so its rows are no longer those of the model; make a run of the new data with --out"
            )
        return context.dataset

    @cached_property
    def sids(self) -> SidTable:
        """Semantic IDs of all items; appended items come last."""
        return SidTable.load(self._file(SIDS, None if self._appended is None else self._appended.sids))

    @cached_property
    def trie(self) -> Trie:
        """Trie of all Semantic IDs, including those of appended items."""
        file = self._file(INDEX, None if self._appended is None else self._appended.index)
        try:
            return Trie.open(file)
        except FormatError as error:
            raise FormatError(f"`{file}`: {error}") from error

    @cached_property
    def _loaded(self) -> dict[str, Any]:
        return {}

    @cached_property
    def _appended(self) -> Appended | None:
        return read_appended(self._directory) if self.has_sids else None

    @cached_property
    def _catalogue(self) -> Catalogue:
        items = self.dataset.items
        if self._appended is not None:
            items = pl.concat([items, self._appended.items()], how="diagonal_relaxed")
        return Catalogue(items)

    @cached_property
    def _histories(self) -> Histories:
        return self.dataset.histories(self.config.data.ties, self.config.data.seed)

    def _file(self, name: str, appended: Path | None) -> Path:
        return appended or self._directory.output("ids", name)

    def _default(self) -> str:
        by_method = {self.config.recommenders[name].method: name for name in reversed(self.models)}
        return next((by_method[method] for method in _PREFERRED if method in by_method), self.models[-1])

    def _checked(self, name: str) -> str:
        """Check that a model is there, and that what it depends on has not changed since."""
        if name not in self.models:
            raise RunDirectoryError(
                f"the run `{self.path}` has no model `{name}`; trained there: {', '.join(self.models)}"
            )
        settings = flatten(self.config)
        for stage in ("data", *(("ids",) if self.has_sids else ()), f"train.{name}"):
            self._directory.check(stage, settings)
        return name
