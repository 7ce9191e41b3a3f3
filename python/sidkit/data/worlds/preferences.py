"""Synthetic users with hidden preferences: the value of every policy is known, and so is the best one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import Bounds, Count, Seed, Shape, Size, check_argument, checked
from sidkit.data.dataset import Dataset
from sidkit.data.sequences import Sequences, offsets_of
from sidkit.errors import ConfigError, DataError

__all__ = ["PreferenceLog", "PreferenceWorld"]

Float64 = npt.NDArray[np.float64]

# First element of the seeds of independent streams of random numbers.
_WORLD, _LOG = 0, 1
_BISECTIONS = 60
_START = 1_700_000_000


@checked
@dataclass(frozen=True, kw_only=True)
class PreferenceWorld:
    """Items in clusters, and users of hidden types who take some items and like others.

    A user of type `t` takes each item with probability `propensities[t]`, independently of earlier ones: by
    popularity, which falls as a power of the rank, and by the attraction of the cluster. Afterwards the user
    likes it with probability `rewards[t]`. Attraction and liking agree in part only, so that a model of what
    users take is not the best policy. What is best after a history follows from the types that it may be of,
    `posterior`.

        >>> world = PreferenceWorld(items=60)
        >>> log = world.log(500)
        >>> taken = world.next_items(log.histories)
        >>> best = world.optimal_policy(taken, log.histories, kl=0.5)
        >>> bool(world.value(best, log.types) > world.value(taken, log.types))
        True

    Args:
        items: number of items.
        clusters: number of clusters, at most `items`.
        types: number of types of users.
        dim: width of the item vectors.
        agreement: correlation of attraction and liking over the clusters, from 0 to 1.
        popularity_exponent: exponent of the power law.
        min_events: length of the shortest history, at least 2.
        max_events: length of the longest history; lengths are uniform.
        seed: seed of the world.

    Raises:
        ConfigError: if a setting is out of range.
    """

    items: Count = 96
    clusters: Count = 12
    types: Count = 6
    dim: Count = 16
    agreement: float = 0.5
    popularity_exponent: float = 0.8
    min_events: Count = 5
    max_events: Count = 15
    seed: Seed = 0

    def __post_init__(self) -> None:
        if not (1 <= self.clusters <= self.items and self.types >= 1 and self.dim >= 1):
            raise ConfigError(
                "a world cannot be made: expected 1 <= clusters <= items, types >= 1 and dim >= 1, got "
                f"{self.clusters}, {self.items}, {self.types} and {self.dim}. Correct them."
            )
        if not (2 <= self.min_events <= self.max_events and 0 <= self.agreement <= 1):
            raise ConfigError(
                "a world cannot be made: expected 2 <= min_events <= max_events and agreement in [0, 1], got "
                f"{self.min_events}, {self.max_events} and {self.agreement}. Correct them."
            )

    @property
    def cluster(self) -> npt.NDArray[np.int64]:
        """Cluster of every item, int64 (items,)."""
        return np.arange(self.items) % self.clusters

    @cached_property
    def _tables(self) -> tuple[Float64, Float64, npt.NDArray[np.float32]]:
        random = np.random.default_rng((_WORLD, self.seed))
        attraction = random.normal(size=(self.types, self.clusters))
        other = random.normal(size=(self.types, self.clusters))
        liking = self.agreement * attraction + np.sqrt(1 - self.agreement**2) * other
        rank = np.arange(self.items) // self.clusters
        weights = np.exp(1.5 * attraction[:, self.cluster]) * (rank + 1.0) ** -self.popularity_exponent
        quality = random.normal(size=self.items)
        rewards = 1 / (1 + np.exp(0.5 - 1.5 * liking[:, self.cluster] - 0.5 * quality))
        centres = random.normal(size=(self.clusters, self.dim))
        vectors = centres[self.cluster] + 0.3 * random.normal(size=(self.items, self.dim))
        return weights / weights.sum(1, keepdims=True), rewards, vectors.astype(np.float32)

    @property
    def propensities(self) -> Float64:
        """Probability that a user of each type takes each item, float64 (types, items)."""
        return self._tables[0]

    @property
    def rewards(self) -> Float64:
        """Probability that a user of each type likes each item, float64 (types, items)."""
        return self._tables[1]

    @property
    def vectors(self) -> npt.NDArray[np.float32]:
        """Item vectors, float32 (items, dim), one group per cluster."""
        return self._tables[2]

    def log(self, users: Size, *, seed: Seed = 0) -> PreferenceLog:
        """Draw users, what they took, and what they liked.

        Args:
            users: number of users.
            seed: seed of the draw.
        """
        random = np.random.default_rng((_LOG, self.seed, seed))
        types = random.integers(self.types, size=users)
        lengths = random.integers(self.min_events, self.max_events + 1, size=users)
        owner = np.repeat(types, lengths)
        cumulative = np.cumsum(self.propensities, axis=1)
        draws = random.random(len(owner))
        items = np.empty(len(owner), np.int64)
        for each in range(self.types):
            those = owner == each
            items[those] = np.searchsorted(cumulative[each], draws[those] * cumulative[each, -1], "right")
        items = np.minimum(items, self.items - 1)
        liked = random.random(len(owner)) < self.rewards[owner, items]
        return PreferenceLog(
            self, types, Sequences(items.astype(np.int32), offsets_of(lengths)), liked.astype(np.int8)
        )

    def posterior(self, histories: Sequences) -> Float64:
        """Return the probability of each type given each history, float64 (m, types)."""
        if len(histories.values) and not 0 <= histories.values.min() <= histories.values.max() < self.items:
            raise DataError(f"an item of the histories is out of range: expected 0..{self.items - 1}.")
        logs = np.log(self.propensities)[:, histories.values]  # (types, events)
        row = np.repeat(np.arange(len(histories)), histories.lengths)
        sums = np.stack([np.bincount(row, each, len(histories)) for each in logs], axis=1)
        shares = np.exp(sums - sums.max(axis=1, keepdims=True))
        posterior: Float64 = shares / shares.sum(axis=1, keepdims=True)
        return posterior

    def next_items(self, histories: Sequences) -> Float64:
        """Return the probability that each item is taken next, float64 (m, items)."""
        return self.posterior(histories) @ self.propensities

    def expected_rewards(self, histories: Sequences) -> Float64:
        """Return the probability that each item would be liked, float64 (m, items)."""
        return self.posterior(histories) @ self.rewards

    def value(
        self, policy: Float64, types: Annotated[npt.NDArray[np.integer[Any]], Shape("users"), Bounds(ge=0)]
    ) -> float:
        """Return the true value of a policy: the probability that a recommended item is liked.

        Args:
            policy: probability of each item after each history, (m, items).
            types: type of the user of each history, (m,).
        """
        check_argument("types", types, Annotated[npt.NDArray[np.integer], Bounds(le=self.types - 1)])
        self._check_policy("policy", policy, len(types))
        return float((policy * self.rewards[types]).sum(axis=1).mean())

    def optimal_policy(self, reference: Float64, histories: Sequences, *, kl: float) -> Float64:
        """Return the policy with the greatest value among those near a reference.

        It is the reference times exp(expected reward / beta), with the beta at which the divergence is `kl`.

        Args:
            reference: probability of each item after each history, (m, items).
            histories: m histories.
            kl: mean divergence KL(policy ‖ reference), natural log, above 0.

        Returns:
            float64 (m, items).
        """
        rewards = self.expected_rewards(histories)
        self._check_policy("reference", reference, len(histories))

        def tilted(log_beta: float) -> Float64:
            scaled = rewards / np.exp(log_beta)
            weights = reference * np.exp(scaled - scaled.max(axis=1, keepdims=True))
            policy: Float64 = weights / weights.sum(axis=1, keepdims=True)
            return policy

        low, high = -7.0, 7.0
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            low, high = (middle, high) if divergence(tilted(middle), reference) > kl else (low, middle)
        return tilted(high)

    def _check_policy(self, name: str, policy: Float64, rows: int) -> None:
        if policy.shape != (rows, self.items):
            raise DataError(
                f"`{name}` does not fit: expected shape {(rows, self.items)}, got {policy.shape}."
            )


@checked
@dataclass(frozen=True, eq=False)
class PreferenceLog:
    """Users of a `PreferenceWorld`, with what they took and liked.

    Attributes:
        world: the world.
        types: hidden type of each user, int64 (m,).
        histories: m rows of item rows, oldest first.
        liked: whether each event was liked, int8 (events,).
    """

    world: PreferenceWorld
    types: npt.NDArray[np.int64]
    histories: Sequences
    liked: npt.NDArray[np.int8]

    @property
    def dataset(self) -> Dataset:
        """The log as a dataset: item ids are rows + 1, user ids rows; `label` is 1 if an item was liked."""
        user = np.repeat(np.arange(len(self.histories)), self.histories.lengths)
        step = np.arange(len(user)) - self.histories.offsets[user]
        interactions = pl.DataFrame(
            {
                "user_id": user,
                "item_id": self.histories.values.astype(np.int64) + 1,
                "timestamp": _START + 60 * step,
                "label": self.liked,
            }
        )
        ids = np.arange(self.world.items) + 1
        items = pl.DataFrame({"item_id": ids, "title": [f"item {each}" for each in ids.tolist()]})
        return Dataset("preferences", items, interactions)

    def reward(self, histories: Any, item_ids: npt.NDArray[Any]) -> Float64:
        """Return the true reward, the probability that the user likes an item: a reward for `align`.

        Args:
            histories: histories with their users in `users`, int (m,), as `align` passes them.
            item_ids: item ids, (m, k), padded with -1.
        """
        known = Annotated[npt.NDArray[np.integer], Shape("rows"), Bounds(ge=0, le=len(self.types) - 1)]
        users = check_argument("histories.users", getattr(histories, "users", None), known)
        items = self.world.items
        kind = Annotated[npt.NDArray[np.integer], Shape("rows", "k"), Bounds(ge=-1, le=items)]
        item_ids = check_argument("item_ids", item_ids, kind)
        if len(users) != len(item_ids):
            raise DataError(f"`item_ids` do not fit: expected {len(users)} rows, got {len(item_ids)}.")
        liked: Float64 = self.world.rewards[self.types[users][:, None], np.maximum(item_ids, 1) - 1]
        return liked

    def propensities(self) -> Float64:
        """Return the probability with which each event was taken, float64 (events,)."""
        owner = np.repeat(self.types, self.histories.lengths)
        return self.world.propensities[owner, self.histories.values]


def divergence(policy: Float64, reference: Float64) -> float:
    """Return the mean of KL(policy ‖ reference) over the rows, natural log."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(policy > 0, policy * np.log(policy / reference), 0.0)
    return float(terms.sum(axis=1).mean())
