"""Beam search over Semantic IDs under a trie: every result is an item of the catalogue.

The network and the search are separate: a generative network gives log-probabilities of the next token for
every beam, and `Trie.beam_step` keeps the best continuations that exist. Histories are encoded once and are
shared by their beams.
"""

from typing import Any

import numpy as np

from sidkit._arguments import Count, checked
from sidkit._core import Trie
from sidkit.data import Sequences
from sidkit.decode.generative import GenerativeNetwork, State
from sidkit.decode.options import SearchOptions, Tokens
from sidkit.decode.ranking import Ranked
from sidkit.decode.searching import SearchBatch, search_batches
from sidkit.errors import ConfigError

__all__ = ["beam_search"]


@checked
def beam_search(
    network: GenerativeNetwork[State],
    trie: Trie,
    tokens: Tokens,
    histories: Sequences,
    *,
    beam: int = 50,
    k: Count | None = None,
    renormalize: bool = False,
    options: SearchOptions | None = None,
) -> Ranked:
    """Return the most probable next items after each history.

    Args:
        network: a generative network in evaluation mode.
        trie: the Semantic IDs that exist, with their items.
        tokens: tokens of all items, (items, L), from which histories are encoded.
        histories: m rows of item rows, oldest first.
        beam: partial Semantic IDs kept at each level.
        k: items to return; `beam` if None.
        renormalize: distribute the probability of tokens that lead nowhere over those that exist.
        options: users, filters, temperature and batch size.

    Returns:
        items int32 (m, k) padded with -1, and their natural-log probabilities f32 (m, k) padded with -inf,
        best first. Ties go to the Semantic ID that was ahead a level earlier, then to the lower token.

    Raises:
        ConfigError: if trie and network have other tokens, the network needs users and has none, or an option
            is out of range.
        DataError: if a history holds an item that the network cannot encode, or an option has not one row per
            history.
    """
    options = options or SearchOptions()
    if beam < 1:
        raise ConfigError(f"`beam` must be 1 or more, got {beam}")
    count = beam if k is None else k
    temperatures = options.temperatures(len(network.sizes))

    def search(batch: SearchBatch) -> Ranked:
        filters: dict[str, Any] = {"exclude": batch.exclude, "allow": batch.within}
        nodes = trie.start(len(batch))
        scores = np.zeros(len(batch), np.float32)
        width = 1  # beams per history
        for temperature in temperatures:
            scores, parents, chosen, nodes = trie.beam_step(
                batch.decoder.log_probs(temperature),
                nodes,
                scores,
                rows_per_group=width,
                beam=beam,
                renormalize=renormalize,
                **filters,
            )
            batch.decoder.extend(parents, chosen)
            width = beam
        return trie.top_items(nodes, scores, rows_per_group=width, k=count, **filters)

    return search_batches(network, trie, tokens, histories, search, count, options)
