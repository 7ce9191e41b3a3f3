r"""DSI on a document collection, with its curve and a check of what it memorizes.

    python benches/python/search_dsi.py nfcorpus --out benches/results/nfcorpus/dsi

Fits `DSI` and the exact search over text vectors, evaluates both on the test queries, and writes
`search.json`: the curve of the training, and success@1 of the texts of 500 documents and NDCG@10 of 500
training queries, which the network was trained on.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from sidkit.evaluate.machine import machine_facts, version_facts
from sidkit.search import DSI, Dense, load_collection
from sidkit.search.collection import document_texts

CHECKED = 500


def memorized(retriever, collection):
    """Success@1 of documents as queries, and NDCG@10 of training queries."""
    random = np.random.default_rng(0)
    rows = random.permutation(len(collection))[:CHECKED]
    texts = document_texts(collection.documents)
    first = retriever.search_rows([texts[row] for row in rows], 1)[0][:, 0]
    train = collection.split("train")
    some = train.take(np.sort(random.permutation(len(train))[:CHECKED]))
    return {
        "documents_success@1": float((first == rows).mean()),
        "train_queries_ndcg@10": retriever.evaluate(some, ["ndcg@10"])["ndcg@10"],
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("collection", type=Path, help="directory of a collection with test queries")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="passes over the documents; by default that of `DSI`")
    parser.add_argument("--cache", default="cache/vectors", help="directory of cached text vectors")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    collection = load_collection(given.collection)
    queries = collection.split("test")
    chosen = {} if given.epochs is None else {"epochs": given.epochs}
    retriever = DSI(cache=given.cache, seed=given.seed, **chosen)
    began = time.process_time()
    retriever.fit(collection)
    fitting = time.process_time() - began
    print("curve", retriever.curve_.round(4).tolist(), round(fitting), flush=True)
    found, dense = retriever.evaluate(queries), Dense(cache=given.cache).fit(collection).evaluate(queries)
    known = memorized(retriever, collection)
    print(found, known, flush=True)
    name = f"dsi-seed{given.seed}"
    stored = {
        "collection": collection.name,
        "documents": len(collection),
        "queries": {split: len(collection.split(split)) for split in collection.splits},
        "evaluated_on": "test",
        "seeds": [given.seed],
        "results": {
            "dense": {**dense.as_dict()["metrics"], "facts": {}},
            name: {**found.as_dict()["metrics"], "facts": {"fit_seconds": round(fitting, 2), **known}},
        },
        "comparisons": [{"model": name, "baseline": "dense", **vars(found.compare(dense))}],
        "curve": retriever.curve_.tolist(),
        "machine": machine_facts(),
        "versions": version_facts(),
        "query_ids": found.query_ids,
        "ndcg@10": {"dense": np.round(dense.values["ndcg@10"], 5).tolist()}
        | {name: np.round(found.values["ndcg@10"], 5).tolist()},
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "search.json").write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()
