"""Sampling without replacement from everything a model can write: stochastic beam search.

Kool, van Hoof and Welling, *Stochastic Beams and Where to Find Them: The Gumbel-Top-k Trick for Sampling
Sequences Without Replacement*, ICML 2019 (arXiv 1903.06059).
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

__all__ = ["sample_items"]

Float64 = NDArray[np.float64]


def sample_items(
    model: GenerativeModel[State],
    trie: Trie,
    tokens: NDArray[np.uint16],
    histories: Sequences,
    *,
    k: int,
    seed: int,
    users: NDArray[np.int32] | None = None,
    exclude: Sequences | None = None,
    temperature: float | Sequence[float] = 1.0,
    batch_size: int = 64,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Ranked:
    """Draw different Semantic IDs after each history, without replacement, and give their items.

    The distribution is that of the model under the trie: at each level, the probabilities of the tokens that
    lead to an item the history may get, made to add up to 1. Drawing k times from it and crossing out what
    was drawn would give the same, at the cost of a decoding a draw; this is one beam search of width k, by
    scores that Gumbel noise perturbs. It is exact: nothing is cut off that could still be drawn.

    Args:
        model: a generator in evaluation mode.
        trie: the Semantic IDs that exist, with their items.
        tokens: the tokens of all items, (items, L), to spell the histories.
        histories: m rows of item indices, oldest first.
        k: how many to draw.
        seed: 0 or more. What a history draws depends on the seed, its row and its scores, not on the batch.
        users: user indices int32 (m,), needed if the model has user tokens.
        exclude: m rows of items that must not be returned.
        temperature: one for all levels or one each; above 1 draws more evenly.
        batch_size: histories at a time, of equal length.
        on_progress: called with the number of histories done.

    Returns:
        items int32 (m, k) in the order drawn, padded with -1, and the natural-log probabilities of their
        Semantic IDs in that distribution, f32 (m, k) padded with -inf. The items of one Semantic ID follow
        each other.

    Raises:
        ConfigError: as `beam_search`, and for a `k` below 1 or a negative seed.
        DataError: as `beam_search`.
    """
    if k < 1 or seed < 0:
        raise ConfigError(f"`k` is {k} and `seed` {seed}; they must be 1 or more, and 0 or more")
    cooling = temperatures(temperature, len(model.sizes))

    def search(writing: Writing, rows: NDArray[np.int64], excluded: Sequences | None) -> Ranked:
        randoms = [np.random.default_rng([seed, row]) for row in rows.tolist()]
        nodes = trie.start(len(rows))
        log_p = np.zeros(len(rows))  # of each prefix
        perturbed = np.zeros(len(rows))  # the greatest perturbed log-probability under it
        width = 1
        for temperature in cooling:
            log_probs = writing.log_probs(temperature).astype(np.float64)
            allowed = trie.allowed(nodes, exclude=excluded, rows_per_group=width)
            children = log_p[:, None] + _normalized(log_probs, allowed)
            noise = np.concatenate([random.gumbel(size=(width, children.shape[1])) for random in randoms])
            scores = _conditional(children + noise, perturbed)
            # The prefixes have no score of their own: all of it is in the children's.
            _, origin, chosen, nodes = trie.beam_step(
                scores.astype(np.float32),
                nodes,
                np.zeros(len(scores), np.float32),
                rows_per_group=width,
                beam=k,
                exclude=excluded,
            )
            log_p = np.where(nodes.dead, -np.inf, children[origin, chosen])
            perturbed = np.where(nodes.dead, -np.inf, scores[origin, chosen])
            writing.extend(origin, chosen)
            width = k
        # Ranks for scores: they say of each item which Semantic ID it came from.
        ranks = np.where(nodes.dead, -np.inf, -(np.arange(len(log_p)) % k)).astype(np.float32)
        items, found = trie.top_items(nodes, ranks, rows_per_group=k, k=k, exclude=excluded)
        places = np.where(items >= 0, -found, 0).astype(np.int64)
        chances = np.take_along_axis(log_p.reshape(-1, k), places, axis=1)
        return items, np.where(items >= 0, chances, -np.inf).astype(np.float32)

    return search_batches(model, trie, tokens, histories, search, k, users, exclude, batch_size, on_progress)


def _normalized(log_probs: Float64, allowed: NDArray[np.bool_]) -> Float64:
    """Log-probabilities among the allowed codes of each row; -inf for the others."""
    masked = np.where(allowed, log_probs, -np.inf)
    top = masked.max(axis=1, keepdims=True, initial=-np.inf)
    top[np.isneginf(top)] = 0.0
    with np.errstate(divide="ignore"):
        total = np.log(np.exp(masked - top).sum(axis=1, keepdims=True))
    total[np.isneginf(total)] = 0.0
    normalized: Float64 = masked - top - total
    return normalized


def _conditional(gumbels: Float64, greatest: Float64) -> Float64:
    """Gumbels of each row's children, given that the greatest is what the row's own is (appendix B.3)."""
    top = gumbels.max(axis=1, keepdims=True)
    live = np.isfinite(top) & np.isfinite(greatest)[:, None]
    top, bound = np.where(live, top, 0.0), np.where(live, greatest[:, None], 0.0)
    gaps = np.where(live, gumbels, -np.inf) - top  # 0 for the greatest
    with np.errstate(divide="ignore"):
        v = bound - (gaps + top) + np.log(-np.expm1(gaps))
    v = np.where(gaps == 0, -np.inf, v)
    finite = np.isfinite(gaps)
    v = np.where(finite, v, 0.0)
    return np.where(finite, bound - np.maximum(v, 0.0) - np.log1p(np.exp(-np.abs(v))), -np.inf)
