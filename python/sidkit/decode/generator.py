"""What a search asks of a model that writes Semantic IDs, and how histories are handed to it."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sidkit._core import Trie
from sidkit.data import Sequences
from sidkit.decode.arguments import check_arguments
from sidkit.errors import ConfigError

__all__ = ["Search", "SidGenerator", "State", "cooled", "device_of", "search_batches", "temperatures"]

State = TypeVar("State")

# From a model's state, the numbers of its histories and what they must not get to (items, scores), a row
# each.
Search = Callable[[State, NDArray[np.int64], Sequences | None], tuple[NDArray[np.int32], NDArray[np.float32]]]


class SidGenerator(Protocol[State]):
    """A model that writes Semantic IDs digit by digit: `TIGER`, `RQTransformer` and `DecoderOnly` do.

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
def search_batches(
    model: SidGenerator[State],
    trie: Trie,
    digits: NDArray[np.uint16],
    histories: Sequences,
    search: Search[State],
    *,
    k: int,
    users: NDArray[np.int32] | None,
    exclude: Sequences | None,
    batch_size: int,
    on_progress: Callable[[int], None],
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Run a search on batches of histories of equal length; the arguments are those of `beam_search`.

    Returns:
        What the search gives, items int32 (m, k) and scores f32 (m, k), in the order of the histories.

    Raises:
        ConfigError: if the trie's digits are not the model's, the model wants users and got none, or `k` or
            `batch_size` is below 1.
        DataError: if a history names an item that the model cannot read, or `exclude` or `users` are not one
            row a history.
    """
    if tuple(trie.layout.sizes) != model.sizes:
        raise ConfigError(
            f"the model writes digits of sizes {model.sizes}, but the trie holds {tuple(trie.layout.sizes)}; "
            "they must come from the same table of Semantic IDs"
        )
    if model.user_buckets and users is None:
        raise ConfigError("this model was trained with user tokens: pass `users`, one index a history")
    # A model that reads items knows those it was made for, whatever has come to the catalogue since.
    known = len(digits) if model.reads == "digits" else min(len(digits), getattr(model, "items", len(digits)))
    check_arguments(histories, known, k=k, batch_size=batch_size, exclude=exclude, users=users)
    spelled = torch.from_numpy(digits.astype(np.int64))  # (items, L)
    recent = histories.tail(model.max_items)
    items = np.empty((len(histories), k), np.int32)
    scores = np.empty((len(histories), k), np.float32)
    done, device = 0, device_of(model)
    for rows in _batches_of_one_length(recent.lengths, batch_size):
        known = torch.from_numpy(recent.take(rows).values.astype(np.int64))
        history = known.view(len(rows), int(recent.lengths[rows[0]]))  # (B, n)
        if model.reads == "digits":
            history = spelled[history]  # (B, n, L)
        buckets = None
        if model.user_buckets and users is not None:
            buckets = torch.from_numpy(users[rows].astype(np.int64) % model.user_buckets)
        excluded = exclude.take(rows) if exclude is not None else None
        state = model.start(history.to(device), None if buckets is None else buckets.to(device))
        items[rows], scores[rows] = search(state, rows, excluded)
        done += len(rows)
        on_progress(done)
    return items, scores


def device_of(model: object) -> torch.device:
    """Where a model is; the CPU if it has no weights."""
    weights = model.parameters() if isinstance(model, torch.nn.Module) else iter(())
    return next((weight.device for weight in weights), torch.device("cpu"))


def temperatures(temperature: float | Sequence[float], levels: int) -> list[float]:
    """One temperature a level, from one for all or a sequence of them.

    Raises:
        ConfigError: if there is not one for each level, or one is not a positive number.
    """
    each = [temperature] * levels if isinstance(temperature, (int, float, np.number)) else list(temperature)
    if len(each) != levels or not all(0 < value < float("inf") for value in each):
        raise ConfigError(
            f"`temperature` is {temperature}; it is a positive number, or one for each of {levels} levels"
        )
    return [float(value) for value in each]


def cooled(log_probs: Tensor, temperature: float) -> Tensor:
    """Log-probabilities whose ratios are raised to the power of 1 / temperature, normalized over each row."""
    return log_probs if temperature == 1.0 else (log_probs / temperature).log_softmax(-1)


def _batches_of_one_length(lengths: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    """Row numbers, grouped by length and cut into batches."""
    order = np.argsort(lengths, kind="stable")
    cuts = np.flatnonzero(np.diff(lengths[order])) + 1
    return [
        rows[start : start + batch_size]
        for rows in np.split(order, cuts)
        for start in range(0, len(rows), batch_size)
    ]
