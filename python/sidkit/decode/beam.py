"""Beam search over Semantic IDs under a trie: every result is an item of the catalogue.

The model's work and the search's are kept apart: a generator gives log-probabilities of the next digit for
every beam, `Trie.beam_step` keeps the best continuations that exist. Histories are encoded once; what a beam
needs of its history is looked at, never copied.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sidkit._core import Trie
from sidkit.data import Sequences
from sidkit.errors import ConfigError

__all__ = ["SidGenerator", "beam_search"]

State = TypeVar("State")


class SidGenerator(Protocol[State]):
    """A model that writes Semantic IDs digit by digit: `TIGER` and `RQTransformer` do.

    Attributes:
        sizes: how many digits each level has.
        reads: whether it is given the digits of a history, or its items.
        max_items: how many items of a history it reads.
        user_buckets: size of its table of user tokens, 0 for none.
    """

    sizes: tuple[int, ...]
    reads: str
    max_items: int
    user_buckets: int

    def start(self, history: Tensor, users: Tensor | None = None) -> State:
        """Read histories of equal length, digits int64 (B, n, L) or items int64 (B, n)."""
        ...

    def next_log_probs(self, state: State, parents: Tensor | None, digits: Tensor | None) -> Tensor:
        """Log-probabilities f32 (rows, K_level), once row i is former row `parents[i]` plus `digits[i]`."""
        ...


@torch.inference_mode()
def beam_search(
    model: SidGenerator[State],
    trie: Trie,
    digits: NDArray[np.uint16],
    histories: Sequences,
    *,
    beam: int = 50,
    k: int | None = None,
    users: NDArray[np.int32] | None = None,
    exclude: Sequences | None = None,
    renormalize: bool = False,
    batch_size: int = 64,
    on_progress: Callable[[int], None] = lambda done: None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The most probable next items after each history.

    Args:
        model: a generator in evaluation mode.
        trie: the Semantic IDs that exist, with their items.
        digits: the digits of all items, (items, L), to spell the histories.
        histories: m rows of item indices, oldest first.
        beam: how many partial Semantic IDs are kept at each level.
        k: how many items to return; `beam` if not given.
        users: user indices int32 (m,), needed if the model has user tokens.
        exclude: m rows of items that must not be returned; the beam is still full where enough others exist.
        renormalize: share the probability of digits that lead nowhere among those that exist.
        batch_size: histories at a time, of equal length.
        on_progress: called with the number of histories done.

    Returns:
        items int32 (m, k) padded with -1, and their natural-log probabilities f32 (m, k) padded with -inf;
        best first. Ties go to the Semantic ID that was ahead a level earlier, then to the lower digit.

    Raises:
        ConfigError: if the trie's digits are not the model's, or the model wants users and got none.
    """
    if tuple(trie.layout.sizes) != model.sizes:
        raise ConfigError(
            f"the model writes digits of sizes {model.sizes}, but the trie holds {tuple(trie.layout.sizes)}; "
            "they must come from the same table of Semantic IDs"
        )
    if beam < 1:
        raise ConfigError(f"`beam` must be 1 or more, not {beam}")
    if model.user_buckets and users is None:
        raise ConfigError("this model was trained with user tokens: pass `users`, one index a history")
    k = beam if k is None else k
    spelled = torch.from_numpy(digits.astype(np.int64))  # (items, L)
    recent = histories.tail(model.max_items)
    items = np.empty((len(histories), k), np.int32)
    scores = np.empty((len(histories), k), np.float32)
    done = 0
    for rows in _batches_of_one_length(recent.lengths, batch_size):
        known = torch.from_numpy(recent.take(rows).values.astype(np.int64))
        history = known.view(len(rows), int(recent.lengths[rows[0]]))  # (B, n)
        if model.reads == "digits":
            history = spelled[history]  # (B, n, L)
        buckets = None
        if model.user_buckets and users is not None:
            buckets = torch.from_numpy(users[rows].astype(np.int64) % model.user_buckets)
        excluded = exclude.take(rows) if exclude is not None else None
        items[rows], scores[rows] = _search(
            model, trie, model.start(history, buckets), len(rows), beam, k, excluded, renormalize
        )
        done += len(rows)
        on_progress(done)
    return items, scores


def _search(
    model: SidGenerator[State],
    trie: Trie,
    state: State,
    groups: int,
    beam: int,
    k: int,
    exclude: Sequences | None,
    renormalize: bool,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Write all levels for one batch."""
    nodes = trie.start(groups)
    scores = np.zeros(groups, np.float32)
    parents = written = None
    width = 1  # beams a group
    for _ in model.sizes:
        log_probs = model.next_log_probs(state, parents, written)
        scores, origin, chosen, nodes = trie.beam_step(
            log_probs.numpy(),
            nodes,
            scores,
            rows_per_group=width,
            beam=beam,
            exclude=exclude,
            renormalize=renormalize,
        )
        parents, written = torch.from_numpy(origin), torch.from_numpy(chosen)
        width = beam
    return trie.top_items(nodes, scores, rows_per_group=width, k=k, exclude=exclude)


def _batches_of_one_length(lengths: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    """Row numbers, grouped by length and cut into batches."""
    order = np.argsort(lengths, kind="stable")
    cuts = np.flatnonzero(np.diff(lengths[order])) + 1
    return [
        rows[start : start + batch_size]
        for rows in np.split(order, cuts)
        for start in range(0, len(rows), batch_size)
    ]
