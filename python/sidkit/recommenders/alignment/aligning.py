"""`align` of generative recommenders."""

import copy
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from sidkit.data import EvaluationSet
from sidkit.errors import ConfigError, DataError
from sidkit.recommenders.alignment.exact import ExactPolicy
from sidkit.recommenders.alignment.monitor import Monitor
from sidkit.recommenders.alignment.trie import TriePolicy
from sidkit.recommenders.base import Recommender
from sidkit.recommenders.histories import id_rows
from sidkit.recommenders.training_data import same_catalogue
from sidkit.train.align import GRPO, AlignmentMethod, AlignmentRecord, Budget, Preferences, Prompts
from sidkit.train.align.loop import Alignment, align_network, default_beta
from sidkit.train.align.policy import Policy
from sidkit.train.align.rewards import RewardFunction
from sidkit.train.align.rewards.base import reward_name

__all__ = ["Alignable"]

_RECORD = "alignment.json"
_MONITORED = 2000  # histories of an evaluation
_HELD_OUT = 0.1  # share of preferences that are not learned from

Self = TypeVar("Self", bound="Alignable")


class Alignable(Recommender):
    """A recommender whose network can be trained towards rewards or preferences.

    Attributes:
        alignment_: course of the alignment, a `sidkit.train.align.AlignmentRecord`; only of an aligned model.
    """

    network_: Any
    alignment_: AlignmentRecord

    def align(
        self: Self,
        histories: Any,
        *,
        reward: RewardFunction | None = None,
        method: AlignmentMethod | None = None,
        validation: EvaluationSet | None = None,
        budget: Budget | None = None,
        exclude_seen: bool = True,
        callbacks: Iterable[Any] = (),
    ) -> Self:
        """Train the recommender further towards a reward or preferences, as a copy.

        The policy is the distribution of the next item after a history, among the items that may be
        recommended. At every evaluation, reward, divergence from the reference, accuracy, coverage and
        popularity are measured, and the policy with the highest reward inside the budget is kept.

        Args:
            histories: training histories such as `split.train`, of which every prefix is continued; an
                `EvaluationSet`; or `sidkit.train.align.Preferences`.
            reward: callable `(histories, item_ids) -> float array`, where `histories` yields m lists of item
                ids, oldest first, and `item_ids` is (m, k), padded with -1 or None; or a reward of
                `sidkit.train.align`. None for `Preferences`.
            method: objective, such as `sidkit.train.DPO()`; None for `GRPO()`.
            validation: examples on which the policy is evaluated, such as `split.validation`; 2,000 of them
                at most, drawn at random. None for some of the histories, without accuracy.
            budget: limits of divergence and loss of accuracy; None for `Budget()`.
            exclude_seen: exclude the items of each history, as `recommend` does.
            callbacks: as for `fit`.

        Returns:
            A copy with aligned weights; the recommender itself is not changed.

        Raises:
            NotFittedError: before `fit`.
            ConfigError: if reward and histories contradict each other, or the recommender cannot be aligned.
            DataError: if the histories have the wrong form or the reward is invalid.

        Warns:
            RewardHackingWarning: if the reward rises while accuracy falls.
        """
        self._check_fitted()
        method, budget = method or GRPO(), budget or Budget()
        _check_arguments(histories, reward, method, budget)
        policy = self._policy(exclude_seen)
        random = np.random.default_rng(method.seed)
        prompts, preferences, held = self._learned_from(histories, random)
        monitored = prompts if validation is None else self._prompts(validation)
        some = np.sort(random.permutation(len(monitored))[:_MONITORED])
        network = copy.deepcopy(self.network_.eval())  # `eval` drops what is computed from the weights
        reference = copy.deepcopy(network).requires_grad_(False)
        watched = reward if held is None else held
        assert watched is not None  # there is a reward or preferences
        monitor = Monitor(
            policy,
            reference,
            monitored.take(some),
            watched,
            self.item_counts_,
            budget,
            accurate=validation is not None,
        )
        beta = default_beta(policy, reference, prompts, reward, method, budget.kl)
        history = align_network(
            Alignment(
                policy=policy,
                network=network,
                reference=reference,
                prompts=prompts,
                reward=reward,
                preferences=preferences,
                method=method,
                beta=beta,
                evaluate=monitor,
                score=monitor.score,
                identity={"recommender": self.method, "prompts": len(prompts)},
            ),
            callbacks,
        )
        aligned = copy.copy(self)
        aligned._forget_cached()
        aligned.network_ = network.eval()
        name = "preferences" if reward is None else reward_name(reward)
        aligned.alignment_ = AlignmentRecord(
            method.settings(), name, beta, asdict(budget), monitor.reward_hacking, history
        )
        return aligned

    @torch.no_grad()
    def log_probs(
        self, histories: Any, item_ids: Any, *, exclude_seen: bool = True
    ) -> npt.NDArray[np.float32]:
        """Return exact natural-log probabilities of items after histories.

        They are those of the policy that `align` trains: probabilities of all items that may be recommended
        sum to 1. Off-policy evaluation needs them.

        Args:
            histories: item ids, oldest first: a batch in any form that `recommend` takes.
            item_ids: ids of k items for each history, (m, k), or of one item each, (m,).
            exclude_seen: exclude the items of each history.

        Returns:
            float32 of the shape of `item_ids`; -inf for items that may not be recommended.

        Raises:
            NotFittedError: before `fit`.
            DataError: if an item is unknown, a history has no known item, or there is not one row of items
                per history.
        """
        self._check_fitted()
        prompts = self._prompts(histories)
        given = np.asarray(item_ids)
        if given.shape[:1] != (len(prompts),) or given.ndim > 2:
            raise DataError(
                f"items do not fit the histories: expected one row of ids for each of {len(prompts)}, got "
                f"shape {given.shape}. Pass (m,) or (m, k)."
            )
        rows = id_rows(self._index, given.ravel().tolist(), "item").reshape(len(prompts), -1)
        policy = self._policy(exclude_seen)
        found = np.empty(rows.shape, np.float32)
        for start in range(0, len(rows), 256):
            part = np.arange(start, min(start + 256, len(rows)))
            found[part] = policy.log_probs(self.network_, prompts.take(part), rows[part])[0].numpy()
        return found.reshape(given.shape)

    def _policy(self, exclude_seen: bool) -> Policy:
        """Return the distribution over items that is aligned."""
        assert self.sids_ is not None
        if hasattr(self.network_, "new_item_bias"):
            self.network_.new_item_bias = getattr(self, "new_item_bias", 0.0)
        _, place, counts = np.unique(self.sids_.tokens, axis=0, return_inverse=True, return_counts=True)
        if getattr(self.network_, "exact", False):
            return ExactPolicy(counts[place.ravel()], ~self.removed_, exclude_seen=exclude_seen)
        if len(counts) < len(self.sids_):
            raise ConfigError(
                f"`{self.method}` cannot be aligned on shared Semantic IDs: expected one item for each, got "
                f"{len(self.sids_)} items with {len(counts)}. Make the Semantic IDs with "
                '`collisions="suffix"`.'
            )
        trie = self.sids_.trie
        available = trie.item_set(np.flatnonzero(~self.removed_)) if self.removed_.any() else None
        return TriePolicy(trie, self.sids_.tokens, available, exclude_seen=exclude_seen)

    def _learned_from(
        self, given: Any, random: np.random.Generator
    ) -> tuple[Prompts, Preferences | None, Preferences | None]:
        """Return the histories of the training; and preferences, learned from and held out, if any."""
        if isinstance(given, Preferences):
            if not given.item_ids.equals(self.item_ids_):
                raise DataError(
                    "preferences are of another catalogue: expected the item ids of the training in the same "
                    f"order, got {len(given.item_ids)} others. Make them with `data.item_ids`."
                )
            order = random.permutation(len(given))
            held = max(1, round(_HELD_OUT * len(given)))
            learned = given.take(np.sort(order[held:] if len(given) > held else order))
            return learned.prompts, learned, given.take(np.sort(order[:held]))
        if isinstance(given, EvaluationSet):
            return self._prompts(given), None, None
        parsed = self._index.parse(given)
        prompts = Prompts.of_prefixes(parsed.rows, self.item_ids_)
        if parsed.single or not len(prompts):
            raise DataError(
                "alignment needs many histories: expected lists of two known items or more, got "
                f"{len(parsed.rows)} with {len(parsed.rows.values)} items in all. Pass `split.train`."
            )
        return prompts, None, None

    def _prompts(self, given: Any) -> Prompts:
        """Return histories as prompts, whole."""
        if isinstance(given, EvaluationSet):
            examples = same_catalogue(given, self.item_ids_)
            if not examples.histories.lengths.any():
                raise DataError("no example has a history: expected at least one. Pass others.")
            return Prompts.of_examples(examples, self.item_ids_)
        parsed = self._index.parse(given)
        if not len(parsed.rows) or not parsed.rows.lengths.all():
            raise DataError(
                "a history has no known item: expected at least one in each. Leave such histories out."
            )
        count = len(parsed.rows)
        users = np.arange(count, dtype=np.int32) if parsed.users is None else parsed.users
        return Prompts(parsed.rows, self.item_ids_, users, np.full(count, -1, np.int32))

    def _save_alignment(self, path: Path) -> None:
        if "alignment_" in vars(self):
            self.alignment_.save(path / _RECORD)

    def _load_alignment(self, path: Path) -> None:
        if (path / _RECORD).exists():
            self.alignment_ = AlignmentRecord.load(path / _RECORD)


def _check_arguments(histories: Any, reward: Any, method: AlignmentMethod, budget: Budget) -> None:
    """Check the arguments of `align` that do not depend on the recommender."""
    if not isinstance(method, AlignmentMethod) or not isinstance(budget, Budget):
        raise ConfigError(
            "`method` or `budget` has the wrong type: expected an alignment method such as `GRPO()` and a "
            f"`Budget`, got {method!r} and {budget!r}. Correct it."
        )
    if isinstance(histories, Preferences):
        if reward is not None or method.on_policy:
            raise ConfigError(
                "preferences and a reward cannot be combined: expected DPO, IPO or SoftmaxDPO and no reward, "
                f"got `{method.method}` and {'a' if reward is not None else 'no'} reward. Pass histories for "
                "a reward."
            )
    elif not callable(reward):
        raise ConfigError(
            f"`reward` has the wrong type: expected a callable of histories and item ids, got {reward!r}. "
            "Pass one, or `Preferences` in place of histories."
        )
