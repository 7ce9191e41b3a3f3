"""The world with hidden preferences: what it draws, and what it knows."""

import numpy as np
import pytest

from sidkit.data import PreferenceWorld
from sidkit.data.worlds.preferences import divergence
from sidkit.errors import ConfigError

WORLD = PreferenceWorld(items=40, clusters=8, types=4, seed=2)


def test_logs_follow_the_probabilities():
    log = WORLD.log(4000, seed=1)
    owner = np.repeat(log.types, log.histories.lengths)
    taken = np.bincount(log.histories.values[owner == 0], minlength=WORLD.items) / (owner == 0).sum()
    assert np.abs(taken - WORLD.propensities[0]).max() < 0.015
    expected = WORLD.rewards[owner, log.histories.values]
    assert log.liked.mean() == pytest.approx(expected.mean(), abs=0.015)
    assert (log.propensities() == WORLD.propensities[owner, log.histories.values]).all()


def test_logs_are_reproducible_and_become_datasets():
    one, other = WORLD.log(50), WORLD.log(50)
    assert one.histories == other.histories and (one.types == other.types).all()
    assert WORLD.log(50, seed=1).histories != one.histories
    data = one.dataset
    assert data.histories() == one.histories
    assert data.interactions["label"].to_list() == one.liked.tolist()


def test_types_are_inferred_by_the_rule_of_bayes():
    log = WORLD.log(300)
    posterior = WORLD.posterior(log.histories)
    assert posterior.sum(axis=1) == pytest.approx(1)
    row = log.histories[0]
    chances = WORLD.propensities[:, row].prod(axis=1)
    assert posterior[0] == pytest.approx(chances / chances.sum())
    assert posterior[np.arange(300), log.types].mean() > 0.8


def test_rewards_are_those_of_the_type():
    log = WORLD.log(10)
    histories = type("H", (), {"users": np.array([3, 5])})
    found = log.reward(histories, np.array([[1, 40], [7, -1]]))
    assert found[0].tolist() == WORLD.rewards[log.types[3], [0, 39]].tolist()
    assert found[1, 0] == WORLD.rewards[log.types[5], 6]


def test_no_policy_of_the_same_divergence_is_better():
    log = WORLD.log(400)
    taken = WORLD.next_items(log.histories)
    rewards = WORLD.expected_rewards(log.histories)
    best = WORLD.optimal_policy(taken, log.histories, kl=0.3)
    assert divergence(best, taken) == pytest.approx(0.3, abs=1e-6)
    random = np.random.default_rng(0)
    gains = []
    for _ in range(20):  # other directions, of the same divergence at most
        noisy = rewards + 0.3 * random.normal(size=rewards.shape)
        other = taken * np.exp(3 * noisy)
        other /= other.sum(axis=1, keepdims=True)
        share = min(1.0, 0.3 / divergence(other, taken))
        mixed = share * other + (1 - share) * taken  # the divergence is convex
        gains.append((mixed * rewards).sum(axis=1).mean())
    assert (best * rewards).sum(axis=1).mean() > max(gains)
    assert WORLD.value(best, log.types) > WORLD.value(taken, log.types) + 0.05


@pytest.mark.parametrize(
    "settings", [{"clusters": 0}, {"clusters": 97}, {"types": 0}, {"min_events": 1}, {"agreement": 1.5}]
)
def test_worlds_that_cannot_be_made(settings):
    with pytest.raises(ConfigError, match=r"a world cannot be made|is invalid: expected an integer >= 1"):
        PreferenceWorld(**settings)
