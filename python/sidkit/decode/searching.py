"""How histories are handed to a search: in batches of equal length."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from sidkit._core import Trie
from sidkit.data import Sequences
from sidkit.decode.arguments import check_arguments
from sidkit.decode.generative import GenerativeModel, State, device_of
from sidkit.decode.ranking import Ranked
from sidkit.decode.writing import Writing
from sidkit.errors import ConfigError

__all__ = ["Search", "search_batches"]

#: From what is to be written, the numbers of its histories, and the items that each must not get.
Search = Callable[[Writing, NDArray[np.int64], Sequences | None], Ranked]


@torch.inference_mode()
def search_batches(
    model: GenerativeModel[State],
    trie: Trie,
    tokens: NDArray[np.uint16],
    histories: Sequences,
    search: Search,
    k: int,
    users: NDArray[np.int32] | None,
    exclude: Sequences | None,
    batch_size: int,
    on_progress: Callable[[int], None],
) -> Ranked:
    """Run a search on batches of histories of equal length; the arguments are those of `beam_search`.

    Returns:
        What the search gives, items int32 (m, k) and scores f32 (m, k), in the order of the histories.

    Raises:
        ConfigError: if the trie's tokens are not the model's, the model wants users and got none, or `k` or
            `batch_size` is below 1.
        DataError: if a history names an item that the model cannot read, or `exclude` or `users` are not one
            row a history.
    """
    if tuple(trie.layout.sizes) != model.sizes:
        raise ConfigError(
            f"the model writes tokens of sizes {model.sizes}, but the trie holds {tuple(trie.layout.sizes)}; "
            "they must come from the same table of Semantic IDs"
        )
    if model.user_buckets and users is None:
        raise ConfigError("this model was trained with user tokens: pass `users`, one index a history")
    # A model that reads items knows those it was made for, whatever has come to the catalogue since.
    known = len(tokens) if model.reads == "tokens" else min(len(tokens), getattr(model, "items", len(tokens)))
    check_arguments(histories, known, k=k, batch_size=batch_size, exclude=exclude, users=users)
    spelled = torch.from_numpy(tokens.astype(np.int64))  # (items, L)
    recent = histories.tail(model.max_items)
    items = np.empty((len(histories), k), np.int32)
    scores = np.empty((len(histories), k), np.float32)
    done, device = 0, device_of(model)
    for rows in _batches_of_one_length(recent.lengths, batch_size):
        known = torch.from_numpy(recent.take(rows).values.astype(np.int64))
        history = known.view(len(rows), int(recent.lengths[rows[0]]))  # (B, n)
        if model.reads == "tokens":
            history = spelled[history]  # (B, n, L)
        buckets = None
        if model.user_buckets and users is not None:
            buckets = torch.from_numpy(users[rows].astype(np.int64) % model.user_buckets)
        excluded = exclude.take(rows) if exclude is not None else None
        state = model.start(history.to(device), None if buckets is None else buckets.to(device))
        items[rows], scores[rows] = search(Writing(model, state), rows, excluded)
        done += len(rows)
        on_progress(done)
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
