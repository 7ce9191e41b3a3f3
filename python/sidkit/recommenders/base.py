"""The contract of all recommenders: settings, fit, recommend, similar items, evaluate, save and load."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from sidkit._arguments import TopK, check_argument, checked
from sidkit._core import Trie
from sidkit._params import Parameters
from sidkit._settings import check_arguments
from sidkit._stored import Stored, arrays_of, restore_arrays, write_stored
from sidkit.data import EvaluationSet, Sequences
from sidkit.decode.options import ignore_progress
from sidkit.decode.ranking import Ranked, concatenated, most_similar, top_k
from sidkit.errors import ConfigError, FormatError
from sidkit.evaluate import Evaluation, ListFacts, Predictions, Protocol, cold_slices
from sidkit.ids import SidTable
from sidkit.recommenders import storage
from sidkit.recommenders.filters import Query, make_filters, restricted
from sidkit.recommenders.histories import id_rows
from sidkit.recommenders.new_items import ChangingCatalogue
from sidkit.recommenders.training_data import TrainingData, same_catalogue, training_data
from sidkit.rerank import ItemFeatures, Pipeline
from sidkit.rerank.base import Requirement, merged

__all__ = ["Query", "Recommender", "TrainingData"]


Self = TypeVar("Self", bound="Recommender")


class Recommender(ChangingCatalogue, Parameters, ABC):
    """Base class of all recommenders.

    A recommender is a dataclass of settings. A subclass sets `method`, and implements `_fit` and
    `_rank_rows`. NumPy arrays whose attribute names end in `_` are saved and loaded with it; `_stored` says
    which, of what types and shapes, so that no other ones are loaded.

    Attributes:
        method: name of the recommender in configurations and files.
        generative: whether it generates Semantic IDs.
        not_in_identity: settings that do not change what is learned.
        item_ids_: id of every item of the catalogue, a polars Series.
        removed_: items that were removed, bool (items,).
        item_counts_: training events of every item, int64 (items,).
        sids_: Semantic ID of every item, for recommenders that use them; None otherwise.
    """

    method: ClassVar[str]
    generative: ClassVar[bool] = False
    not_in_identity: ClassVar[frozenset[str]] = frozenset()
    _stored: ClassVar[dict[str, Stored] | None] = None

    @property
    def uses_sids(self) -> bool:
        """True if `fit` needs Semantic IDs."""
        return self.generative

    @property
    def uses_item_vectors(self) -> bool:
        """True if `fit` uses item vectors."""
        return False

    @property
    def scorings(self) -> tuple[str, ...]:
        """Rankings that the recommender offers; the first is the default."""
        return ("score",)

    @property
    def trie_(self) -> Trie:
        """Trie of the Semantic IDs."""
        self._check_fitted()
        if self.sids_ is None:
            raise ConfigError(f"`{self.method}` uses no Semantic IDs and has no trie")
        return self.sids_.trie

    def check_settings(self) -> None:
        """Check settings that contradict each other; called by `fit`.

        Raises:
            ConfigError: if they do.
        """

    @checked
    def fit(
        self: Self,
        histories: Any,
        *,
        sids: SidTable | None = None,
        item_vectors: npt.ArrayLike | None = None,
        validation: EvaluationSet | None = None,
        callbacks: Iterable[Any] = (),
    ) -> Self:
        """Learn from interaction histories.

        Args:
            histories: training histories, one per user, oldest first: `Histories` such as `split.train`,
                lists of item ids in any form that `recommend` takes, or `sidkit.data.ParquetHistories`.
            sids: Semantic ID of every item, for generative recommenders. They define the catalogue.
            item_vectors: content vector of every item, (items, d), in the order of the catalogue.
            validation: evaluation examples by which the weights are chosen, such as `split.validation`;
                without them, the last weights are kept.
            callbacks: called after every training step with a `sidkit.train.TrainProgress`; a
                `sidkit.train.Checkpoint` makes the training resumable.

        Returns:
            The fitted recommender itself.

        Raises:
            ConfigError: if a setting is out of range, settings contradict each other, or something that the
                recommender needs is missing.
            DataError: if histories, Semantic IDs and vectors do not fit together.
        """
        check_arguments(self)
        self.check_settings()
        return self.fit_rows(training_data(self, histories, sids, item_vectors, validation, callbacks))

    @checked
    def fit_rows(self: Self, data: TrainingData) -> Self:
        """Learn from data whose items are rows of one catalogue; see `fit`."""
        self._forget()
        self._fit(data)
        self.item_ids_ = data.item_ids
        self.item_counts_ = data.item_counts
        self.removed_ = np.zeros(data.items, bool)
        self.sids_ = data.sids
        return self

    @checked
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
        """Recommend the next items after one history or a batch of histories.

        Filters are part of the search, so lists stay full as long as enough other items exist. Unknown items
        of a history are skipped with a warning. A history without a known item is answered by popularity.

        Args:
            histories: item ids, oldest first. One history as a flat list; a batch as a list of lists, 2-d
                NumPy array, polars or Arrow column of lists, `Histories` or `EvaluationSet`.
            k: items per history.
            exclude_seen: exclude the items of each history.
            exclude: ids or a `sidkit.ItemSet` to exclude, for all histories or one per history. Unknown ids
                are skipped with a warning.
            allow: the same, of items that may be recommended, and nothing else. `data.catalogue().where`
                makes sets from conditions on the items.
            scoring: one of `scorings`; None for the first.
            rerank: a re-ranker of `sidkit.rerank` or a list of them, which choose the k items.
            candidates: items that re-rankers choose from; at least `k` are.

        Returns:
            ids: item ids (m, k), best first: int64, padded with -1, or an object array of strings, padded
                with None, where fewer items exist. One flat history gives (k,).
            scores: float32 of the same shape, padded with -inf. Natural-log probabilities of a generative
                recommender, inner products of SASRec and GRU4Rec, counts of `Popularity`; for a history
                without a known item, natural-log shares of the training events. With `rerank`, its values.

        Raises:
            NotFittedError: before `fit`.
            ConfigError: if `k` is not in 1..1048576, there is no such scoring, or a re-ranker lacks
                something.
            DataError: if histories or filters have the wrong form.
        """
        self._check_fitted()
        index = self._index
        parsed = index.parse(histories)
        filters = make_filters(index, parsed, exclude_seen=exclude_seen, exclude=exclude, allow=allow)
        rows, scores = self._rank(
            parsed.rows,
            k,
            users=parsed.users,
            exclude=filters.exclude,
            allow=filters.allow,
            scoring=scoring,
            rerank=rerank,
            candidates=candidates,
        )
        ids = index.ids(rows)
        return (ids[0], scores[0]) if parsed.single else (ids, scores)

    @checked
    def similar_items(self, ids: Any, k: TopK = 10) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
        """Return the items whose learned vectors have the highest cosine similarity.

        Args:
            ids: one item id, or a list of ids.
            k: items to return for each.

        Returns:
            ids: (n, k), most similar first; (k,) for one id. An item is not similar to itself.
            scores: cosine similarities, float32 of the same shape; padding as in `recommend`.

        Raises:
            NotFittedError: before `fit`.
            ConfigError: if the recommender has no item vectors, or `k` is not in 1..1048576.
            DataError: if an id is unknown.
        """
        self._check_fitted()
        vectors = self._item_vectors()
        if vectors is None:
            raise ConfigError(
                f"`{self.method}` has no item vectors and cannot compare items: expected a recommender such "
                "as SASRec, GRU4Rec or RQTransformer"
            )
        single = isinstance(ids, str | int | np.integer)
        rows = id_rows(self._index, [ids] if single else ids, "item")
        items, scores = most_similar(vectors, rows, k, self._available(None))
        found = self._index.ids(items)
        return (found[0], scores[0]) if single else (found, scores)

    @checked
    def evaluate(
        self,
        examples: EvaluationSet,
        *,
        ks: Iterable[int] = (5, 10, 20),
        exclude_seen: bool | None = None,
        scoring: str | None = None,
        beam: TopK = 50,
        rerank: Any = (),
        lists: ListFacts | None = None,
        on_progress: Callable[[int], None] = ignore_progress,
    ) -> Evaluation:
        """Evaluate the recommendations for examples with known next items.

        Args:
            examples: evaluation examples, such as `split.test`.
            ks: cut-offs of the metrics.
            exclude_seen: exclude the items of each history; None for both settings, of which the first, with
                seen items excluded, is what `recommend` serves.
            scoring: one of `scorings`; None for the first.
            beam: prefixes kept at every level of a beam search.
            rerank: re-rankers, as in `recommend`, of 200 candidates; the name of the model shows them.
            lists: facts for metrics of lists beyond accuracy; counts and histories are added.
            on_progress: called with the number of examples done.

        Returns:
            Recall, NDCG and MRR with 95 % bootstrap intervals, and the protocol; it prints as a table. Users
            whose targets have training events, or none, are the slices `warm` and `cold`.

        Raises:
            NotFittedError: before `fit`.
            ConfigError: if a cut-off is below 1 or there is no such scoring.
            DataError: if the examples are of another catalogue.
        """
        self._check_fitted()
        cutoffs = tuple(ks)
        if not cutoffs:
            raise ConfigError("`ks` is empty: expected at least one cut-off, such as 10")
        scoring = self._checked_scoring(scoring)
        examples = same_catalogue(examples, self.item_ids_)
        settings = (True, False) if exclude_seen is None else (exclude_seen,)
        steps = Pipeline.of(rerank).steps
        beam = max(beam, Query.candidates) if steps else beam
        name = "+".join([self.method, *(step.method for step in steps)])
        predictions = []
        for place, seen in enumerate(settings):
            before = place * len(examples)
            ranked = self._rank(
                examples.histories,
                max(cutoffs),
                users=examples.users,
                exclude=examples.histories if seen else None,
                scoring=scoring,
                beam=beam,
                rerank=steps,
                on_progress=lambda done, before=before: on_progress(before + done),
            )
            predictions.append(Predictions(name, examples.users, *ranked, examples.targets, seen))
        if lists is not None:
            lists = replace(lists, counts=self.item_counts_, histories=examples.histories)
        protocol = Protocol.of(
            examples,
            exclude_seen=settings,
            collisions=self.sids_.collisions if self.sids_ is not None else None,
            candidates=int((~self.removed_).sum()),
            beam=beam if scoring == "sid" else None,
            seeds=(int(getattr(self, "seed", 0)),),
        )
        slices, counts = cold_slices(self.item_counts_[examples.targets]), self.item_counts_
        return Evaluation.of(predictions, protocol, ks=cutoffs, slices=slices, popularity=counts, lists=lists)

    @checked
    def save(self, path: str | Path) -> None:
        """Write the fitted recommender to a directory; every file is written whole or not at all.

        A recommender that was saved there before is replaced, with all of its files.

        Raises:
            NotFittedError: before `fit`.
            NotADirectoryError: if there is a file at `path`.
        """
        self._check_fitted()
        with storage.saved(path, self.method, self.get_params(deep=False), self.sids_ is not None) as files:
            storage.write_items(files, self.item_ids_, self.item_counts_, self.removed_)
            if self.sids_ is not None:
                self.sids_.save(files / storage.SIDS)
            self._save_state(files)

    @classmethod
    @checked
    def load(cls: type[Self], path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            FormatError: if a file is missing, damaged, or of another recommender.
        """
        path = Path(path)
        method = getattr(cls, "method", None)
        if method is None:
            raise ConfigError(
                f"`{cls.__name__}` is no method: expected a recommender such as SASRec. "
                "Use `sidkit.load_model`, which reads any recommender."
            )
        description = storage.read_description(path, method)
        storage.check_files(path, description)
        recommender = storage.build(cls, description, path)
        recommender.item_ids_, recommender.item_counts_, recommender.removed_ = storage.read_items(path)
        recommender.sids_ = storage.read_sids(path) if description["sids"] else None
        if recommender.sids_ is not None and not recommender.sids_.item_ids.equals(recommender.item_ids_):
            raise FormatError(
                f"the files in `{path}` do not belong together: expected a Semantic ID for each of "
                f"{len(recommender.item_ids_)} items, in their order, got others. Save the recommender again."
            )
        recommender._load_state(path)
        return recommender

    @abstractmethod
    def _fit(self, data: TrainingData) -> None:
        """Learn from the data; attributes of what is learned end in `_`."""

    @abstractmethod
    def _rank_rows(self, histories: Sequences, k: TopK, query: Query) -> Ranked:
        """Rank items after histories, none of which is empty."""

    def _rank(self, histories: Sequences, k: TopK, **options: Any) -> Ranked:
        """Rank items after histories, all of them as rows of the catalogue.

        Histories without an item are answered by popularity.

        Args:
            histories: m rows of item rows, oldest first.
            k: items per history.
            **options: fields of `Query`.

        Returns:
            Item rows int32 (m, k) padded with -1, and scores float32 (m, k) padded with -inf.
        """
        self._check_fitted()
        k = check_argument("k", k, TopK)
        query = Query(**options)
        query = replace(
            query, scoring=self._checked_scoring(query.scoring), allow=self._available(query.allow)
        )
        reranker = Pipeline.of(query.rerank)
        if not reranker.steps:
            return self._rank_candidates(histories, k, query)
        found = self._rank_candidates(histories, max(k, query.candidates), query)
        features = ItemFeatures(item_ids=self.item_ids_, counts=self.item_counts_, learned=self._item_vectors)
        for rows, count in reranker.required(k, features):
            found = self._with_candidates(found, histories, query, (rows, count))
        return reranker.rerank(*found, k, features)

    def _with_candidates(
        self, found: Ranked, histories: Sequences, query: Query, requirement: Requirement
    ) -> Ranked:
        """Search for candidates of a group in lists that have too few of them."""
        rows, count = requirement
        mask = np.zeros(len(self.item_ids_), bool)
        mask[rows] = True
        short = np.flatnonzero((mask[found[0]] & (found[0] >= 0)).sum(axis=1) < count)
        if not len(short):
            return found
        some = query.take(short)
        some = replace(some, allow=restricted(some.allow, mask), on_progress=ignore_progress)
        return merged(found, short, self._rank_candidates(histories.take(short), count, some))

    def _rank_candidates(self, histories: Sequences, k: TopK, query: Query) -> Ranked:
        """Rank items after histories before any re-ranking."""
        empty = histories.lengths == 0
        if not empty.any():
            return self._rank_rows(histories, k, query) if len(histories) else concatenated([], k)
        items, scores = concatenated([], k, rows=len(histories))
        for mask, rank in ((~empty, self._rank_rows), (empty, self._rank_by_popularity)):
            rows = np.flatnonzero(mask)
            if len(rows):
                items[rows], scores[rows] = rank(histories.take(rows), k, query.take(rows))
        return items, scores

    def _rank_by_popularity(self, histories: Sequences, k: TopK, query: Query) -> Ranked:
        counts = self.item_counts_ + 0.5
        shares = np.log(counts / counts.sum()).astype(np.float32)
        every = np.broadcast_to(shares, (len(histories), len(shares)))
        return top_k(every, k, query.exclude, query.allow)

    def _item_vectors(self) -> npt.NDArray[np.float32] | None:
        """Return the learned vector of every item, float32 (items, d), or None."""
        return None

    def _save_state(self, path: Path) -> None:
        """Write what was learned; by default the arrays of `_stored`."""
        write_stored(path / storage.WEIGHTS, arrays_of(self, self._stored))

    def _load_state(self, path: Path) -> None:
        """Read what `_save_state` wrote."""
        restore_arrays(self, path / storage.WEIGHTS, self._stored, items=len(self.item_ids_))

    def _checked_scoring(self, scoring: str | None) -> str:
        if scoring is not None and scoring not in self.scorings:
            raise ConfigError(
                f"`{self.method}` has no scoring `{scoring}`: expected one of {', '.join(self.scorings)}"
            )
        return self.scorings[0] if scoring is None else scoring

    def _forget(self) -> None:
        """Remove what was learned before."""
        self._forget_cached()
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
