"""Sampling of Semantic IDs without replacement: stochastic beam search.

Kool, van Hoof and Welling, *Stochastic Beams and Where to Find Them: The Gumbel-Top-k Trick for Sampling
Sequences Without Replacement*, ICML 2019 (arXiv 1903.06059).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sidkit._arguments import Count, Seed, checked
from sidkit._core import Trie
from sidkit.data import Sequences
from sidkit.decode.generative import GenerativeNetwork, State
from sidkit.decode.options import SearchOptions, Tokens
from sidkit.decode.ranking import Ranked
from sidkit.decode.searching import SearchBatch, search_batches
from sidkit.errors import ConfigError

__all__ = ["sample_items"]

Float64 = NDArray[np.float64]


@checked
def sample_items(
    network: GenerativeNetwork[State],
    trie: Trie,
    tokens: Tokens,
    histories: Sequences,
    *,
    k: Count,
    seed: Seed,
    options: SearchOptions | None = None,
) -> Ranked:
    """Sample different Semantic IDs after each history, without replacement, and return their items.

    The distribution is that of the network under the trie: at each level, the probabilities of the tokens
    that lead to an allowed item, normalized to a sum of 1. The result is distributed as if one Semantic ID
    after the other was drawn and removed; it takes one beam search of width k over scores perturbed by Gumbel
    noise. The sampling is exact.

    Args:
        network: a generative network in evaluation mode.
        trie: the Semantic IDs that exist, with their items.
        tokens: tokens of all items, (items, L), from which histories are encoded.
        histories: m rows of item rows, oldest first.
        k: Semantic IDs to draw.
        seed: 0 or more. The sample of a history depends on the seed, its row and its scores, not on the
            batch.
        options: users, filters, temperature and batch size; a temperature above 1 draws more evenly.

    Returns:
        items int32 (m, k) in the order drawn, padded with -1, and the natural-log probabilities of their
        Semantic IDs in that distribution, f32 (m, k) padded with -inf. The items of one Semantic ID follow
        each other.

    Raises:
        ConfigError: as `beam_search`, and for a `k` below 1 or a negative seed.
        DataError: as `beam_search`.
    """
    options = options or SearchOptions()
    if k < 1 or seed < 0:
        raise ConfigError(f"`k` must be 1 or more and `seed` 0 or more, got {k} and {seed}")
    temperatures = options.temperatures(len(network.sizes))

    def search(batch: SearchBatch) -> Ranked:
        filters: dict[str, Any] = {"exclude": batch.exclude, "allow": batch.within}
        randoms = [np.random.default_rng([seed, row]) for row in batch.rows.tolist()]
        nodes = trie.start(len(batch))
        log_p = np.zeros(len(batch))  # log-probability of each prefix
        perturbed = np.zeros(len(batch))  # the greatest perturbed log-probability under it
        width = 1
        for temperature in temperatures:
            log_probs = batch.decoder.log_probs(temperature).astype(np.float64)
            allowed = trie.allowed(nodes, rows_per_group=width, **filters)
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
                **filters,
            )
            log_p = np.where(nodes.dead, -np.inf, children[origin, chosen])
            perturbed = np.where(nodes.dead, -np.inf, scores[origin, chosen])
            batch.decoder.extend(origin, chosen)
            width = k
        # Ranks as scores: they tell which Semantic ID each item belongs to.
        ranks = np.where(nodes.dead, -np.inf, -(np.arange(len(log_p)) % k)).astype(np.float32)
        items, found = trie.top_items(nodes, ranks, rows_per_group=k, k=k, **filters)
        places = np.where(items >= 0, -found, 0).astype(np.int64)
        chances = np.take_along_axis(log_p.reshape(-1, k), places, axis=1)
        return items, np.where(items >= 0, chances, -np.inf).astype(np.float32)

    return search_batches(network, trie, tokens, histories, search, k, options)


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
