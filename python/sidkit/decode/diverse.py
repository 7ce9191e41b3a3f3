"""Diverse beam search: groups of beams that keep away from each other's tokens.

Vijayakumar et al., *Diverse Beam Search: Decoding Diverse Solutions from Neural Sequence Models*, 2016 (arXiv
1610.02424), with Hamming diversity.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sidkit._core import Trie
from sidkit.data import Sequences
from sidkit.decode.generative import GenerativeModel, State, temperatures
from sidkit.decode.ranking import Ranked
from sidkit.decode.searching import search_batches
from sidkit.decode.writing import Writing
from sidkit.errors import ConfigError

__all__ = ["diverse_beam_search"]


def diverse_beam_search(
    model: GenerativeModel[State],
    trie: Trie,
    tokens: NDArray[np.uint16],
    histories: Sequences,
    *,
    beam: int = 50,
    groups: int = 5,
    penalty: float | Sequence[float] = 1.0,
    k: int | None = None,
    users: NDArray[np.int32] | None = None,
    exclude: Sequences | None = None,
    temperature: float | Sequence[float] = 1.0,
    batch_size: int = 64,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Ranked:
    """The next items after each history, found by groups of beams that avoid each other.

    At every level the groups take their steps one after the other, each an exact step of beam search under
    the trie with `beam / groups` prefixes. From a group's scores, a token loses `penalty` for every prefix
    of an earlier group that has just taken it, and this stays in the scores of what follows. The results of
    all groups are merged: an item that several found comes once, with its log-probability without penalties.

    The first group is a plain beam search of its width; with a penalty of 0 all groups are, and find the
    same.

    Args:
        model: a generator in evaluation mode.
        trie: the Semantic IDs that exist, with their items.
        tokens: the tokens of all items, (items, L), to spell the histories.
        histories: m rows of item indices, oldest first.
        beam: how many prefixes are kept at each level, by all groups together.
        groups: how many groups they fall into; divides `beam`.
        penalty: in nats, 0 or more, one for all levels or one each. The first token is the broadest: a
            penalty there alone, such as (2, 0, 0, 0), spreads the list over parts of the catalogue.
        k: how many items to return; `beam` if not given.
        users: user indices int32 (m,), needed if the model has user tokens.
        exclude: m rows of items that must not be returned.
        temperature: as for `beam_search`.
        batch_size: histories at a time, of equal length.
        on_progress: called with the number of histories done.

    Returns:
        items int32 (m, k) padded with -1, and their natural-log probabilities f32 (m, k) padded with -inf;
        best first, ties by the group that found them.

    Raises:
        ConfigError: as `beam_search`, and if the groups do not divide the beam or a penalty is not finite.
        DataError: as `beam_search`.
    """
    if beam < 1 or groups < 1 or beam % groups:
        raise ConfigError(f"`beam` is {beam} and `groups` {groups}; groups of 1 or more must divide the beam")
    levels = len(model.sizes)
    penalties = [penalty] * levels if isinstance(penalty, (int, float, np.number)) else list(penalty)
    if len(penalties) != levels or not all(0 <= value < float("inf") for value in penalties):
        raise ConfigError(
            f"`penalty` is {penalty}; it is a number of 0 or more, or one for each of {levels} levels"
        )
    cooling = temperatures(temperature, levels)
    k = beam if k is None else k

    def search(writing: Writing, rows: NDArray[np.int64], excluded: Sequences | None) -> Ranked:
        group = _Groups(trie, len(rows), groups, beam // groups, excluded)
        for fine, temperature in zip(penalties, cooling, strict=True):
            writing.extend(*group.step(writing.log_probs(temperature), fine))
        return group.merged(k)

    return search_batches(model, trie, tokens, histories, search, k, users, exclude, batch_size, on_progress)


class _Groups:
    """The beams of a batch: for the model, the rows of a history follow each other, group by group."""

    def __init__(
        self, trie: Trie, histories: int, groups: int, width: int, exclude: Sequences | None
    ) -> None:
        self.trie = trie
        self.histories = histories
        self.width = width
        self.exclude = exclude
        self.nodes = [trie.start(histories) for _ in range(groups)]
        # What a group searches by, with penalties, and what its prefixes are worth, without; both (histories
        # · rows,).
        self.searched = [np.zeros(histories, np.float32) for _ in range(groups)]
        self.worth = [np.zeros(histories, np.float32) for _ in range(groups)]

    def step(
        self, log_probs: NDArray[np.float32], penalty: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """One token more for all groups: the model's former row and the token of each of its rows."""
        groups, size = len(self.nodes), log_probs.shape[1]
        first = len(log_probs) == self.histories  # all groups still share one row a history
        places = np.arange(len(log_probs)).reshape(self.histories, 1 if first else groups, -1)
        taken = np.zeros((self.histories, size), np.float32)
        origins = np.empty((self.histories, groups, self.width), np.int64)
        codes = np.empty_like(origins)
        for group, nodes in enumerate(self.nodes):
            own = places[:, 0 if first else group].ravel()  # the model's rows of this group
            before = len(own) // self.histories
            plain = log_probs[own]
            scores, parents, chosen, self.nodes[group] = self.trie.beam_step(
                plain - np.float32(penalty) * taken.repeat(before, axis=0),
                nodes,
                self.searched[group],
                rows_per_group=before,
                beam=self.width,
                exclude=self.exclude,
            )
            live = np.isfinite(scores)
            worth = self.worth[group][parents] + plain[parents, chosen]
            self.worth[group] = np.where(live, worth, np.float32(-np.inf))
            self.searched[group] = scores
            history = np.arange(self.histories).repeat(self.width)
            np.add.at(taken, (history[live], chosen[live]), 1)
            origins[:, group] = own[parents].reshape(self.histories, -1)
            codes[:, group] = chosen.reshape(self.histories, -1)
        return origins.ravel(), codes.ravel()

    def merged(self, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The best items of all groups, each once."""
        found = [
            self.trie.top_items(nodes, worth, rows_per_group=self.width, k=k, exclude=self.exclude)
            for nodes, worth in zip(self.nodes, self.worth, strict=True)
        ]
        items = np.concatenate([items for items, _ in found], axis=1)
        scores = np.concatenate([scores for _, scores in found], axis=1)
        best = np.full((self.histories, k), -1, np.int32)
        best_scores = np.full((self.histories, k), -np.inf, np.float32)
        for row in range(self.histories):
            live = np.flatnonzero(items[row] >= 0)
            firsts = live[np.sort(np.unique(items[row, live], return_index=True)[1])]
            order = firsts[np.argsort(-scores[row, firsts], kind="stable")][:k]
            best[row, : len(order)], best_scores[row, : len(order)] = items[row, order], scores[row, order]
        return best, best_scores
