"""Optimization of a policy towards rewards or preferences."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sidkit.errors import ConfigError
from sidkit.train.align.beta import beta_for
from sidkit.train.align.group import Group
from sidkit.train.align.options import AlignmentMethod
from sidkit.train.align.policy import Drawn, Policy
from sidkit.train.align.preferences import Preferences
from sidkit.train.align.prompts import Prompts
from sidkit.train.align.rewards.base import RewardFunction, evaluate_reward
from sidkit.train.batches.batch import Batch
from sidkit.train.history import History
from sidkit.train.loop import Callback, Training, fit
from sidkit.train.processes import join

__all__ = ["Alignment", "align_network", "default_beta", "divergences"]

_WINDOW = 16  # batches among which histories are sorted by length
_PROBED = 256  # histories from which beta is derived
_DRAWN = 256  # items that are drawn after each of them

# A policy that diverges more than its budget is moved back, one that diverges less gains less.
_AIM = 1.5
_DEFAULT_BETA = 0.1  # for preferences without rewards


@dataclass(kw_only=True)
class Alignment:
    """One alignment: a policy, what it learns from, and how it is optimized and evaluated.

    Attributes:
        policy: distribution of a network over items.
        network: the network, trained in place.
        reference: frozen copy of it.
        prompts: histories from which it learns; those of `preferences` if these are given.
        reward: reward of items; None for preferences.
        preferences: preferred items; None for a reward.
        method: objective and its settings.
        beta: strength of the penalty.
        evaluate: metrics of the network; see `sidkit.train.Training`.
        score: number by which the weights are chosen, from the metrics.
        identity: anything else that decides what is learned, as JSON values.
    """

    policy: Policy
    network: Any
    reference: Any
    prompts: Prompts
    reward: RewardFunction | None
    preferences: Preferences | None
    method: AlignmentMethod
    beta: float
    evaluate: Callable[[Any], Mapping[str, float]]
    score: Callable[[Mapping[str, float]], float]
    identity: Mapping[str, Any] = field(default_factory=dict)


def align_network(alignment: Alignment, callbacks: Iterable[Callback] = ()) -> History:
    """Optimize a network in place; it keeps the weights with the best score, the initial ones among them.

    Args:
        alignment: what is optimized, and how.
        callbacks: as for `sidkit.train.fit`.

    Raises:
        DataError: if the reward is invalid.
        ConfigError: if several processes train together.
    """
    if join().size > 1:
        raise ConfigError(
            f"alignment cannot be distributed: expected one process, got {join().size}. Start it without "
            "`torchrun`."
        )
    method, groups = alignment.method, _Groups(alignment)

    def loss(network: nn.Module, batch: Batch) -> Tensor:
        network.eval()  # policy and reference must be equal at first, so there is no dropout
        return method.losses(groups.of(network, batch.target[:, 0].cpu().numpy()), alignment.beta).mean()

    training = Training(
        method=f"align.{method.method}",
        network=alignment.network,
        batches=PromptBatches(
            alignment.prompts.lengths,
            batch_size=method.batch_size,
            repeats=method.updates,
            seed=method.seed,
        ),
        loss=loss,
        settings=method.train_settings(),
        evaluate=alignment.evaluate,
        score=alignment.score,
        from_start=True,
        flops=lambda network, batch: 0,
        identity={**alignment.identity, "alignment": method.settings(), "beta": alignment.beta},
    )
    return fit(training, callbacks)


class PromptBatches:
    """Numbers of prompts, in batches of similar length.

    Args:
        lengths: length of each history, int64 (m,).
        batch_size: prompts of a batch.
        repeats: number of times that a batch comes in succession.
        seed: seed of the order.
    """

    def __init__(self, lengths: NDArray[np.int64], *, batch_size: int, repeats: int, seed: int) -> None:
        self._lengths, self._batch_size, self._repeats, self._seed = lengths, batch_size, repeats, seed
        self.steps = -(-len(lengths) // batch_size) * repeats

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """Shuffle the prompts, sort windows of them by length, and cut them into batches in random order."""
        random = np.random.default_rng((self._seed, epoch))
        order = random.permutation(len(self._lengths))
        window = self._batch_size * _WINDOW
        parts = [order[start : start + window] for start in range(0, len(order), window)]
        order = np.concatenate([part[np.argsort(self._lengths[part], kind="stable")] for part in parts])
        cuts = range(0, len(order), self._batch_size)
        batches = [order[start : start + self._batch_size] for start in cuts]
        return [batches[place] for place in random.permutation(len(batches)) for _ in range(self._repeats)]

    def load(self, rows: NDArray[np.int64], rank: int = 0, size: int = 1) -> Batch:
        """Return a batch whose targets are the numbers of the prompts."""
        numbers = torch.from_numpy(rows)
        batch = Batch(
            history=numbers.new_zeros(len(rows), 0),
            target=numbers[:, None],
            users=torch.zeros_like(numbers),
            weight=len(rows) / self._batch_size,
            targets=torch.ones_like(numbers),
            tokens=len(rows),
        )
        return batch.part(rank, size)


class _Groups:
    """Groups of items after the prompts of a batch: drawn, or those of the preferences."""

    def __init__(self, alignment: Alignment) -> None:
        self._alignment = alignment
        self._rows: NDArray[np.int64] = np.zeros(0, np.int64)
        self._uses = 0
        self._drawn: tuple[Drawn, Tensor] | None = None

    def of(self, network: nn.Module, rows: NDArray[np.int64]) -> Group:
        alignment = self._alignment
        reference = alignment.reference.to(next(network.parameters()).device)
        prompts = alignment.prompts.take(rows)
        drawn, values = self._items(network, prompts, rows)
        log_probs, every = alignment.policy.log_probs(network, prompts, drawn.items)
        with torch.no_grad():
            fixed, fixed_every = alignment.policy.log_probs(reference, prompts, drawn.items)
        is_reward = alignment.reward is not None
        return Group(
            log_probs=log_probs,
            reference=fixed,
            drawn=drawn.log_probs.to(log_probs),
            valid=torch.from_numpy(drawn.items >= 0).to(log_probs.device),
            rewards=values.to(log_probs) if is_reward else None,
            preferred=None if is_reward else values.to(log_probs),
            kl=None if every is None or fixed_every is None else divergences(every, fixed_every),
        )

    def _items(self, network: nn.Module, prompts: Prompts, rows: NDArray[np.int64]) -> tuple[Drawn, Tensor]:
        """Return items, and their rewards or the probability that each is preferred."""
        alignment = self._alignment
        if alignment.preferences is not None:
            return _given(alignment.preferences, rows)
        if (
            self._drawn is not None
            and self._uses < alignment.method.updates
            and np.array_equal(rows, self._rows)
        ):
            self._uses += 1
            return self._drawn
        source = network if alignment.method.on_policy else alignment.reference
        drawn = self._draw(source, prompts)
        assert alignment.reward is not None
        rewards = torch.from_numpy(evaluate_reward(alignment.reward, prompts, drawn.items))
        self._rows, self._uses, self._drawn = rows, 1, (drawn, rewards)
        return self._drawn

    def _draw(self, network: nn.Module, prompts: Prompts) -> Drawn:
        policy, method = self._alignment.policy, self._alignment.method
        with torch.no_grad():
            if getattr(method, "expectation", "sampled") == "top":
                return policy.best(network, prompts, method.group_size)
            seed = int(torch.randint(2**31 - 1, ()))  # of torch's generator, which a checkpoint restores
            return policy.sample(network, prompts, method.group_size, seed)


def _given(preferences: Preferences, rows: NDArray[np.int64]) -> tuple[Drawn, Tensor]:
    """Return the items of preferences, of which the first has probability 1."""
    items = np.column_stack([preferences.chosen[rows], preferences.rejected[rows]]).astype(np.int64)
    preferred = torch.zeros(items.shape, dtype=torch.float64)
    preferred[:, 0] = 1.0
    return Drawn(items, torch.zeros(items.shape)), preferred


def divergences(log_probs: Tensor, reference: Tensor) -> Tensor:
    """Return KL(policy ‖ reference) of each history, float (B,), from log-probabilities of all items (B, N).

    Items with probability 0, whose log-probabilities are -inf, do not count.
    """
    there = torch.isfinite(log_probs) & torch.isfinite(reference)
    own = torch.where(there, log_probs, 0.0)
    terms = own.exp() * (own - torch.where(there, reference, 0.0))
    return torch.where(there, terms, 0.0).sum(-1)


def default_beta(
    policy: Policy,
    reference: Any,
    prompts: Prompts,
    reward: RewardFunction | None,
    method: AlignmentMethod,
    kl: float | None,
) -> float:
    """Return the beta of a method: its setting, the value for one and a half times a KL budget, or 0.1.

    Args:
        policy: distribution of a network over items.
        reference: the frozen network.
        prompts: histories from which the policy learns.
        reward: reward of items, or None.
        method: the method.
        kl: the KL budget, or None.
    """
    if method.beta is not None:
        return method.beta
    if reward is None or kl is None:
        return _DEFAULT_BETA
    random = np.random.default_rng(method.seed)
    some = prompts.take(np.sort(random.permutation(len(prompts))[:_PROBED]))
    with torch.no_grad():
        drawn = policy.sample(reference, some, min(_DRAWN, len(prompts.item_ids)), method.seed)
    rewards = torch.from_numpy(evaluate_reward(reward, some, drawn.items))
    found = beta_for(_AIM * kl, rewards, drawn.log_probs.cpu(), torch.from_numpy(drawn.items >= 0))
    return found * method.beta_scale
