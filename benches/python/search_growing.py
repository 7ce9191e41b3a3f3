r"""Growing collection: documents in five batches after the training, as in DSI++ (Mehta et al., EMNLP 2023).

    python benches/python/search_growing.py nfcorpus --out benches/results/nfcorpus/growing.json

SidRetriever is fitted on a random half of the documents and the labels of these. The other half is added in
five batches without training. After each batch, Recall@100 and NDCG@10 are measured once for the labels of
the documents of the training and once for those of added documents; all documents so far are candidates. A
query counts where it has a relevant document of the kind. Three references have all documents: `refitted` is
the retriever fitted on everything, `untrained` the exact search over text vectors, whose difference between
the two kinds is that of the documents themselves, and `without_bias` the retriever that grew with
`added_recall=0`.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import polars as pl

from sidkit.evaluate.machine import machine_facts, version_facts
from sidkit.search import Collection, Dense, SidRetriever, load_collection

BATCHES, METRICS = 5, ("recall@100", "ndcg@10")


def restricted(collection, ids):
    """The collection with these documents alone."""
    kept = pl.Series(ids).implode()
    documents = collection.documents.filter(pl.col("doc_id").is_in(kept))
    return Collection.from_frames(
        documents,
        collection.queries,
        collection.qrels.filter(pl.col("doc_id").is_in(kept)),
        name=collection.name,
    )


def quality(retriever, collection, ids, split):
    """Metrics on the labels of some documents, which are a part of those that are searched."""
    known = Collection(
        retriever.documents_,
        collection.queries,
        collection.qrels.filter(pl.col("doc_id").is_in(pl.Series(ids).implode())),
    )
    queries = known.split(split)
    evaluation = retriever.evaluate(queries, METRICS)
    return {"queries": len(queries), **{name: evaluation[name] for name in METRICS}}


def grown(collection, seed, cache, split):
    """Quality after the training and after every batch."""
    order = np.random.default_rng(seed).permutation(len(collection))
    ids = collection.doc_ids.gather(order.tolist()).to_list()
    half = len(ids) // 2
    old, batches = ids[:half], np.array_split(np.array(ids[half:], object), BATCHES)
    first = restricted(collection, old)
    retriever = SidRetriever(cache=cache, seed=seed).fit(first)
    steps, added = [{"batch": 0, "old": quality(retriever, collection, old, split)}], []
    for number, batch in enumerate(batches, 1):
        retriever.add_documents(restricted(collection, batch.tolist()).documents)
        added += batch.tolist()
        steps.append({"batch": number, **both(retriever, collection, old, added, split)})
        print(seed, steps[-1], flush=True)
    plain = SidRetriever(cache=cache, seed=seed, added_recall=0).fit(first)
    references = {
        "refitted": SidRetriever(cache=cache, seed=seed).fit(collection),
        "untrained": Dense(cache=cache).fit(collection),
        "without_bias": plain.add_documents(restricted(collection, added).documents),
    }
    final = {name: both(each, collection, old, added, split) for name, each in references.items()}
    print(seed, final, flush=True)
    return {"seed": seed, "bias": float(retriever.added_bias_[0]), "steps": steps, **final}


def both(retriever, collection, old, added, split):
    """Metrics on the labels of the documents of the training, of those added, and of all."""
    kinds = {"old": old, "new": added, "all": [*old, *added]}
    return {kind: quality(retriever, collection, some, split) for kind, some in kinds.items()}


def relative(step):
    """Recall@100 of added documents, relative to that of those of the training."""
    return step["new"]["recall@100"] / step["old"]["recall@100"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("collection", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--split", choices=["test", "validation"], default="test")
    parser.add_argument("--cache", default="cache/vectors", help="directory of cached text vectors")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    collection = load_collection(given.collection)
    runs = [grown(collection, seed, given.cache, given.split) for seed in given.seeds]
    ratio = np.mean([relative(run["steps"][-1]) for run in runs])
    plain = np.mean([relative(run["untrained"]) for run in runs])
    print(
        f"Recall@100 of added documents relative to those of the training: {ratio:.3f}, untrained {plain:.3f}"
    )
    stored = {
        "collection": collection.name,
        "evaluated_on": given.split,
        "relative_recall@100": float(ratio),
        "relative_recall@100_untrained": float(plain),
        "runs": runs,
        "machine": machine_facts(),
        "versions": version_facts(),
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()
