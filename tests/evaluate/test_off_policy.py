"""Off-policy estimates: by hand, against the true value of a bandit, and invalid input."""

import numpy as np
import pytest

from sidkit.data import PreferenceWorld
from sidkit.errors import ConfigError, DataError
from sidkit.evaluate import DR, IPS, SNIPS

REWARDS, BEFORE, AFTER = [1.0, 0.0, 1.0], [0.5, 0.25, 0.25], [0.25, 0.25, 0.5]


def test_estimates_by_hand():
    ips = IPS().estimate(REWARDS, BEFORE, AFTER)
    assert ips.value == pytest.approx((0.5 + 0 + 2) / 3)
    assert ips.mean_weight == pytest.approx(3.5 / 3)
    assert ips.effective_sample_size == pytest.approx(3.5**2 / (0.25 + 1 + 4))
    assert SNIPS().estimate(REWARDS, BEFORE, AFTER).value == pytest.approx(2.5 / 3.5)
    assert IPS(clip=1.0).estimate(REWARDS, BEFORE, AFTER).value == pytest.approx((0.5 + 0 + 1) / 3)
    dr = DR().estimate(REWARDS, BEFORE, AFTER, predicted=[0.5, 0.5, 0.5], expected=[0.6, 0.4, 0.5])
    assert dr.value == pytest.approx(np.mean([0.6 + 0.25, 0.4 - 0.5, 0.5 + 1.0]))


def test_the_policy_of_the_log_has_the_mean_reward():
    rewards = np.random.default_rng(0).random(50)
    same = np.full(50, 0.2)
    for method in (IPS(), SNIPS()):
        found = method.estimate(rewards, same, same)
        assert found.value == pytest.approx(rewards.mean())
        half = 1.96 * rewards.std(ddof=1) / np.sqrt(50)
        assert found.ci95 == pytest.approx((rewards.mean() - half, rewards.mean() + half), abs=1e-5)
        assert found.effective_sample_size == pytest.approx(50)


def test_rows_of_one_user_depend_on_each_other():
    rewards = np.repeat(np.random.default_rng(0).random(40), 10)
    same = np.full(400, 0.2)
    users = np.repeat(np.arange(40), 10)
    apart = IPS().estimate(rewards, same, same)
    together = IPS().estimate(rewards, same, same, users=users)
    wider = (together.ci95[1] - together.ci95[0]) / (apart.ci95[1] - apart.ci95[0])
    assert wider == pytest.approx(np.sqrt(10), rel=0.02)


def test_intervals_hold_the_true_value():
    """60 logs of a bandit: of intervals with 95 %, fewer than 52 hold the value once in 2,000 runs."""
    world = PreferenceWorld(items=24, clusters=6, types=3, min_events=4, max_events=6)
    covered = dict.fromkeys(("ips", "snips", "dr"), 0)
    policy = 0.7 * world.propensities + 0.3 * world.rewards / world.rewards.sum(axis=1, keepdims=True)
    model = 0.5 * world.rewards + 0.2
    truth = (policy * world.rewards).sum(axis=1).mean()  # types are equally frequent
    for seed in range(60):
        log = world.log(300, seed=seed)
        last = log.histories.offsets[1:] - 1
        action, types = log.histories.values[last], log.types
        given = log.liked[last], log.propensities()[last], policy[types, action]
        expected = (policy * model).sum(axis=1)[types]
        for found in (
            IPS().estimate(*given),
            SNIPS().estimate(*given),
            DR().estimate(*given, predicted=model[types, action], expected=expected),
        ):
            covered[found.method] += found.ci95[0] <= truth <= found.ci95[1]
    assert min(covered.values()) >= 52


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], []), "at least one"),
        (([1.0], [0.0], [0.5]), "`propensities` are no probabilities"),
        (([1.0], [0.5], [1.5]), "`probabilities` are no probabilities"),
        (([1.0], [-0.7], [0.5]), "Pass probabilities, not their logarithms"),
        (([np.nan], [0.5], [0.5]), "`rewards` is invalid"),
        (([1.0, 2.0], [0.5], [0.5, 0.5]), "`propensities` does not fit `rewards`: expected length 2"),
    ],
)
def test_invalid_logs(arguments, message):
    with pytest.raises(DataError, match=message):
        IPS().estimate(*arguments)


def test_other_invalid_input():
    with pytest.raises(ConfigError, match="`clip` is invalid"):
        SNIPS(clip=0.0)
    with pytest.raises(DataError, match="the log says nothing about the policy"):
        SNIPS().estimate([1.0], [0.5], [0.0])
    with pytest.raises(DataError, match="`users` is invalid"):
        DR().estimate([1.0], [0.5], [0.5], predicted=[0.0], expected=[0.0], users=np.arange(2))
