"""Policy of a network that scores every item."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sidkit._arguments import TopK
from sidkit.decode.generative import device_of
from sidkit.train.align.policy import Drawn
from sidkit.train.align.prompts import Prompts

__all__ = ["ExactPolicy"]


class ExactPolicy:
    """The softmax over all items that may be recommended, and exact samples of it.

    Args:
        shared: number of items with the Semantic ID of each item, int (items,), which share its probability.
        available: whether each item may be recommended, bool (items,).
        exclude_seen: exclude the items of each history.
    """

    def __init__(
        self, shared: npt.NDArray[np.integer], available: npt.NDArray[np.bool_], *, exclude_seen: bool
    ) -> None:
        self._shares = torch.from_numpy(-np.log(shared.astype(np.float32)))
        self._available = torch.from_numpy(available)
        self._exclude_seen = exclude_seen
        self._latest: list[tuple[Any, Prompts, Tensor]] = []

    def log_probs(
        self, network: Any, prompts: Prompts, items: npt.NDArray[np.int64]
    ) -> tuple[Tensor, Tensor | None]:
        """Return log-probabilities of items and of all items; see `Policy`."""
        every = self._every(network, prompts)
        return every.gather(1, torch.from_numpy(items).clamp(min=0).to(every.device)), every

    @torch.no_grad()
    def sample(self, network: Any, prompts: Prompts, k: TopK, seed: int) -> Drawn:
        """Draw k different items after each history, the greatest of log-probabilities plus Gumbel noise."""
        every = self._every(network, prompts)
        noise = np.random.default_rng(seed).gumbel(size=tuple(every.shape)).astype(np.float32)
        return _first(every + torch.from_numpy(noise).to(every.device), every, k)

    @torch.no_grad()
    def best(self, network: Any, prompts: Prompts, k: TopK) -> Drawn:
        """Return the k most probable items after each history, best first."""
        every = self._every(network, prompts)
        return _first(every, every, k)

    def _every(self, network: Any, prompts: Prompts) -> Tensor:
        """Return log-probabilities of all items, float (B, items); -inf where nothing may be recommended.

        Without gradients, those of the latest two networks after the same `prompts` object are kept.
        """
        for other, same, found in self._latest:
            if other is network and same is prompts and not torch.is_grad_enabled():
                return found
        found = self._computed(network, prompts)
        if not torch.is_grad_enabled():
            self._latest = [*self._latest[-1:], (network, prompts, found)]
        return found

    def _computed(self, network: Any, prompts: Prompts) -> Tensor:
        recent, device = prompts.histories.tail(network.max_items), device_of(network)
        history = torch.from_numpy(recent.padded(network.items)).to(device)
        scores = network.item_scores(history, torch.from_numpy(recent.lengths).to(device))
        allowed = self._available.expand(scores.shape).clone()
        if self._exclude_seen:
            rows = np.repeat(np.arange(len(prompts)), prompts.histories.lengths)
            allowed[torch.from_numpy(rows), torch.from_numpy(prompts.histories.values.astype(np.int64))] = (
                False
            )
        allowed = allowed.to(device)
        masked = (scores + self._shares.to(device)).masked_fill(~allowed, -torch.inf)
        some = allowed.any(1, keepdim=True)
        return torch.where(some, masked, 0.0).log_softmax(-1).masked_fill(~allowed, -torch.inf)


def _first(keys: Tensor, log_probs: Tensor, k: TopK) -> Drawn:
    """Return the items with the highest keys, padded where fewer than k may be recommended."""
    count = min(k, keys.shape[1])
    order = keys.topk(count, dim=-1).indices
    found = log_probs.gather(1, order)
    items = torch.where(torch.isfinite(found), order, -1)
    padded = torch.full((len(keys), k), -1, dtype=torch.int64)
    padded[:, :count] = items.cpu()
    chances = torch.full((len(keys), k), -torch.inf, dtype=found.dtype)
    chances[:, :count] = found.cpu()
    return Drawn(padded.numpy(), chances)
