"""`kmeans_fit` against scikit-learn's objective, and its arguments."""

import subprocess
import sys

import numpy as np
import pytest

from sidkit import assign_codes
from sidkit._core import kmeans_fit


def clustered(n=2000, dim=8, clusters=12, seed=0):
    rng = np.random.default_rng(seed)
    centers = 5 * rng.normal(size=(clusters, dim))
    return (centers[rng.integers(clusters, size=n)] + rng.normal(size=(n, dim))).astype(np.float32)


@pytest.mark.parametrize("init", ["k-means++", "k-means||", "bisect"])
def test_objective_is_that_of_scikit_learn(init):
    cluster = pytest.importorskip("sklearn.cluster")
    x = clustered()
    ours = min(kmeans_fit(x, 12, init=init, seed=seed)[2] for seed in range(3))
    theirs = cluster.KMeans(12, n_init=3, random_state=0).fit(x).inertia_
    assert ours <= 1.01 * theirs


def test_result_fits_together():
    x = clustered()
    centroids, assignment, objective = kmeans_fit(x, 12)
    assert (centroids.dtype, centroids.shape) == (np.float32, (12, 8))
    assert (assignment.dtype, assignment.shape) == (np.uint16, (2000,))
    np.testing.assert_array_equal(assignment, assign_codes(x, centroids[None])[:, 0])
    assert objective == pytest.approx(((x.astype(float) - centroids[assignment]) ** 2).sum())
    # Twenty-five iterations have converged here, so that every centroid is the mean of its rows.
    for code in range(12):
        np.testing.assert_allclose(centroids[code], x[assignment == code].mean(0, dtype=float), rtol=1e-5)


def test_the_seed_decides_and_threads_do_not():
    x = clustered()
    one, two = kmeans_fit(x, 30, seed=3, threads=1), kmeans_fit(x, 30, seed=3, threads=3)
    np.testing.assert_array_equal(one[0], two[0])
    assert one[2] == two[2]
    assert not np.array_equal(one[0], kmeans_fit(x, 30, seed=4)[0])


def test_capacity_is_kept():
    _, assignment, _ = kmeans_fit(clustered(), 30, capacity=67)
    assert np.bincount(assignment, minlength=30).max() <= 67


def test_mini_batches():
    x = clustered()
    full = kmeans_fit(x, 12)[2]
    assert kmeans_fit(x, 12, batch_size=256, iterations=50)[2] < 1.1 * full


@pytest.mark.parametrize(
    ("message", "codes", "options"),
    [
        ("`rows of x` is out of range: expected 11 to 4294967295, got 10", 11, {}),
        ("`codebook_size` is out of range: expected 1 to 65536, got 0", 0, {}),
        (
            'expected "random", "k-means++", "k-means||", "bisect" or centroids, got "best"',
            3,
            {"init": "best"},
        ),
        ("`capacity` is out of range: expected at least 4, got 3", 3, {"capacity": 3}),
        (
            "axis 0 of `init` has the wrong length: expected 3 to fit the other arguments, got 2",
            3,
            {"init": np.zeros((2, 2), np.float32)},
        ),
        (
            "axis 1 of `init` has the wrong length: expected 2 to fit the other arguments, got 5",
            3,
            {"init": np.zeros((3, 5), np.float32)},
        ),
        (
            "row 2 of `init` is invalid: expected finite values, got NaN or infinity",
            3,
            {"init": np.array([[0, 0], [1, 1], [0, np.inf]], np.float32)},
        ),
        ("got shape [3]", 3, {"init": np.zeros(3, np.float32)}),
        ("`batch_size` is out of range: expected at least 1, got 0", 3, {"batch_size": 0}),
        ("`threads` is out of range: expected at least 1, or None for all cores, got 0", 3, {"threads": 0}),
        ("`threads` is out of range: expected at least 1, or None for all cores, got -1", 3, {"threads": -1}),
        ("`codebook_size` is out of range: expected 0 to 18446744073709551615, got -3", -3, {}),
        ("`batch_size` is out of range: expected 0 to 18446744073709551615, got -9", 3, {"batch_size": -9}),
        ("`iterations` is out of range: expected 0 to 18446744073709551615, got -1", 3, {"iterations": -1}),
        ("`seed` is out of range: expected 0 to 18446744073709551615, got -2", 3, {"seed": -2}),
        (f"`seed` is out of range: expected 0 to 18446744073709551615, got {2**64}", 3, {"seed": 2**64}),
    ],
)
def test_bad_arguments_are_named(message, codes, options):
    with pytest.raises(ValueError) as caught:
        kmeans_fit(np.zeros((10, 2), np.float32), codes, **options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("init", "came"), [(7, "got int"), (np.zeros((3, 2)), "got float64"), ([[0.0, 0.0]] * 3, "got list")]
)
def test_a_start_of_another_type(init, came):
    expected = r"`init` is invalid: expected .* of shape \(codebook_size, dim\), or a name, "
    with pytest.raises(TypeError, match=expected + came):
        kmeans_fit(np.zeros((10, 2), np.float32), 3, init=init)


def test_given_centroids_are_the_start():
    """One step of Lloyd's algorithm from them, by hand."""
    x = clustered()
    given = x[[5, 100, 700, 1300]].copy()
    nearest = ((x[:, None].astype(float) - given) ** 2).sum(2).argmin(1)
    centroids, _, _ = kmeans_fit(x, 4, init=given, iterations=1)
    means = [x[nearest == code].mean(0, dtype=float) for code in range(4)]
    np.testing.assert_allclose(centroids, means, rtol=1e-6)
    np.testing.assert_array_equal(given, x[[5, 100, 700, 1300]])


def test_an_interrupt_ends_it():
    """The work would take days."""
    script = """
import os, signal, threading
import numpy as np
from sidkit._core import kmeans_fit

x = np.random.default_rng(0).normal(size=(1000, 8)).astype(np.float32)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    kmeans_fit(x, 50, batch_size=100, iterations=10**12)
except KeyboardInterrupt:
    print("interrupted")
"""
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=True
    )
    assert answer.stdout.strip() == "interrupted", answer.stderr


def test_a_row_that_is_not_finite_is_named():
    x = clustered(n=100)
    x[42, 1] = np.nan
    with pytest.raises(
        ValueError, match="row 42 of `x` is invalid: expected finite values, got NaN or infinity"
    ):
        kmeans_fit(x, 3)


def test_a_batch_that_no_memory_holds():
    with pytest.raises(
        MemoryError,
        match="`batch_size` is too large: expected values that fit into memory, got 4611686018427387904 x 2",
    ):
        kmeans_fit(np.zeros((10, 2), np.float32), 3, batch_size=2**62)
