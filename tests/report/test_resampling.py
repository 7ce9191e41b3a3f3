import numpy as np

from sidkit.evaluate.interval import bootstrap_means, interval_of
from sidkit.report.tables.resampling import sample_means


def hits(seed, share, users=3000):
    return (np.random.default_rng(seed).random(users) < share).astype(float)


def test_means_have_the_distribution_of_the_bootstrap():
    column = hits(0, 0.1) * np.random.default_rng(1).random(3000)
    ours = sample_means(column[:, None], 4000)[:, 0]
    theirs = bootstrap_means(column, resamples=4000)
    assert abs(ours.mean() - column.mean()) < 4 * ours.std() / 4000**0.5
    assert abs(ours.std() / theirs.std() - 1) < 0.05
    assert np.allclose(interval_of(ours), interval_of(theirs), rtol=0.03)


def test_samples_are_shared_by_the_columns():
    first = hits(0, 0.2)
    means = sample_means(np.column_stack([first, first, 1 - first]), 300)
    assert (means[:, 0] == means[:, 1]).all()
    assert np.allclose(means[:, 0] + means[:, 2], 1)


def test_the_difference_of_nested_hits_never_changes_its_sign():
    some = hits(0, 0.2)
    more = np.maximum(some, hits(1, 0.02))
    means = sample_means(np.column_stack([more, some]), 300)
    assert (means[:, 0] > means[:, 1]).all()


def test_samples_are_reproducible_and_do_not_depend_on_users_without_hits():
    column = hits(0, 0.2)
    assert (sample_means(column[:, None], 50, seed=3) == sample_means(column[:, None], 50, seed=3)).all()
    assert (sample_means(column[:, None], 50) == sample_means(np.sort(column)[:, None], 50)).all()
    assert (sample_means(np.zeros((5, 2)), 4) == 0).all()


def test_blocks_of_samples(monkeypatch):
    column = hits(0, 0.2, users=200)[:, None]
    whole = sample_means(column, 100)
    monkeypatch.setattr("sidkit.report.tables.resampling._BLOCK_COUNTS", 7 * int(column.sum()))
    blocks = sample_means(column, 100)
    assert (whole == blocks).all()
