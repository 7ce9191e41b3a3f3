"""One way to ask any trained model of a run for its best items."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sidkit import Trie
from sidkit.data import Sequences
from sidkit.decode import GenerativeModel, beam_search, rank_by_rqtransformer, rank_by_scores, top_k
from sidkit.decode.ranking import Ranked
from sidkit.errors import ConfigError
from sidkit.ids import SidTable
from sidkit.models import GRU4RecNetwork, RQTransformerNetwork, SASRecNetwork, load_model
from sidkit.recommenders.popularity import Popularity

__all__ = ["Ranker", "load_ranker", "load_rankers"]


class Ranker(Protocol):
    """Gives the k best items after each history."""

    def __call__(
        self,
        histories: Sequences,
        users: npt.NDArray[np.int32] | None,
        k: int,
        exclude: Sequences | None,
        on_progress: Callable[[int], None],
        /,
    ) -> Ranked:
        """Rank.

        Args:
            histories: m rows of item indices, oldest first.
            users: user indices int32 (m,), for models with user tokens.
            k: items wanted for each.
            exclude: m rows of items that must not be returned.
            on_progress: called with the number of histories done.

        Returns:
            items int32 (m, k) padded with -1, scores f32 (m, k) padded with -inf; best first.
        """


def load_ranker(
    name: str,
    folder: str | Path,
    *,
    table: SidTable | None = None,
    trie: Trie | None = None,
    beam: int = 50,
    batch_size: int = 64,
) -> Ranker:
    """Load a trained model and say how it ranks.

    Args:
        name: a model of `run.config.ModelName`; `rqtransformer-dense` and
            `rqtransformer-fused` rank by its dense head, or by that and its tokens.
        folder: where it was saved.
        table: the Semantic IDs of the items, for a generator.
        trie: their trie, for a generator.
        beam: for a generator, prefixes kept at every level; never fewer than the items asked for.
        batch_size: histories at once.

    Raises:
        FormatError: if the model's files are missing, damaged or of another model.
        ConfigError: if it is a generator, and `table` or `trie` is missing, or it does not rank that way.
    """
    rankers = load_rankers(name.partition("-")[0], folder, table, trie, beam=beam, batch_size=batch_size)
    if name not in rankers:
        raise ConfigError(f"the model in `{folder}` ranks as {', '.join(rankers)}, not as `{name}`")
    return rankers[name]


def load_rankers(
    name: str,
    folder: str | Path,
    table: SidTable | None = None,
    trie: Trie | None = None,
    *,
    beam: int = 50,
    batch_size: int = 64,
) -> dict[str, Ranker]:
    """Load a trained model with every way in which it ranks, by name; otherwise as `load_ranker`."""
    if name == "popularity":
        return {name: _by_popularity(Popularity.load(folder))}
    model = load_model(folder)
    if isinstance(model, SASRecNetwork | GRU4RecNetwork):
        return {name: _by_scores(partial(rank_by_scores, model, batch_size=batch_size))}
    if table is None or trie is None:
        raise ConfigError(f"the model in `{folder}` writes Semantic IDs: pass their `table` and `trie`")
    rankers = {name: _by_beam(model, table, trie, beam, batch_size)}
    if isinstance(model, RQTransformerNetwork) and model.dense:
        by_scores = partial(rank_by_rqtransformer, model, batch_size=batch_size)
        rankers[f"{name}-dense"] = _by_scores(partial(by_scores, by="dense"))
        rankers[f"{name}-fused"] = _by_scores(partial(by_scores, by="fused"))
    return rankers


def _by_popularity(model: Popularity) -> Ranker:
    def rank(
        histories: Sequences,
        users: npt.NDArray[np.int32] | None,
        k: int,
        exclude: Sequences | None,
        on_progress: Callable[[int], None],
        /,
    ) -> Ranked:
        ranked = top_k(model.scores(len(histories)), k, exclude)
        on_progress(len(histories))
        return ranked

    return rank


def _by_scores(rank_all: Callable[..., Ranked]) -> Ranker:
    """Rank by a model that scores all items; `rank_all` is one of `rank_by_*` with its model."""
    return lambda histories, users, k, exclude, on_progress, /: rank_all(
        histories, k, exclude=exclude, on_progress=on_progress
    )


def _by_beam(model: GenerativeModel[Any], table: SidTable, trie: Trie, beam: int, batch_size: int) -> Ranker:
    return lambda histories, users, k, exclude, on_progress, /: beam_search(
        model,
        trie,
        table.tokens,
        histories,
        beam=max(beam, k),
        k=k,
        users=users,
        exclude=exclude,
        batch_size=batch_size,
        on_progress=on_progress,
    )
