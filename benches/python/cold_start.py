r"""Recommendation of items that no training event holds, with and without `item_dropout`.

    python benches/python/cold_start.py ../shared/data/beauty --seed 0 --models runs/cold-models \
        --out benches/record/cold-start-beauty-s0.json

holds out a tenth of the items (`split("cold_items", share=0.1, seed=0)`) and fits `RQTransformer` with
default settings, and again with `item_dropout=0.25`. `new_item_bias` of the second is the value with the
highest Recall@10 of cold validation targets whose warm validation Recall@10 is at least 0.98 times that of
the first model. `ContentKNN` is the baseline; its recency is chosen by the same cold Recall@10. The test
examples are read once, with the chosen values.

`warm` and `cold` are the users whose target has training events, or none; all items of the catalogue are
candidates, and seen items are excluded. `among_cold` ranks the cold items alone, for the cold users. Fitted
models are kept in `--models` and reused.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

import sidkit
from sidkit.evaluate import machine_facts, version_facts

K, DROPOUT, KEPT = 10, 0.25, 0.98
BIASES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
RECENCIES = (0.3, 0.5, 0.7, 0.9)


def measure(model, examples, cold, scoring):
    """Return recall and NDCG of warm and cold targets, and the share of cold items in the lists."""
    ids, _ = model.recommend(examples, k=K, scoring=scoring)
    targets = model.item_ids_.gather(examples.targets).to_numpy()
    found = ids == targets[:, None]
    gains = (found / np.log2(np.arange(2, K + 2))).sum(1)
    is_cold = cold[examples.targets]
    cold_ids = model.item_ids_.filter(cold).to_list()
    figures = {"cold_share": float(np.isin(ids, cold_ids).mean())}
    for name, users in (("all", is_cold | True), ("warm", ~is_cold), ("cold", is_cold)):
        figures[f"recall_{name}"] = float(found[users].any(1).mean())
        figures[f"ndcg_{name}"] = float(gains[users].mean())
    some = examples.take(np.flatnonzero(is_cold))
    ids, _ = model.recommend(some, k=K, scoring=scoring, allow=cold_ids)
    figures["recall_among_cold"] = float((ids == targets[is_cold, None]).any(1).mean())
    return figures


def fitted(path, model, split, **options):
    """Load a model, or fit and save it; return it and the seconds of processor time of its training."""
    clock = path / "seconds.json"
    if not clock.exists():
        began = time.process_time()
        model.fit(split.train, validation=split.validation, **options)
        seconds = time.process_time() - began
        model.save(path)
        clock.write_text(json.dumps(seconds))
    return sidkit.load_model(path), json.loads(clock.read_text())


def main():
    """Fit, choose on validation, and read the test examples once."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    data = sidkit.load_dataset(given.data)
    split = data.split("cold_items", share=0.1, seed=0)
    cold, x = split.cold_items, sidkit.embed_items(data.items)
    sids = sidkit.RQKMeans(levels=3, codebook_size=256).fit(x).semantic_ids(x, data.item_ids)
    record = {"dataset": data.name, "seed": given.seed, "cold_items": int(cold.sum()), "k": K, "test": {}}
    record |= {"item_dropout": DROPOUT, "machine": machine_facts(), "versions": version_facts(), "chosen": {}}
    models = {}
    for name, dropout in (("plain", 0.0), ("item_dropout", DROPOUT)):
        model = sidkit.RQTransformer(seed=given.seed, item_dropout=dropout)
        path = given.models / f"{data.name}-{name}-s{given.seed}"
        models[name], record[f"seconds_{name}"] = fitted(path, model, split, sids=sids, item_vectors=x)
    for scoring in ("exact", "fused"):
        plain, model = models["plain"], models["item_dropout"]
        least = KEPT * measure(plain, split.validation, cold, scoring)["recall_warm"]
        record["test"][f"plain {scoring}"] = measure(plain, split.test, cold, scoring)
        record["test"][f"item_dropout {scoring}, no bias"] = measure(model, split.test, cold, scoring)
        found = {}
        for bias in BIASES:
            found[bias] = measure(model.set_params(new_item_bias=bias), split.validation, cold, scoring)
            print(scoring, bias, least, found[bias], flush=True)
            if found[bias]["recall_warm"] < least:
                break
        kept = [bias for bias in found if found[bias]["recall_warm"] >= least] or [0.0]
        bias = max(kept, key=lambda each: found[each]["recall_cold"])
        record["chosen"][scoring] = {"new_item_bias": bias, "validation": found[bias], "least_warm": least}
        model.set_params(new_item_bias=bias)
        record["test"][f"item_dropout {scoring}"] = measure(model, split.test, cold, scoring)
        model.set_params(new_item_bias=0.0)
    neighbours = [sidkit.ContentKNN(recency=each).fit(split.train, item_vectors=x) for each in RECENCIES]
    best = max(neighbours, key=lambda each: measure(each, split.validation, cold, None)["recall_cold"])
    record["chosen"]["content_knn"] = {"recency": best.recency}
    record["test"]["content_knn"] = measure(best, split.test, cold, None)
    text = json.dumps(record, indent=1)
    print(text)
    if given.out is not None:
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
