r"""Recommendation of items that no training event holds.

    python benches/python/cold_start.py ../shared/data/beauty --seed 0 --models runs/cold-models \
        --out benches/record/cold-start-beauty-s0.json

holds out a tenth of the items (`split("cold_items", share=0.1, seed=0)`), with all of their events, and fits
`RQTransformer` with default settings and `unseen_as_new`. `warm` and `cold` are the users whose target has
training events, or none; all items of the catalogue are candidates, and seen items are excluded. The anchor
is the same model with the cold items left out of the lists.

Validation chooses three values of `new_item_bias` for each scoring: `careful` and `generous`, the highest
Recall@10 of cold targets whose warm Recall@10 is at least 0.98 and 0.9 times that of the anchor, and `best`,
the highest Recall@10 of all users. `slots` reserves one position for a cold item, and at most three
(`SlotPolicy`). `ContentKNN` is the baseline; its recency is chosen by the same cold Recall@10. The test
examples are read once, with the chosen values. Fitted models are kept in `--models` and reused.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

import sidkit
from sidkit.evaluate import machine_facts, version_facts
from sidkit.rerank import SlotPolicy

K, KEPT = 10, {"careful": 0.98, "generous": 0.9}
BIASES = tuple((np.arange(-20, 21) / 4).tolist())
RECENCIES = (0.3, 0.5, 0.7, 0.9)


class Lists:
    """The best warm and the best cold items of every user, of which every bias makes its lists.

    A bias is added to the log-probabilities of all cold items, which `fused` weighs by `share`.
    """

    def __init__(self, model, examples, cold, scoring):
        self.model, self.examples, self.scoring = model, examples, scoring
        self.targets = model.item_ids_.gather(examples.targets).to_numpy()
        self.is_cold = cold[examples.targets]
        self.cold_ids = model.item_ids_.filter(cold).to_list()
        self.share = 1 - model.prior_.weight if scoring == "fused" else 1.0
        sides = (model.item_ids_.filter(~cold).to_list(), self.cold_ids)
        self.warm, self.cold = (
            model.recommend(examples, k=K, scoring=scoring, allow=allow) for allow in sides
        )

    def with_bias(self, bias):
        """Return the ids of the lists with a bias, (users, K)."""
        ids = np.concatenate([self.warm[0], self.cold[0]], axis=1)
        scores = np.concatenate([self.warm[1], self.cold[1] + self.share * np.float32(bias)], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :K]
        return np.take_along_axis(ids, order, axis=1)

    def figures(self, ids):
        """Return recall and NDCG of all, warm and cold targets, and the share of cold items in the lists."""
        found = ids == self.targets[:, None]
        gains = (found / np.log2(np.arange(2, K + 2))).sum(1)
        figures = {"cold_share": float(np.isin(ids, self.cold_ids).mean())}
        for name, users in (("all", self.is_cold | True), ("warm", ~self.is_cold), ("cold", self.is_cold)):
            figures[f"recall_{name}"] = float(found[users].any(1).mean())
            figures[f"ndcg_{name}"] = float(gains[users].mean())
        return figures

    def checked(self, bias):
        """Return the figures with a bias, after a look whether the model's own lists have the same."""
        figures = self.figures(self.with_bias(bias))
        self.model.set_params(new_item_bias=float(bias))
        ids, _ = self.model.recommend(self.examples, k=K, scoring=self.scoring)
        self.model.set_params(new_item_bias=0.0)
        own = self.figures(ids)
        assert all(abs(own[name] - figures[name]) < 5e-4 for name in own), (own, figures)
        return own


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


def chosen_biases(lists):
    """Choose biases on validation; return them, and the figures of all."""
    anchor = lists.figures(lists.warm[0])
    found = {bias: lists.figures(lists.with_bias(bias)) for bias in BIASES}
    chosen = {"best": max(found, key=lambda bias: found[bias]["recall_all"])}
    for name, share in KEPT.items():
        kept = [bias for bias in found if found[bias]["recall_warm"] >= share * anchor["recall_warm"]]
        chosen[name] = max(kept or BIASES[:1], key=lambda bias: found[bias]["recall_cold"])
    return chosen, found


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
    record |= {"machine": machine_facts(), "versions": version_facts(), "chosen": {}}
    path = given.models / f"{data.name}-plain-s{given.seed}"
    model = sidkit.RQTransformer(seed=given.seed, unseen_as_new=True)
    model, record["seconds"] = fitted(path, model, split, sids=sids, item_vectors=x)
    for scoring in ("exact", "fused"):
        chosen, curve = chosen_biases(Lists(model, split.validation, cold, scoring))
        record["chosen"][scoring] = chosen
        record.setdefault("validation", {})[scoring] = {str(bias): each for bias, each in curve.items()}
        lists = Lists(model, split.test, cold, scoring)
        record["test"][f"{scoring}, without cold items"] = lists.figures(lists.warm[0])
        record["test"][f"{scoring}, cold items only"] = lists.figures(lists.cold[0])
        record["test"][f"{scoring}, no bias"] = lists.checked(0.0)
        for name, bias in chosen.items():
            record["test"][f"{scoring}, {name}"] = lists.checked(bias)
        slots = SlotPolicy(min=1, max=3, items=lists.cold_ids)
        ids, _ = model.recommend(split.test, k=K, scoring=scoring, rerank=slots)
        record["test"][f"{scoring}, slots"] = lists.figures(ids)
        print(scoring, json.dumps(record["test"], indent=1), flush=True)
    neighbours = [sidkit.ContentKNN(recency=each).fit(split.train, item_vectors=x) for each in RECENCIES]

    def recall(baseline):
        lists = Lists(baseline, split.validation, cold, None)
        return lists.figures(lists.with_bias(0.0))["recall_cold"]

    best = max(neighbours, key=recall)
    record["chosen"]["content_knn"] = {"recency": best.recency}
    lists = Lists(best, split.test, cold, None)
    record["test"]["content_knn"] = lists.figures(lists.with_bias(0.0))
    text = json.dumps(record, indent=1)
    print(text)
    if given.out is not None:
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
