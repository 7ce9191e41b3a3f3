"""Batches of histories of equal length, on which the searches run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sidkit._core import ItemSet, Trie
from sidkit.data import Sequences
from sidkit.decode.generative import GenerativeNetwork, State, device_of
from sidkit.decode.incremental import IncrementalDecoder
from sidkit.decode.options import SearchOptions, Tokens, check_arguments, check_rows, check_tokens
from sidkit.decode.ranking import Ranked
from sidkit.errors import ConfigError

__all__ = ["Search", "SearchBatch", "search_batches"]

_BATCH_SIZE = 128


@dataclass(frozen=True)
class SearchBatch:
    """Histories that are searched together.

    Attributes:
        decoder: the network after these histories.
        rows: number of each history, int64 (B,).
        exclude: B rows of items that must not be returned.
        within: items that may be returned: a set for all, or one per history.
    """

    decoder: IncrementalDecoder
    rows: NDArray[np.int64]
    exclude: Sequences | None
    within: ItemSet | Sequence[ItemSet] | None

    def __len__(self) -> int:
        return len(self.rows)


#: Function from a batch to its items and scores.
Search = Callable[[SearchBatch], Ranked]


@torch.inference_mode()
def search_batches(
    network: GenerativeNetwork[State],
    trie: Trie,
    tokens: Tokens,
    histories: Sequences,
    search: Search,
    k: int,
    options: SearchOptions,
) -> Ranked:
    """Run a search on batches of histories of equal length.

    Returns:
        Results of the search, items int32 (m, k) and scores f32 (m, k), in the order of the histories.

    Raises:
        ConfigError: if trie and network have other tokens, the network needs users and has none, or `k` or
            `batch_size` is below 1.
        DataError: if a history holds an item that the network cannot encode, or an option has not one row per
            history.
    """
    if tuple(trie.layout.sizes) != network.sizes:
        raise ConfigError(
            f"the network generates tokens of sizes {network.sizes}, but the trie holds "
            f"{tuple(trie.layout.sizes)}. Use the Semantic IDs that the network was trained on."
        )
    check_tokens(network.sizes, tokens)
    if network.user_buckets and options.users is None:
        raise ConfigError("this model was trained with user tokens: pass `users`, one index per history")
    # A network with a vector per item knows the items of its training, even if the catalogue has grown.
    encodes_tokens = network.inputs == "tokens"
    known = len(tokens) if encodes_tokens else min(len(tokens), getattr(network, "items", len(tokens)))
    batch_size = _BATCH_SIZE if options.batch_size is None else options.batch_size
    check_arguments(histories, known, k=k, batch_size=batch_size)
    sets = None if isinstance(options.allow, ItemSet) else options.allow
    check_rows(len(histories), exclude=options.exclude, users=options.users, allow=sets)
    recent = histories.tail(network.max_items)
    items = np.empty((len(histories), k), np.int32)
    scores = np.empty((len(histories), k), np.float32)
    done, device = 0, device_of(network)
    for rows in _batches_of_one_length(recent.lengths, batch_size):
        values = recent.take(rows).values.reshape(len(rows), int(recent.lengths[rows[0]]))  # (B, n)
        # Tokens are gathered per batch: as int64, those of all items would take four times the memory.
        history = torch.from_numpy((tokens[values] if encodes_tokens else values).astype(np.int64))
        buckets = None
        if network.user_buckets and options.users is not None:
            buckets = torch.from_numpy(options.users[rows].astype(np.int64) % network.user_buckets)
        state = network.start(history.to(device), None if buckets is None else buckets.to(device))
        batch = SearchBatch(
            IncrementalDecoder(network, state),
            rows,
            None if options.exclude is None else options.exclude.take(rows),
            options.allow if sets is None else [sets[row] for row in rows.tolist()],
        )
        items[rows], scores[rows] = search(batch)
        done += len(rows)
        options.on_progress(done)
    return items, scores


def _batches_of_one_length(lengths: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    """Row numbers, grouped by length and cut into batches."""
    order = np.argsort(lengths, kind="stable")
    cuts = np.flatnonzero(np.diff(lengths[order])) + 1
    return [
        rows[start : start + batch_size]
        for rows in np.split(order, cuts)
        for start in range(0, len(rows), batch_size)
    ]
