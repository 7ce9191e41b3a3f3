"""MMR and greedy DPP against vectorized NumPy: the top 10 of 200 candidates, vectors of 384 numbers.

NumPy gets three ways: all lists at once, list by list with the matrix of all cosines, and list by list with
the cosines of the chosen items only. Each must give our lists, which is asserted before anything is timed.
RecTools has no such re-ranker. One thread on both sides; on a busy machine, time the processor:

    OMP_NUM_THREADS=1 pytest benches/python/test_rerank.py --benchmark-timer=time.process_time \
        --benchmark-json=benches/record/rerank.json
"""

import numpy as np
import pytest

from sidkit import _core

ITEMS, DIM, LISTS, CANDIDATES, K = 12_101, 384, 128, 200, 10
FLOOR = 1e-6


class World:
    """Vectors in 300 clusters, and candidates of some clusters for each list, with scores from 1 to 0."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        centres = random.normal(size=(300, DIM))
        cluster = random.integers(0, 300, ITEMS)
        self.vectors = (centres[cluster] + random.normal(size=(ITEMS, DIM))).astype(np.float32)
        self.items = np.empty((LISTS, CANDIDATES), np.int32)
        for row in self.items:
            likely = np.isin(cluster, random.permutation(300)[:20])
            row[:] = random.choice(
                ITEMS,
                CANDIDATES,
                replace=False,
                p=np.where(likely, 1.0, 0.01) / (likely + 0.01 * ~likely).sum(),
            )
        scores = -np.sort(-random.normal(size=(LISTS, CANDIDATES)), axis=1)
        low, high = scores[:, -1:], scores[:, :1]
        self.scores = ((scores - low) / (high - low)).astype(np.float32)
        self.units = self.vectors / np.linalg.norm(self.vectors, axis=1, keepdims=True)


def sidkit_mmr(world, w):
    return _core.mmr_select(world.items, world.scores, world.vectors, K, diversity=w, threads=1)[0]


def sidkit_dpp(world, w):
    return _core.dpp_select(world.items, world.scores, world.vectors, K, diversity=w, threads=1)[0]


def all_lists_mmr(world, w):
    x, rows = world.units[world.items], np.arange(LISTS)
    similar, out = np.zeros((LISTS, CANDIDATES), np.float32), np.empty((LISTS, K), np.int32)
    taken = np.zeros((LISTS, CANDIDATES), bool)
    for step in range(K):
        value = (1 - w) * world.scores - w * similar
        value[taken] = -np.inf
        place = value.argmax(1)
        out[:, step], taken[rows, place] = place, True
        np.maximum(similar, np.matmul(x, x[rows, place][:, :, None])[:, :, 0], out=similar)
    return out


def single_lists_mmr(world, w, *, every_cosine):
    out = np.empty((LISTS, K), np.int32)
    for row, (items, scores) in enumerate(zip(world.items, world.scores, strict=True)):
        x = world.units[items]
        cosines = x @ x.T if every_cosine else None
        relevance, similar = (1 - w) * scores, np.zeros(CANDIDATES, np.float32)
        for step in range(K):
            place = (relevance - w * similar).argmax()
            out[row, step], relevance[place] = place, -np.inf
            np.maximum(similar, x @ x[place] if cosines is None else cosines[place], out=similar)
    return out


def all_lists_dpp(world, w):
    x, rows = world.units[world.items], np.arange(LISTS)
    variance = np.ones((LISTS, CANDIDATES), np.float32)
    factors, out = np.zeros((LISTS, K, CANDIDATES), np.float32), np.empty((LISTS, K), np.int32)
    taken = np.zeros((LISTS, CANDIDATES), bool)
    for step in range(K):
        value = (1 - w) * world.scores + w * np.log(np.maximum(variance, FLOOR))
        value[taken] = -np.inf
        place = value.argmax(1)
        out[:, step], taken[rows, place] = place, True
        cosine = np.matmul(x, x[rows, place][:, :, None])[:, :, 0]
        own = factors[rows, :step, place]
        cosine -= np.matmul(own[:, None, :], factors[:, :step])[:, 0]
        factors[:, step] = cosine / np.sqrt(variance[rows, place])[:, None]
        variance -= factors[:, step] ** 2
    return out


def single_lists_dpp(world, w, *, every_cosine):
    """The published algorithm of Chen, Zhang and Zhou, with the weights of ours."""
    out = np.empty((LISTS, K), np.int32)
    for row, (items, scores) in enumerate(zip(world.items, world.scores, strict=True)):
        x = world.units[items]
        cosines = x @ x.T if every_cosine else None
        relevance, variance = (1 - w) * scores, np.ones(CANDIDATES, np.float32)
        factors = np.zeros((K, CANDIDATES), np.float32)
        for step in range(K):
            place = (relevance + w * np.log(np.maximum(variance, FLOOR))).argmax()
            out[row, step], relevance[place] = place, -np.inf
            cosine = x @ x[place] if cosines is None else cosines[place]
            factors[step] = (cosine - factors[:step, place] @ factors[:step]) / np.sqrt(variance[place])
            variance -= factors[step] ** 2
    return out


SIDES = {
    ("mmr", "sidkit"): sidkit_mmr,
    ("mmr", "NumPy, all lists"): all_lists_mmr,
    ("mmr", "NumPy, every cosine"): lambda world, w: single_lists_mmr(world, w, every_cosine=True),
    ("mmr", "NumPy, list by list"): lambda world, w: single_lists_mmr(world, w, every_cosine=False),
    ("dpp", "sidkit"): sidkit_dpp,
    ("dpp", "NumPy, all lists"): all_lists_dpp,
    ("dpp", "NumPy, every cosine"): lambda world, w: single_lists_dpp(world, w, every_cosine=True),
    ("dpp", "NumPy, list by list"): lambda world, w: single_lists_dpp(world, w, every_cosine=False),
}


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.mark.parametrize("diversity", [0.3, 0.7])
@pytest.mark.parametrize(("method", "side"), SIDES)
def test_lists_per_second(benchmark, world, method, side, diversity):
    run = SIDES[method, side]
    np.testing.assert_array_equal(run(world, diversity), SIDES[method, "sidkit"](world, diversity))
    benchmark.group = f"{method}, diversity {diversity}"
    benchmark.pedantic(run, args=(world, diversity), rounds=7, warmup_rounds=1)
    benchmark.extra_info |= {
        "method": method,
        "side": side,
        "diversity": diversity,
        "lists": LISTS,
        "candidates": CANDIDATES,
        "k": K,
        "dim": DIM,
        "microseconds_per_list": benchmark.stats.stats.median / LISTS * 1e6,
    }
