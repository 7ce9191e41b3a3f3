"""Metrics of a policy during alignment."""

import warnings
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sidkit.evaluate import Predictions, catalogue_metrics, user_metrics
from sidkit.evaluate.lists.popularity import average_popularity
from sidkit.train.align.budget import Budget, RewardHackingWarning
from sidkit.train.align.group import expectation_weights
from sidkit.train.align.loop import divergences
from sidkit.train.align.policy import Drawn, Policy
from sidkit.train.align.preferences import Preferences
from sidkit.train.align.prompts import Prompts
from sidkit.train.align.rewards.base import RewardFunction, evaluate_reward

__all__ = ["Monitor"]

_K = 10  # items of a list
_DRAWN = 32  # items that are drawn after a history
_BATCH = 256
_HALVINGS = 4  # evaluations by which a policy is moved into the budget
_NOTABLE_LOSS = 0.05  # of accuracy, where the budget has no limit


class Monitor:
    """Metrics of a network on a fixed set of histories, compared with those of the reference.

    Args:
        policy: distribution of a network over items.
        reference: the frozen network.
        prompts: the histories.
        reward: reward of items, or held-out preferences: the reward is then the share of those whose
            preferred item has a higher log-ratio of policy and reference than the others.
        counts: training events of every item, int64 (items,).
        budget: the budget that is checked.
        accurate: whether the histories have targets, so that accuracy is measured.
    """

    def __init__(
        self,
        policy: Policy,
        reference: Any,
        prompts: Prompts,
        reward: RewardFunction | Preferences,
        counts: Any,
        budget: Budget,
        *,
        accurate: bool,
    ) -> None:
        self._policy, self._reference, self._prompts = policy, reference, prompts
        self._reward, self._counts, self._budget = reward, counts, budget
        self._accurate = accurate
        self.reward_hacking = False

    @cached_property
    @torch.inference_mode()
    def first(self) -> dict[str, float]:
        """Metrics of the reference."""
        return self._measured(self._reference)

    def __call__(self, network: Any) -> dict[str, float]:
        """Return the metrics.

        A network outside the budget is moved back: its weights become those on the line to the reference that
        are nearest to it and inside the budget. Along this line, as in WiSE-FT (Wortsman et al., CVPR 2022,
        arXiv 2109.01903), divergence and loss of accuracy shrink together with the gain.
        """
        metrics = self._measured(network)
        self._warn(metrics)
        if self._budget.keeps(metrics, self.first):
            return metrics
        own = [weight.detach().clone() for weight in network.parameters()]
        low, high = 0.0, 1.0
        for step in range(_HALVINGS):
            share = (low + high) / 2
            if step == 0 and self._budget.kl is not None:  # the divergence grows with the square
                share = min(0.97 * (self._budget.kl / metrics["kl"]) ** 0.5, 0.97)
            self._move(network, own, share)
            found = self._measured(network)
            low, high = (share, high) if self._budget.keeps(found, self.first) else (low, share)
        self._move(network, own, low)
        return self._measured(network)

    def _move(self, network: Any, own: list[Tensor], share: float) -> None:
        """Set the weights to a mean of their own, which count `share`, and those of the reference."""
        pairs = zip(network.parameters(), self._reference.parameters(), own, strict=True)
        for weight, fixed, before in pairs:
            weight.copy_(torch.lerp(fixed, before, share))
        network.eval()  # drops what was computed from the former weights

    def _measured(self, network: Any) -> dict[str, float]:
        """Return the metrics of a network as it is."""
        sums = np.zeros(4)
        lists = []
        reference = self._reference.to(next(network.parameters()).device)
        for start in range(0, len(self._prompts), _BATCH):
            rows = np.arange(start, min(start + _BATCH, len(self._prompts)))
            prompts = self._prompts.take(rows)
            shown = self._policy.best(network, prompts, _K)
            drawn = self._policy.sample(network, prompts, _DRAWN, seed=start)
            sums += self._sums(network, reference, prompts, drawn, shown)
            lists.append(shown)
        names = ("reward", f"reward@{_K}", "kl", "entropy")
        metrics = dict(zip(names, (sums / len(self._prompts)).tolist(), strict=True))
        if isinstance(self._reward, Preferences):
            metrics["reward"] = self._agreement(self._reward, network, reference)
            del metrics[f"reward@{_K}"]
        if self._accurate:
            metrics |= self._accuracy(lists)
        return metrics

    def score(self, metrics: Any) -> float:
        """Return the number by which weights are chosen."""
        return self._budget.score(metrics, self.first)

    def _sums(self, network: Any, reference: Any, prompts: Prompts, drawn: Drawn, shown: Drawn) -> Any:
        """Return sums over the histories: expected reward, mean reward of the lists, divergence, entropy."""
        own, every = self._policy.log_probs(network, prompts, drawn.items)
        fixed, fixed_every = self._policy.log_probs(reference, prompts, drawn.items)
        valid = torch.from_numpy(drawn.items >= 0)
        weights = expectation_weights(drawn.log_probs.double(), valid)
        rewards, listed = (
            np.zeros(each.items.shape)
            if isinstance(self._reward, Preferences)
            else evaluate_reward(self._reward, prompts, each.items)
            for each in (drawn, shown)
        )
        length = np.maximum((shown.items >= 0).sum(axis=1), 1)
        if every is not None and fixed_every is not None:
            kl = divergences(every, fixed_every).sum().item()
            there = torch.isfinite(every)
            entropy = -(every.exp() * torch.where(there, every, 0.0)).sum().item()
        else:
            logs = torch.where(valid, own.cpu().double(), 0.0)
            ratio = torch.where(valid, logs - fixed.cpu().double(), 0.0)
            kl, entropy = (weights * ratio).sum().item(), -(weights * logs).sum().item()
        return np.array(
            [float((weights.numpy() * rewards).sum()), (listed.sum(axis=1) / length).sum(), kl, entropy]
        )

    def _agreement(self, held: Preferences, network: Any, reference: Any) -> float:
        """Return the share of pairs in which the preferred item has the higher log-ratio; ties count half."""
        agreed = pairs = 0.0
        for start in range(0, len(held), _BATCH):
            some = held.take(np.arange(start, min(start + _BATCH, len(held))))
            items = np.column_stack([some.chosen, some.rejected]).astype(np.int64)
            own, fixed = (
                self._policy.log_probs(each, some.prompts, items)[0] for each in (network, reference)
            )
            ratios = (own - fixed).cpu().numpy()
            gap, real = ratios[:, :1] - ratios[:, 1:], some.rejected >= 0
            agreed += ((gap > 0) + 0.5 * (gap == 0))[real].sum()
            pairs += real.sum()
        return float(agreed / pairs)

    def _accuracy(self, lists: list[Drawn]) -> dict[str, float]:
        items = np.concatenate([each.items for each in lists]).astype(np.int32)
        places = np.arange(items.shape[1], dtype=np.float32)
        scores = np.where(items >= 0, -places, -np.inf).astype(np.float32)
        made = Predictions("policy", self._prompts.users, items, scores, self._prompts.targets)
        of_users = user_metrics(made, len(self._counts), (_K,))
        found = {name: float(of_users[name].mean()) for name in (f"ndcg@{_K}", f"recall@{_K}")}
        found[f"coverage@{_K}"] = catalogue_metrics(made, len(self._counts), (_K,))[f"coverage@{_K}"]
        found[f"average_popularity@{_K}"] = float(average_popularity(items, self._counts).mean())
        return found

    def _warn(self, metrics: dict[str, float]) -> None:
        budget = self._budget if self._budget.ndcg_loss is not None else Budget(ndcg_loss=_NOTABLE_LOSS)
        if self.reward_hacking or not self._accurate or not budget.loses(metrics, self.first):
            return
        if metrics["reward"] > self.first["reward"]:
            self.reward_hacking = True
            name = f"ndcg@{_K}"
            warnings.warn(
                "reward hacking: the reward rises while accuracy falls. Expected NDCG@10 of at least "
                f"{1 - (budget.ndcg_loss or 0):.0%} of that of the reference, {self.first[name]:.4f}, got "
                f"{metrics[name]:.4f} at a reward of {metrics['reward']:.4g} (reference "
                f"{self.first['reward']:.4g}). Weights outside the budget are not kept; add `NextItem` to "
                "the reward, or lower the KL budget.",
                RewardHackingWarning,
                stacklevel=2,
            )
