"""Policy of a network that generates tokens under the trie.

Shapes: B histories, G items of a group, L tokens of an item, W distinct prefixes of a history, K_l tokens of
level l.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sidkit._arguments import TopK
from sidkit._core import ItemSet, Trie
from sidkit.decode.beam import beam_search
from sidkit.decode.generative import device_of
from sidkit.decode.options import SearchOptions
from sidkit.decode.sampling import sample_items
from sidkit.train.align.policy import Drawn
from sidkit.train.align.prompts import Prompts

__all__ = ["TriePolicy"]

Int64 = npt.NDArray[np.int64]

_BEAM = 32


class TriePolicy:
    """The distribution under the trie: at each level, a softmax over the tokens that lead to an allowed item.

    It is that of `sidkit.decode.sample_items`.

    Args:
        trie: the Semantic IDs, with one item each.
        tokens: tokens of all items, (items, L).
        available: items that may be recommended, or None for all.
        exclude_seen: exclude the items of each history.
    """

    def __init__(
        self, trie: Trie, tokens: npt.NDArray[np.uint16], available: ItemSet | None, *, exclude_seen: bool
    ) -> None:
        self._trie, self._tokens = trie, tokens
        self._available, self._exclude_seen = available, exclude_seen

    def log_probs(self, network: Any, prompts: Prompts, items: Int64) -> tuple[Tensor, Tensor | None]:
        """Return log-probabilities of items, which takes one pass of all distinct prefixes; see `Policy`."""
        recent = prompts.histories.tail(network.max_items)
        found: list[Tensor] = []
        order: list[Int64] = []
        for length in np.unique(recent.lengths).tolist():
            rows = np.flatnonzero(recent.lengths == length)
            found.append(self._of_one_length(network, prompts.take(rows), items[rows], length))
            order.append(rows)
        place = torch.from_numpy(np.argsort(np.concatenate(order))).to(found[0].device)
        return torch.cat(found).index_select(0, place), None

    def sample(self, network: Any, prompts: Prompts, k: TopK, seed: int) -> Drawn:
        """Draw k different items after each history by a stochastic beam search."""
        items, log_probs = sample_items(
            network,
            self._trie,
            self._tokens,
            prompts.histories,
            k=k,
            seed=seed,
            options=self._options(prompts),
        )
        return Drawn(items.astype(np.int64), torch.from_numpy(log_probs))

    def best(self, network: Any, prompts: Prompts, k: TopK) -> Drawn:
        """Return the k items that beam search recommends, in its order, with their log-probabilities."""
        items, _ = beam_search(
            network,
            self._trie,
            self._tokens,
            prompts.histories,
            beam=max(k, _BEAM),
            k=k,
            options=self._options(prompts),
        )
        rows = items.astype(np.int64)
        with torch.no_grad():
            log_probs, _ = self.log_probs(network, prompts, rows)
        return Drawn(rows, torch.where(torch.from_numpy(rows >= 0), log_probs.cpu(), -torch.inf))

    def _options(self, prompts: Prompts) -> SearchOptions:
        return SearchOptions(
            users=prompts.users,
            exclude=prompts.histories if self._exclude_seen else None,
            allow=self._available,
        )

    def _of_one_length(self, network: Any, prompts: Prompts, items: Int64, length: int) -> Tensor:
        """Return log-probabilities, float (B, G), after histories of one length."""
        device, count = device_of(network), len(prompts)
        values = prompts.histories.tail(length).values.reshape(count, length)
        encoded = self._tokens[values] if network.inputs == "tokens" else values
        users = None
        if network.user_buckets:
            users = torch.from_numpy(prompts.users.astype(np.int64) % network.user_buckets).to(device)
        state = network.start(torch.from_numpy(encoded.astype(np.int64)).to(device), users)
        filters: dict[str, Any] = {"allow": self._available}
        if self._exclude_seen:
            filters["exclude"] = prompts.histories
        tokens = self._tokens[np.maximum(items, 0)].astype(np.int64)  # (B, G, L)
        row = np.repeat(np.arange(count), items.shape[1])  # row of each item's prefix
        nodes, width = self._trie.start(count), 1
        parents: Int64 | None = None
        given = np.zeros(0, np.int64)
        total = torch.zeros(items.size, device=device)
        for level in range(tokens.shape[2]):
            table = network.next_log_probs(
                state,
                None if parents is None else torch.from_numpy(parents).to(device),
                None if parents is None else torch.from_numpy(given).to(device),
            )  # (B·W, K)
            allowed = self._trie.allowed(nodes, rows_per_group=width, **filters)
            table = _normalized(table, torch.from_numpy(allowed).to(device))
            chosen = tokens[:, :, level].ravel()
            total = total + table[torch.from_numpy(row).to(device), torch.from_numpy(chosen).to(device)]
            if level + 1 < tokens.shape[2]:
                parents, given, row, width = _extended(row, chosen, count, width)
                nodes = self._trie.step(nodes.select(parents), given)
        return total.view(items.shape)


def _normalized(log_probs: Tensor, allowed: Tensor) -> Tensor:
    """Return log-probabilities among the allowed tokens of each row; zeros where there is none."""
    some = allowed.any(1, keepdim=True)
    masked = torch.where(some, log_probs.masked_fill(~allowed, -torch.inf), 0.0)
    return masked.log_softmax(-1)


def _extended(row: Int64, chosen: Int64, count: int, width: int) -> tuple[Int64, Int64, Int64, int]:
    """Continue prefixes by tokens, each distinct one once.

    Args:
        row: row of the prefix of each item, int64 (B·G,), history by history.
        chosen: next token of each item, int64 (B·G,).
        count: B.
        width: W of the rows.

    Returns:
        Former row and token of each new row, int64 (B·W,), where W is the most of any history and others
        repeat one of theirs; the new row of each item; and W.
    """
    pairs, place = np.unique(np.stack([row, chosen], axis=1), axis=0, return_inverse=True)
    history = pairs[:, 0] // width  # ascending, as the rows are
    each = np.bincount(history, minlength=count)
    first = each.cumsum() - each
    most = int(each.max())
    number = history * most + np.arange(len(pairs)) - first[history]
    source = np.repeat(first, most)
    source[number] = np.arange(len(pairs))
    return pairs[source, 0], pairs[source, 1], number[place.ravel()], most
