"""Recommenders with a torch network: training, ranking, and their files."""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sidkit._arguments import TopK
from sidkit._core import ItemSet
from sidkit.data import EvaluationSet, ParquetHistories
from sidkit.data.sequences import Sequences
from sidkit.decode.beam import beam_search
from sidkit.decode.dense import rank_by_scores
from sidkit.decode.losses import level_losses
from sidkit.decode.options import RankOptions, SearchOptions
from sidkit.decode.ranking import Ranked
from sidkit.errors import ConfigError, DataError, FormatError
from sidkit.evaluate import Predictions, user_metrics
from sidkit.ids import SidTable
from sidkit.models.weights import load_network, save_network
from sidkit.recommenders import storage
from sidkit.recommenders.alignment import Alignable
from sidkit.recommenders.base import Recommender
from sidkit.recommenders.filters import Query, item_sets
from sidkit.recommenders.inference import save_inference_file
from sidkit.recommenders.new_items import NewItems
from sidkit.recommenders.training_data import TrainingData
from sidkit.train import Checkpoint
from sidkit.train.batches import FragmentBatches, SequenceBatches
from sidkit.train.batches.batch import Batch, Batches
from sidkit.train.history import History
from sidkit.train.loop import Training, fit
from sidkit.train.options import SoftmaxOptions, TrainingOptions
from sidkit.train.sampled import SampledSoftmax
from sidkit.train.throughput import step_flops

__all__ = [
    "VALIDATION_K",
    "GenerativeRecommender",
    "NeuralRecommender",
    "Plan",
    "ScoringRecommender",
    "check_heads",
    "padded_tokens",
    "rank_options",
]

VALIDATION_K = 10  # items ranked on validation
_VALIDATION_BEAM = 10  # enough to choose weights; test examples are decoded with a wider beam

_HISTORY = "history.json"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Parts of one training.

    Attributes:
        network: with its initial weights.
        batches: the examples.
        loss: mean loss of a batch, a scalar.
        rank: the best items after each history of a validation set; its last argument are items to exclude,
            one row per history, or None.
        select: post-training selection, given a function that measures NDCG@10 on validation; or None.
        flops: floating-point operations of a step.
    """

    network: Any
    batches: Batches
    loss: Callable[[Any, Batch], Tensor]
    rank: Callable[[Any, EvaluationSet, Sequences | None], Ranked]
    select: Callable[[Any, Callable[[], float]], None] | None = None
    flops: Callable[[Any, Batch], int] = step_flops


class NeuralRecommender(TrainingOptions, Recommender):
    """A recommender whose network is trained by `sidkit.train`.

    Attributes:
        network_: the trained torch module, in evaluation mode on the CPU.
        history_: course of the training, a `sidkit.train.History`.
    """

    network_class: ClassVar[type[nn.Module]]
    not_in_identity: ClassVar[frozenset[str]] = TrainingOptions.not_in_identity

    network_: Any
    history_: History

    @abstractmethod
    def _plan(self, data: TrainingData) -> Plan:
        """Make the parts of a training; random numbers come from torch's default generator."""

    def _fit(self, data: TrainingData) -> None:
        self.train_settings(1)  # refuse values out of range before anything is made
        _check_callbacks(data.callbacks)
        torch.manual_seed(self.seed)
        plan = self._plan(data)
        evaluate = select = None
        if data.validation is not None:
            examples = self._validation_sample(data.validation)

            def evaluate(network: Any) -> Mapping[str, float]:
                seen = examples.histories if self.validate_exclude_seen else None
                ranked = plan.rank(network, examples, seen)
                predictions = Predictions(
                    self.method, examples.users, *ranked, examples.targets, exclude_seen=seen is not None
                )
                metrics = user_metrics(predictions, data.items, (VALIDATION_K,))
                return {name: float(values.mean()) for name, values in metrics.items()}

            if plan.select is not None:
                choose = plan.select

                def select(network: Any) -> None:
                    choose(network, lambda: evaluate(network)[f"ndcg@{VALIDATION_K}"])

        training = Training(
            method=self.method,
            network=plan.network,
            batches=plan.batches,
            loss=plan.loss,
            settings=self.train_settings(plan.batches.steps),
            evaluate=evaluate,
            select=select,
            flops=plan.flops,
            identity=self._identity(data, plan.network),
        )
        self.history_ = fit(training, data.callbacks)
        self.network_ = plan.network

    def _validation_sample(self, validation: EvaluationSet) -> EvaluationSet:
        """Draw the validation users that choose the weights, among those with a history."""
        rows = np.flatnonzero(validation.histories.lengths > 0)
        if not len(rows):
            raise DataError("no validation example has a history: expected at least one. Pass None instead.")
        if 0 < self.validate_users < len(rows):
            rows = np.sort(np.random.default_rng(self.seed).choice(rows, self.validate_users, replace=False))
        return validation.take(rows)

    def _identity(self, data: TrainingData, network: Any) -> dict[str, Any]:
        """Return what decides, besides the loop's settings, what is trained."""
        digest = hashlib.sha256()
        arrays: list[npt.NDArray[Any]] = []
        if isinstance(data.histories, ParquetHistories):
            digest.update(data.histories.checksum.encode())
        else:
            arrays += [data.histories.values, data.histories.offsets]
        if data.sids is not None:
            arrays.append(data.sids.tokens)
        if data.item_vectors is not None:
            arrays.append(data.item_vectors)
        if data.validation is not None:
            arrays += [data.validation.histories.values, data.validation.targets]
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        options = {name: value for name, value in self.get_params(deep=False).items() if value is not None}
        for name in self.not_in_identity:
            options.pop(name, None)
        return {**options, **network.settings, "data": digest.hexdigest()}

    def _tie_times(self, data: TrainingData) -> npt.NDArray[Any] | None:
        """Return the times of the training events if those with tied timestamps are to be shuffled."""
        if self.shuffle_ties and data.times is None:
            raise ConfigError(
                "`shuffle_ties` needs the times of the training events: expected `Histories` with `times`, "
                "such "
                "as `split.train`"
            )
        return data.times if self.shuffle_ties else None

    def _sequence_batches(
        self, data: TrainingData, *, from_nothing: bool = False, tokens: int = 1
    ) -> Batches:
        times = self._tie_times(data)
        options: dict[str, Any] = {
            "batch_size": self.batch_size,
            "max_items": self.max_items,  # type: ignore[attr-defined]
            "padding": data.items,
            "seed": self.seed,
            "from_nothing": from_nothing,
            "tokens": tokens,
        }
        if isinstance(data.histories, ParquetHistories):
            return FragmentBatches(data.histories, **options)
        return SequenceBatches(data.histories, **options, times=times)

    def _save_state(self, path: Path) -> None:
        save_network(self.network_, path / storage.WEIGHTS)
        self.history_.save(path / _HISTORY)
        save_inference_file(self, path)

    def _load_state(self, path: Path) -> None:
        self.network_ = load_network(self.network_class, path / storage.WEIGHTS)
        items, sizes = len(self.item_ids_), None if self.sids_ is None else tuple(self.sids_.sizes)
        found = getattr(self.network_, "items", items), getattr(self.network_, "sizes", sizes)
        if found != (items, sizes):
            raise FormatError(
                f"the files in `{path}` do not belong together: expected a network for {items} items and "
                f"tokens {sizes}, got one for {found[0]} items and tokens {found[1]}. Save the recommender "
                "again."
            )
        if (path / _HISTORY).exists():  # recommendations do not need it
            self.history_ = History.load(path / _HISTORY)


class ScoringRecommender(SoftmaxOptions, NeuralRecommender):
    """A recommender whose network scores every item by one vector, such as SASRec."""

    @property
    def item_vectors_(self) -> npt.NDArray[np.float32]:
        """Learned vector of every item, float32 (items, d_model)."""
        self._check_fitted()
        weights = self.network_.item.weight[: len(self.item_ids_)]
        vectors: npt.NDArray[np.float32] = weights.detach().float().numpy().copy()
        return vectors

    def _item_vectors(self) -> npt.NDArray[np.float32] | None:
        return self.item_vectors_

    @abstractmethod
    def _network(self, items: int) -> Any:
        """Make the network for a catalogue."""

    def _plan(self, data: TrainingData) -> Plan:
        softmax = None
        if self.loss == "sampled":
            by_count = self.negatives_by == "popularity"
            counts = data.item_counts if by_count else None
            softmax = SampledSoftmax(data.items, self.negatives, counts)
        elif self.loss != "full":
            raise ConfigError(f"`loss` must be `full` or `sampled`, got {self.loss!r}")
        scored = data.items if softmax is None else min(data.items, softmax.negatives) + 1

        def loss(network: Any, batch: Batch) -> Tensor:
            if softmax is None:
                full: Tensor = network(batch.history, batch.target)
                return full
            real = batch.target < network.items
            hidden = network.positions(batch.history, batch.target)
            return softmax(hidden, batch.target[real], network.item.weight)

        return Plan(
            network=self._network(data.items),
            batches=self._sequence_batches(data),
            loss=loss,
            rank=lambda network, examples, exclude: rank_by_scores(
                network, examples.histories, VALIDATION_K, options=RankOptions(exclude=exclude)
            ),
            flops=lambda network, batch: step_flops(network, batch, scored),
        )

    def _rank_rows(self, histories: Sequences, k: TopK, query: Query) -> Ranked:
        return rank_by_scores(self.network_, histories, k, options=rank_options(query))


class GenerativeRecommender(Alignable, NeuralRecommender):
    """A recommender that generates the Semantic ID of the next item by beam search under the trie."""

    generative: ClassVar[bool] = True

    @property
    def scorings(self) -> tuple[str, ...]:
        """Rankings that the recommender offers; the first is the default."""
        return ("sid",)

    def level_losses(self, examples: EvaluationSet) -> list[float]:
        """Measure the loss of each token of the next item, given the tokens before it.

        Args:
            examples: histories of at least one item, and their targets.

        Returns:
            Natural-log losses, one per level: the mean over the examples. Their sum is the loss of an item.
        """
        self._check_fitted()
        assert self.sids_ is not None
        return level_losses(self.network_, self.sids_.tokens, examples)

    def _save_state(self, path: Path) -> None:
        super()._save_state(path)
        self._save_alignment(path)

    def _load_state(self, path: Path) -> None:
        super()._load_state(path)
        self._load_alignment(path)

    def _add(self, new: NewItems) -> None:
        if self.network_.inputs != "tokens":
            super()._add(new)

    def _rank_rows(self, histories: Sequences, k: TopK, query: Query) -> Ranked:
        trie = self.trie_
        assert self.sids_ is not None
        options = SearchOptions(
            users=query.users,
            exclude=query.exclude,
            allow=self._sets(query.allow),
            batch_size=query.batch_size,
            on_progress=query.on_progress,
        )
        beam = max(query.beam, k)
        return beam_search(self.network_, trie, self.sids_.tokens, histories, beam=beam, k=k, options=options)

    def _sets(self, allow: Sequences | None) -> ItemSet | list[ItemSet] | None:
        """Return a filter as item sets of the trie."""
        if allow is not None and allow is vars(self).get("_present"):
            return self._present_set
        return item_sets(self.trie_, allow)

    @cached_property
    def _present_set(self) -> ItemSet:
        """Items that were not removed."""
        return self.trie_.item_set(self._present.values.astype(np.int64))

    @staticmethod
    def _rank_on_validation(sids: SidTable) -> Callable[[Any, EvaluationSet, Sequences | None], Ranked]:
        def rank(network: Any, examples: EvaluationSet, exclude: Sequences | None) -> Ranked:
            options = SearchOptions(users=examples.users, exclude=exclude)
            return beam_search(
                network,
                sids.trie,
                sids.tokens,
                examples.histories,
                beam=_VALIDATION_BEAM,
                k=VALIDATION_K,
                options=options,
            )

        return rank

    def _regularization(self) -> dict[str, Any]:
        """Return the regularization of the tokens, as arguments of the network."""
        return {"label_smoothing": self.label_smoothing, "token_masking": self.token_masking}  # type: ignore[attr-defined]


def _check_callbacks(callbacks: tuple[Any, ...]) -> None:
    """Refuse before the training what would fail after its first step."""
    for callback in callbacks:
        if isinstance(callback, Checkpoint):
            if callback.path.exists() and not callback.path.is_dir():
                raise ConfigError(
                    "the checkpoint cannot be written: expected a directory, got the file "
                    f"`{callback.path}`. Choose another path."
                )
        elif not callable(callback):
            raise ConfigError(
                "a callback cannot be called: expected a function of a `TrainProgress` or a `Checkpoint`, "
                f"got {callback!r}. Correct `callbacks`."
            )


def check_heads(d_model: int, heads: int) -> None:
    """Check that attention heads divide the width.

    Raises:
        ConfigError: if they do not.
    """
    if heads < 1 or d_model % heads:
        raise ConfigError(f"`d_model` must be a multiple of `heads`, got {d_model} with {heads} heads")


def padded_tokens(sids: SidTable) -> Tensor:
    """Return the tokens of all items, int64 (items + 1, L); the last row, for padding, is zero."""
    tokens = torch.zeros(len(sids) + 1, sids.tokens.shape[1], dtype=torch.int64)
    tokens[:-1] = torch.from_numpy(sids.tokens.astype(np.int64))
    return tokens


def rank_options(query: Query) -> RankOptions:
    """Return the options of a ranking of the whole catalogue."""
    return RankOptions(
        exclude=query.exclude,
        allow=query.allow,
        batch_size=query.batch_size,
        on_progress=query.on_progress,
    )
