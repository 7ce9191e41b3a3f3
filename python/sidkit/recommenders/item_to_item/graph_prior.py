"""Fusion of a model's probabilities with the transition graph."""

import json
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from sidkit._arguments import TopK
from sidkit._files import write_text
from sidkit.data import Sequences
from sidkit.decode.ranking import Ranked, top_k
from sidkit.errors import FormatError
from sidkit.evaluate import Predictions, user_metrics
from sidkit.recommenders.filters import Query
from sidkit.recommenders.item_to_item.transition_graph import TransitionGraph
from sidkit.recommenders.new_items import NewItems
from sidkit.recommenders.training_data import TrainingData

__all__ = ["GraphPrior"]

_WEIGHTS = (0.0, 0.2, 0.35, 0.5)  # of which validation chooses one
_FLOOR = 1e-3  # added to the shares of the graph, which are zero for most items
_HISTORIES = 256  # scored at once
_WEIGHT = 0.35  # without validation
_K = 10
_FILE = "fusion.json"

LogProbs = Callable[[Sequences], npt.NDArray[np.float32]]
Self = TypeVar("Self", bound="GraphPrior")


class GraphPrior:
    """A transition graph whose scores are mixed with the log-probabilities of a model.

    The score of an item is `(1 - w) log p + w log(g + 0.001)`, where p is the model's probability, g the
    item's share of the graph's scores for the history, and w the weight that is best on validation: a
    log-linear mixture. A graph memorizes transitions that a model smooths, and has none for most pairs of
    items, so the two complement each other.

    Attributes:
        graph: a fitted transition graph.
        weight: weight of the graph, from 0 to 1.
    """

    def __init__(self, graph: TransitionGraph, weight: float) -> None:
        self.graph = graph
        self.weight = weight

    @classmethod
    def fit(cls: type[Self], data: TrainingData, model: LogProbs, exclude_seen: bool) -> Self:
        """Fit the graph, and choose the weight by NDCG@10 on validation; 0.35 without validation.

        Args:
            data: training data.
            model: natural-log probabilities of all items after histories, f32 (m, items).
            exclude_seen: exclude the items of each history when the weight is chosen.
        """
        prior = cls(TransitionGraph().fit_rows(replace(data, sids=None)), _WEIGHT)
        validation = data.validation
        if validation is None:
            return prior
        examples = validation.take(np.flatnonzero(validation.histories.lengths > 0))
        found = dict.fromkeys(_WEIGHTS, 0.0)  # NDCG@10, summed over users
        for rows in _blocks(len(examples), _HISTORIES):
            part = examples.take(rows)
            log_probs, seen = model(part.histories), part.histories if exclude_seen else None
            for weight in _WEIGHTS:
                prior.weight = weight
                ranked = top_k(prior.mix(log_probs, part.histories), _K, seen)
                lists = Predictions("fused", part.users, *ranked, part.targets, exclude_seen=exclude_seen)
                found[weight] += float(user_metrics(lists, data.items, (_K,))[f"ndcg@{_K}"].sum())
        prior.weight = max(_WEIGHTS, key=found.__getitem__)
        return prior

    def with_items(self: Self, new: NewItems) -> Self:
        """Return a prior for a catalogue with new items, which have edges of content similarity, if any."""
        graph = copy(self.graph)
        graph.add_items(new.item_ids, new.vectors if graph.compares_content else None)
        return type(self)(graph, self.weight)

    def mix(self, log_probs: npt.NDArray[np.float32], histories: Sequences) -> npt.NDArray[np.float32]:
        """Mix natural-log probabilities of all items, f32 (m, items), with the graph after the histories."""
        if not self.weight:
            return log_probs
        scores = self.graph._scores(histories)
        shares = scores / np.maximum(scores.sum(1, keepdims=True), 1e-12) + np.float32(_FLOOR)
        weight = np.float32(self.weight)
        mixed: npt.NDArray[np.float32] = (1 - weight) * log_probs + weight * np.log(shares)
        return mixed

    def rank(self, model: LogProbs, histories: Sequences, k: TopK, query: Query) -> Ranked:
        """Return the items with the highest mixed scores after histories, none of which is empty.

        Args:
            model: see `fit`.
            histories: m rows of item rows.
            k: items per history.
            query: filters and batch size.

        Returns:
            Item rows int32 (m, k) padded with -1, and scores f32 (m, k) padded with -inf.
        """
        parts = []
        for rows in _blocks(len(histories), query.batch_size or _HISTORIES):
            part, some = query.take(rows), histories.take(rows)
            parts.append(top_k(self.mix(model(some), some), k, part.exclude, part.allow))
            query.on_progress(int(rows[-1]) + 1)
        items, scores = zip(*parts, strict=True)
        return np.concatenate(items), np.concatenate(scores)

    def save(self, path: Path) -> None:
        """Write the graph and its weight to a directory."""
        self.graph.save(path)
        write_text(path / _FILE, json.dumps({"weight": self.weight}) + "\n")

    @classmethod
    def load(cls: type[Self], path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            FormatError: if a file is missing, damaged, or of another recommender.
        """
        try:
            weight = float(json.loads((path / _FILE).read_text(encoding="utf-8"))["weight"])
            if not 0 <= weight <= 1:
                raise ValueError(f"expected a weight from 0 to 1, got {weight}")
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise FormatError(f"`{path / _FILE}` holds no weight of a graph ({error!r})") from error
        return cls(TransitionGraph.load(path), weight)


def _blocks(rows: int, size: int) -> Iterator[npt.NDArray[np.int64]]:
    for start in range(0, rows, size):
        yield np.arange(start, min(start + size, rows))
