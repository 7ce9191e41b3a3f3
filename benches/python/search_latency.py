r"""Search in a million vectors: prefix tree against the inverted file of faiss, on one thread.

    OMP_NUM_THREADS=1 python benches/python/search_latency.py --out benches/record/search-latency.json

Vectors are unit vectors of 384 dimensions around 20,000 centres, in clusters whose sizes vary; queries are
documents with noise. Recall is that of the exact ten nearest by inner product. Both indexes are trained on
the same sample; every combination of beam or probes is timed by the processor time of single searches.
"""

import argparse
import json
import time
from pathlib import Path

import faiss
import numpy as np

from sidkit import HierarchicalKMeans
from sidkit.evaluate.machine import machine_facts, version_facts
from sidkit.search.prefixes import PrefixTree

K, DIM, CENTRES, QUERIES, SAMPLE = 10, 384, 20_000, 200, 250_000


def world(documents, noise=0.7):
    """Documents and queries, float32 of length 1."""
    random = np.random.default_rng(0)
    coarse = random.standard_normal((200, DIM), np.float32)
    centres = 0.8 * coarse[random.integers(0, 200, CENTRES)] + random.standard_normal(
        (CENTRES, DIM), np.float32
    )
    shares = random.gamma(1.0, size=CENTRES)
    owners = random.choice(CENTRES, documents, p=shares / shares.sum())
    x = np.empty((documents, DIM), np.float32)
    for start in range(0, documents, 100_000):
        some = owners[start : start + 100_000]
        x[start : start + len(some)] = centres[some] + noise * random.standard_normal(
            (len(some), DIM), np.float32
        )
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    queries = x[random.integers(0, documents, QUERIES)] + 0.03 * random.standard_normal(
        (QUERIES, DIM), np.float32
    )
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    return x, queries


def timed(searches, queries, exact):
    """Recall, and the median of the best of three processor times of every query, in milliseconds.

    All searches take turns on every query, so that a change of the load of the machine affects them alike.
    """
    times, hits = np.full((3, len(searches), len(queries)), np.inf), np.zeros(len(searches), int)
    for repeat in range(3):
        for place in range(len(queries)):
            one = queries[place : place + 1]
            for number, search in enumerate(searches):
                began = time.process_time_ns()
                found = search(one)
                times[repeat, number, place] = time.process_time_ns() - began
                if repeat == 0:
                    hits[number] += len(set(found[0].tolist()) & set(exact[place].tolist()))
    return (hits / (K * len(queries))).tolist(), (np.median(times.min(axis=0), axis=1) / 1e6).tolist()


def built_tree(x, sample, sizes):
    """Tree of two levels with these numbers of children of a prefix."""
    tokenizer = HierarchicalKMeans(2, sizes, standardize=False, iterations=8, balanced=False, threads=1)
    return PrefixTree.build(tokenizer.fit(sample).encode(x), x)


def built_ivf(x, sample, lists):
    """Inverted file of faiss."""
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(DIM), DIM, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = 8
    index.train(sample)
    index.add(x)
    return index


def searched(index, probes):
    """Search function of an inverted file."""

    def search(one):
        index.nprobe = probes
        return index.search(one, K)[1]

    return search


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument(
        "--sizes", type=int, nargs=2, default=[1000, 62], help="children of a prefix, by level"
    )
    parser.add_argument("--lists", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    faiss.omp_set_num_threads(1)
    x, queries = world(given.documents)
    exact = exact_top(queries, x)
    sample = x[np.random.default_rng(1).permutation(len(x))[:SAMPLE]]
    rows, searches, built = [], [], {}
    began = time.process_time()
    tree = built_tree(x, sample, given.sizes)
    paths = len(tree.prefixes[-1])
    built[f"tree{paths}"] = time.process_time() - began
    print("tree", paths, built, flush=True)
    for beam in (1, 2, 4, 8, 16, 32, 64, 128):
        rows.append({"index": "prefix tree", "paths": paths, "beam": beam})
        searches.append(lambda one, beam=beam: tree.search(one, K, beam)[0])
    for lists in given.lists:
        began = time.process_time()
        index = built_ivf(x, sample, lists)
        built[f"ivf{lists}"] = time.process_time() - began
        print("ivf", lists, built, flush=True)
        for probes in (1, 2, 4, 8, 16, 32, 64):
            rows.append({"index": f"IVF{lists}", "probes": probes})
            searches.append(searched(index, probes))
    del x, sample
    for row, recall, cost in zip(rows, *timed(searches, queries, exact), strict=True):
        row |= {"recall": recall, "milliseconds": cost}
        print(row, flush=True)
    stored = {
        "documents": given.documents,
        "queries": QUERIES,
        "build_cpu_seconds": built,
        "rows": rows,
        "machine": machine_facts(),
        "versions": {**version_facts(), "faiss": faiss.__version__},
    }
    given.out.write_text(json.dumps(stored, indent=1) + "\n")


def exact_top(queries, x):
    """The exact nearest by inner product, block by block."""
    best = np.full((len(queries), K), -1, np.int64)
    scores = np.full((len(queries), K), -np.inf, np.float32)
    for start in range(0, len(x), 100_000):
        block = queries @ x[start : start + 100_000].T
        top = np.argpartition(-block, K, axis=1)[:, :K]
        both = np.concatenate([scores, np.take_along_axis(block, top, axis=1)], axis=1)
        rows = np.concatenate([best, top + start], axis=1)
        order = np.argsort(-both, axis=1, kind="stable")[:, :K]
        best, scores = np.take_along_axis(rows, order, axis=1), np.take_along_axis(both, order, axis=1)
    return best


if __name__ == "__main__":
    main()
