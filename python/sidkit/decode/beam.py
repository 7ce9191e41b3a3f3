"""Beam search over Semantic IDs under a trie: every result is an item of the catalogue.

The model's work and the search's are kept apart: a generator gives log-probabilities of the next token for
every beam, `Trie.beam_step` keeps the best continuations that exist. Histories are encoded once; what a beam
needs of its history is looked at, never copied.
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

__all__ = ["beam_search"]


def beam_search(
    model: GenerativeModel[State],
    trie: Trie,
    tokens: NDArray[np.uint16],
    histories: Sequences,
    *,
    beam: int = 50,
    k: int | None = None,
    users: NDArray[np.int32] | None = None,
    exclude: Sequences | None = None,
    renormalize: bool = False,
    temperature: float | Sequence[float] = 1.0,
    batch_size: int = 64,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Ranked:
    """The most probable next items after each history.

    Args:
        model: a generator in evaluation mode.
        trie: the Semantic IDs that exist, with their items.
        tokens: the tokens of all items, (items, L), to spell the histories.
        histories: m rows of item indices, oldest first.
        beam: how many partial Semantic IDs are kept at each level.
        k: how many items to return; `beam` if not given.
        users: user indices int32 (m,), needed if the model has user tokens.
        exclude: m rows of items that must not be returned; the beam is still full where enough others exist.
        renormalize: share the probability of tokens that lead nowhere among those that exist.
        temperature: one for all levels or one each: probabilities of tokens are raised to the power of
            1 / temperature and normalized. Below 1 a level decides more by its best tokens, above 1 less.
        batch_size: histories at a time, of equal length.
        on_progress: called with the number of histories done.

    Returns:
        items int32 (m, k) padded with -1, and their natural-log probabilities f32 (m, k) padded with -inf;
        best first. Ties go to the Semantic ID that was ahead a level earlier, then to the lower token.

    Raises:
        ConfigError: if the trie's tokens are not the model's, the model wants users and got none, or a
            setting is out of range.
        DataError: if a history names an item that the model cannot read, or `exclude` or `users` are not one
            row a history.
    """
    if beam < 1:
        raise ConfigError(f"`beam` must be 1 or more, not {beam}")
    k = beam if k is None else k
    cooling = temperatures(temperature, len(model.sizes))

    def search(writing: Writing, rows: NDArray[np.int64], excluded: Sequences | None) -> Ranked:
        nodes = trie.start(len(rows))
        scores = np.zeros(len(rows), np.float32)
        width = 1  # beams a history
        for temperature in cooling:
            scores, parents, chosen, nodes = trie.beam_step(
                writing.log_probs(temperature),
                nodes,
                scores,
                rows_per_group=width,
                beam=beam,
                exclude=excluded,
                renormalize=renormalize,
            )
            writing.extend(parents, chosen)
            width = beam
        return trie.top_items(nodes, scores, rows_per_group=width, k=k, exclude=excluded)

    return search_batches(model, trie, tokens, histories, search, k, users, exclude, batch_size, on_progress)
