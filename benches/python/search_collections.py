r"""Retrievers on a document collection: BM25, dense, faiss IVF at equal work, SidRetriever and their hybrid.

    python benches/python/search_collections.py nfcorpus --seeds 0 1 2 --out benches/results/nfcorpus/search

Fits every retriever with its default settings on the training and validation queries, evaluates them on the
test queries, and writes `search.json`: means with 95 % bootstrap intervals over queries, paired differences
to the best single baseline and, for the hybrid, to the best single retriever; the choices of `fit`; times of
the processor; and NDCG@10 of every query. IVF visits as many vectors as the beam search of SidRetriever.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from sidkit.evaluate.machine import machine_facts, version_facts
from sidkit.search import BM25, IVF, Dense, Hybrid, SidRetriever, load_collection

BASELINES = ("bm25", "dense")


def measure(collection, seeds, cache):
    """Fit and evaluate every retriever."""
    queries = collection.split("test")
    results = {}
    for seed in seeds:
        retrievers = {
            "sid": SidRetriever(cache=cache, seed=seed),
            "hybrid": Hybrid(cache=cache, seed=seed),
        }
        if seed == seeds[0]:
            retrievers = {"bm25": BM25(), "dense": Dense(cache=cache), **retrievers}
        for name, retriever in retrievers.items():
            began = time.process_time()
            retriever.fit(collection)
            fitted = time.process_time()
            evaluation = retriever.evaluate(queries)
            key = name if name in BASELINES else f"{name}-seed{seed}"
            print(f"{key}: {evaluation}", flush=True)
            results[key] = (evaluation, facts(retriever, fitted - began, time.process_time() - fitted))
        if seed == seeds[0]:
            evaluation, work = equal_work(collection, retrievers["sid"], queries, cache)
            print(f"ivf: {evaluation}", flush=True)
            results["ivf"] = (evaluation, work)
    return results


def facts(retriever, fitting, searching):
    """The choices of `fit`, and processor seconds."""
    chosen = {"fit_seconds": round(fitting, 2), "search_seconds": round(searching, 2)}
    if hasattr(retriever, "chosen_"):
        share, epochs, before, after = retriever.chosen_.tolist()
        chosen |= {"share": share, "epochs": epochs, "validation": [before, after]}
    if hasattr(retriever, "weights_"):
        names = [part.method for part in retriever.parts_]
        chosen["weights"] = dict(zip(names, retriever.weights_.tolist(), strict=True))
    return chosen


def equal_work(collection, retriever, queries, cache):
    """Evaluate IVF with as many probes as cost the inner products of the beam search."""
    work = retriever.work(queries.texts)
    documents = len(collection)
    lists = round(documents**0.5)
    probes = max(1, round((work - lists) / (documents / lists)))
    evaluation = IVF(cache=cache, lists=lists, probes=min(probes, lists)).fit(collection).evaluate(queries)
    return evaluation, {"inner_products": work, "lists": lists, "probes": probes}


def compared(results):
    """Paired differences in NDCG@10."""
    best = max(BASELINES, key=lambda name: results[name][0]["ndcg@10"])
    found = []
    for name, (evaluation, _) in results.items():
        if name != best:
            found.append({"model": name, "baseline": best, **vars(evaluation.compare(results[best][0]))})
        if name.startswith("hybrid"):
            alone = name.replace("hybrid", "sid")
            found.append({"model": name, "baseline": alone, **vars(evaluation.compare(results[alone][0]))})
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("collection", type=Path, help="directory of a collection with test queries")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cache", default="cache/vectors", help="directory of cached text vectors")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    collection = load_collection(given.collection)
    results = measure(collection, given.seeds, given.cache)
    stored = {
        "collection": collection.name,
        "documents": len(collection),
        "queries": {split: len(collection.split(split)) for split in collection.splits},
        "evaluated_on": "test",
        "seeds": given.seeds,
        "results": {
            name: {**evaluation.as_dict()["metrics"], "facts": chosen}
            for name, (evaluation, chosen) in results.items()
        },
        "comparisons": compared(results),
        "machine": machine_facts(),
        "versions": version_facts(),
        "query_ids": results["bm25"][0].query_ids,
        "ndcg@10": {
            name: np.round(evaluation.values["ndcg@10"], 5).tolist()
            for name, (evaluation, _) in results.items()
        },
    }
    given.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(stored, indent=1)
    (given.out / "search.json").write_text(text + "\n")
    for each in stored["comparisons"]:
        print(each)


if __name__ == "__main__":
    main()
