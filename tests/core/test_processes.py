"""The pool of threads across processes: fork, spawn, and the workers of a DataLoader."""

import multiprocessing
import os
import sys
import warnings

import numpy as np
import pytest

from sidkit import assign_codes
from sidkit._core import Codebooks

SIZE = (20_000, 16)


def problem():
    rng = np.random.default_rng(0)
    codebooks = Codebooks(rng.normal(size=(3, 64, 16)).astype(np.float32))
    return rng.normal(size=SIZE).astype(np.float32), codebooks


def work(queue):
    queue.put(assign_codes(*problem()))


def in_process(method):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=work, args=(queue,))
    with warnings.catch_warnings():
        # Python itself warns of a fork while other threads run; that it works is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    codes = queue.get(timeout=60)
    process.join(timeout=60)
    assert process.exitcode == 0
    return codes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_after_fork_the_child_has_a_pool_of_its_own():
    expected = assign_codes(*problem())  # starts this process's pool
    for _ in range(3):
        np.testing.assert_array_equal(in_process("fork"), expected)
    np.testing.assert_array_equal(assign_codes(*problem()), expected)


@pytest.mark.slow
def test_spawned_processes():
    np.testing.assert_array_equal(in_process("spawn"), assign_codes(*problem()))


class Batches:
    """A map-style dataset of encoded batches."""

    def __init__(self, x, codebooks):
        self.x = x
        self.codebooks = codebooks

    def __len__(self):
        return 8

    def __getitem__(self, item):
        return assign_codes(np.split(self.x, 8)[item], self.codebooks).astype(np.int64)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux")
def test_workers_of_a_data_loader():
    data = pytest.importorskip("torch.utils.data")
    x, codebooks = problem()
    expected = assign_codes(x, codebooks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        loader = data.DataLoader(Batches(x, codebooks), batch_size=None, num_workers=2)
        codes = np.concatenate([batch.numpy() for batch in loader])
    np.testing.assert_array_equal(codes, expected)
