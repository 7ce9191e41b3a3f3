import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit.errors import ConfigError, DataError
from sidkit.evaluate import bootstrap_interval, bootstrap_p_value, interval


def draw_users(values, users, resamples, seed):
    """Bootstrap as in the book: draw users one by one, and take the mean of all their rows."""
    random = np.random.default_rng(seed)
    distinct = np.unique(users)
    rows = {user: values[users == user] for user in distinct}
    return np.array(
        [
            np.concatenate([rows[user] for user in random.choice(distinct, len(distinct))]).mean()
            for _ in range(resamples)
        ]
    )


@pytest.mark.parametrize("repeats", [1, 3])
def test_agrees_with_drawing_users(repeats):
    random = np.random.default_rng(5)
    values = random.choice([0.0, 0.0, 0.5, 1.0], size=240)
    users = random.integers(0, 240 // repeats, size=240)
    drawn = draw_users(values, users, 4000, seed=1)
    low, high = bootstrap_interval(values, users=users, resamples=4000, seed=2)
    # Both ends are known to about 2 % of the interval from 4,000 samples; allow four times that.
    slack = 0.08 * (high - low)
    assert np.abs(np.quantile(drawn, [0.025, 0.975]) - [low, high]).max() < slack


def test_covers_the_truth_about_95_times_of_100():
    random = np.random.default_rng(0)
    inside = 0
    for trial in range(400):
        sample = (random.random(300) < 0.2).astype(float)
        low, high = bootstrap_interval(sample, resamples=500, seed=trial)
        inside += low <= 0.2 <= high
    assert 365 <= inside <= 395  # 380 expected, standard deviation 4.4


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_lies_within_the_values_and_repeats(values, seed):
    low, high = bootstrap_interval(values, resamples=50, seed=seed)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert bootstrap_interval(values[::-1], resamples=50, seed=seed) == pytest.approx((low, high), abs=1e-12)


def test_one_value_has_no_width():
    assert bootstrap_interval([0.25] * 7) == (0.25, 0.25)


def test_a_user_with_many_rows_counts_as_one():
    values, users = np.array([1.0] * 99 + [0.0]), np.array([0] * 99 + [1])
    low, high = bootstrap_interval(values, users=users)
    assert (low, high) == (0.0, 1.0)
    assert bootstrap_interval(values)[0] > 0.9


def test_blocks_do_not_change_the_draws(monkeypatch):
    values = np.random.default_rng(0).integers(0, 5, 50)
    whole = bootstrap_interval(values, resamples=100)
    monkeypatch.setattr(interval, "_BLOCK_COUNTS", 35)
    assert bootstrap_interval(values, resamples=100) == whole


@pytest.mark.parametrize(
    ("values", "options", "error", "message"),
    [
        ([], {}, DataError, "`values` of a bootstrap must be (m,) with at least one row, got (0,)"),
        (
            [[1.0]],
            {},
            DataError,
            "`values` is invalid: expected an array of numbers of shape (rows,), got [[1.0]].",
        ),
        ([1.0, np.nan], {}, DataError, "`values` of a bootstrap must be finite, got NaN or infinity"),
        ([1.0], {"users": np.array([1, 2])}, DataError, "`users` must be (1,), one per row, got (2,)"),
        ([1.0], {"resamples": 1}, ConfigError, "expected resamples >= 2, got 1"),
        ([1.0], {"level": 95}, ConfigError, "expected 0 < level < 1, got 95"),
    ],
)
def test_bad_input(values, options, error, message):
    with pytest.raises(error) as caught:
        bootstrap_interval(values, **options)
    assert str(caught.value) == message


def test_p_of_no_difference_is_uniform():
    random = np.random.default_rng(3)
    found = np.array(
        [bootstrap_p_value(random.choice([-1.0, 0, 1], 200), resamples=200, seed=t) for t in range(300)]
    )
    # Of 300 uniform numbers 15 are expected below 0.05, standard deviation 3.8.
    assert 4 <= (found < 0.05).sum() <= 28 and 0.4 < found.mean() < 0.6


def test_p_of_a_plain_difference():
    assert bootstrap_p_value([1.0] * 50 + [0.0] * 50, resamples=999) == pytest.approx(0.002)
    assert bootstrap_p_value([-1.0] * 50 + [0.0] * 50, resamples=999) == pytest.approx(0.002)
    assert bootstrap_p_value([0.0] * 50) == 1.0
