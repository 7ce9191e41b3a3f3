"""Diverse beam search: groups of beams that avoid each other's tokens.

Vijayakumar et al., *Diverse Beam Search: Decoding Diverse Solutions from Neural Sequence Models*, 2016 (arXiv
1610.02424), with Hamming diversity.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from sidkit._arguments import Bounds, Count, checked
from sidkit._core import Trie
from sidkit.data import Sequences
from sidkit.decode.generative import GenerativeNetwork, State
from sidkit.decode.options import SearchOptions, Tokens
from sidkit.decode.ranking import Ranked
from sidkit.decode.searching import SearchBatch, search_batches
from sidkit.errors import ConfigError

__all__ = ["Diversity", "diverse_beam_search"]


@checked
@dataclass(frozen=True)
class Diversity:
    """Groups of beams and the penalty that keeps them apart.

    Attributes:
        groups: number of groups; must divide the beam.
        penalty: in nats, 0 or more, one for all levels or one each. The first token is the broadest: a
            penalty there alone, such as (2, 0, 0, 0), spreads the list over regions of the catalogue.
    """

    groups: int = 5
    penalty: float | Sequence[float] = 1.0

    def penalties(self, levels: Annotated[int, Bounds(ge=1, le=128)]) -> list[float]:
        """Return one penalty per level.

        Raises:
            ConfigError: if there is not one for each level, or one is negative or not finite.
        """
        given = self.penalty
        each = [given] * levels if isinstance(given, (int, float, np.number)) else list(given)
        if len(each) != levels or not all(0 <= value < float("inf") for value in each):
            raise ConfigError(
                f"`penalty` is invalid: expected a number of 0 or more, or one for each of {levels} levels, "
                f"got {given}"
            )
        return [float(value) for value in each]


@checked
def diverse_beam_search(
    network: GenerativeNetwork[State],
    trie: Trie,
    tokens: Tokens,
    histories: Sequences,
    *,
    beam: int = 50,
    k: Count | None = None,
    diversity: Diversity | None = None,
    options: SearchOptions | None = None,
) -> Ranked:
    """Return the next items after each history, found by groups of beams that avoid each other.

    At every level the groups take their steps one after the other, each an exact step of beam search under
    the trie with `beam / groups` prefixes. In a group's scores, a token loses `penalty` for every prefix of
    an earlier group that has taken it at this level, and the loss stays in the scores of later levels. The
    results of all groups are merged: an item found by several groups is listed once, with its log-probability
    without penalties.

    The first group is a plain beam search of its width. With a penalty of 0, all groups find the same.

    Args:
        network: a generative network in evaluation mode.
        trie: the Semantic IDs that exist, with their items.
        tokens: tokens of all items, (items, L), from which histories are encoded.
        histories: m rows of item rows, oldest first.
        beam: prefixes kept at each level by all groups together.
        k: items to return; `beam` if None.
        diversity: groups and penalty.
        options: users, filters, temperature and batch size.

    Returns:
        items int32 (m, k) padded with -1, and their natural-log probabilities f32 (m, k) padded with -inf,
        best first, ties by the group that found them.

    Raises:
        ConfigError: as `beam_search`, and if the groups do not divide the beam or a penalty is invalid.
        DataError: as `beam_search`.
    """
    options, diversity = options or SearchOptions(), diversity or Diversity()
    groups = diversity.groups
    if beam < 1 or groups < 1 or beam % groups:
        raise ConfigError(
            f"`groups` must be 1 or more and divide `beam`, got `groups` = {groups} and `beam` = {beam}"
        )
    levels = len(network.sizes)
    penalties, temperatures = diversity.penalties(levels), options.temperatures(levels)
    count = beam if k is None else k

    def search(batch: SearchBatch) -> Ranked:
        group = _Groups(trie, batch, groups, beam // groups)
        for penalty, temperature in zip(penalties, temperatures, strict=True):
            batch.decoder.extend(*group.step(batch.decoder.log_probs(temperature), penalty))
        return group.merged(count)

    return search_batches(network, trie, tokens, histories, search, count, options)


class _Groups:
    """Beams of a batch: in the network, the rows of a history follow each other, group by group."""

    def __init__(self, trie: Trie, batch: SearchBatch, groups: int, width: int) -> None:
        self.trie = trie
        self.histories = histories = len(batch)
        self.width = width
        self.filters: dict[str, Any] = {"exclude": batch.exclude, "allow": batch.within}
        self.nodes = [trie.start(histories) for _ in range(groups)]
        # Scores with penalties, by which a group searches, and without; both (histories · rows,).
        self.searched = [np.zeros(histories, np.float32) for _ in range(groups)]
        self.worth = [np.zeros(histories, np.float32) for _ in range(groups)]

    def step(
        self, log_probs: NDArray[np.float32], penalty: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Extend all groups by a token; return the former row and the token of each row of the network."""
        groups, size = len(self.nodes), log_probs.shape[1]
        first = len(log_probs) == self.histories  # all groups still share one row a history
        places = np.arange(len(log_probs)).reshape(self.histories, 1 if first else groups, -1)
        taken = np.zeros((self.histories, size), np.float32)
        origins = np.empty((self.histories, groups, self.width), np.int64)
        codes = np.empty_like(origins)
        for group, nodes in enumerate(self.nodes):
            own = places[:, 0 if first else group].ravel()  # the rows of this group in the network
            before = len(own) // self.histories
            plain = log_probs[own]
            scores, parents, chosen, self.nodes[group] = self.trie.beam_step(
                plain - np.float32(penalty) * taken.repeat(before, axis=0),
                nodes,
                self.searched[group],
                rows_per_group=before,
                beam=self.width,
                **self.filters,
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

    def merged(self, k: Count) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the best items of all groups, each once."""
        found = [
            self.trie.top_items(nodes, worth, rows_per_group=self.width, k=k, **self.filters)
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
