r"""Time until new items of a large catalogue are recommended, without training.

    python benches/python/add_items.py --items 1000000 --new 100000 --out benches/record/add-items.json

fits `RQTransformer` on the first items of a `MarkovWorld` for two steps, recommends once, and adds the other
items by `add_items`. Settings are those of `catalogue_scaling.py`: width 128, item vectors of 64 dimensions
in float16, three codes of 1,024 and a collision token, one thread. Seconds are processor time, which on one
thread is the wall time of an idle machine:

    encode      Semantic IDs from the fitted tokenizer, collisions resolved (`append_items`)
    add         `add_items` with these Semantic IDs
    recommend   the first recommendation after that, for a history with a new item, of new items only
    again       the same once more
    remove      `remove_items` of as many items, and a recommendation after that
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from sidkit import RQKMeans, RQTransformer
from sidkit.data import Histories, MarkovWorld
from sidkit.evaluate import machine_facts, version_facts
from sidkit.ids import append_items

WIDTH, DIM, LENGTH, BATCH, LIST = 128, 64, 20, 128, 10


def seconds(function):
    """Call a function; return its result and its processor time."""
    began = time.process_time()
    result = function()
    return result, time.process_time() - began


def main():
    """Fit, add and recommend."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--new", type=int, default=100_000)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    count, every = given.items, given.items + given.new
    world = MarkovWorld(items=every, dim=DIM, min_events=LENGTH + 1, max_events=LENGTH + 1)
    steps = range(0, every, 1 << 16)
    x = np.concatenate([world.vectors(start, min(every, start + (1 << 16))) for start in steps])
    x = x.astype(np.float16)
    x[count:] = x[np.random.default_rng(0).permutation(count)[: given.new]]
    size = 1024 if count > 20_000 else 64
    tokenizer = RQKMeans(levels=3, codebook_size=size, subsample=min(count, 50_000))
    tokenizer.fit(x[:count].astype(np.float32))
    sids = tokenizer.semantic_ids(x[:count].astype(np.float32), np.arange(count), collision_size=256)
    known = world.sessions(0, 2 * BATCH)
    rows = -(-count // (LENGTH + 1))  # so that every item has an event
    events = np.resize(np.random.default_rng(1).permutation(count), rows * (LENGTH + 1))
    histories = Histories(events, np.arange(rows + 1) * (LENGTH + 1), sids.item_ids)
    model = RQTransformer(
        d_model=WIDTH, batch_size=BATCH, max_items=LENGTH, max_steps=2, measure_gemm=False, device="cpu"
    )
    model.fit(histories, sids=sids, item_vectors=x[:count])
    model.recommend(histories.take(np.arange(64)), k=LIST)
    ids, vectors = np.arange(count, every), x[count:]

    def encoded():
        new = vectors.astype(np.float32)
        return append_items(
            sids, tokenizer.encode(new), ids, alternatives=lambda rows: tokenizer.alternatives(new[rows])
        )

    history = [[int(known.values[0] % count), every - 1]]
    found = {"items": count, "new": given.new, "machine": machine_facts(), "versions": version_facts()}
    larger, found["encode"] = seconds(encoded)
    _, found["add"] = seconds(lambda: model.add_items(ids, vectors, sids=larger))
    (first, _), found["recommend"] = seconds(lambda: model.recommend(history, k=LIST))
    assert first.shape == (1, LIST) and every - 1 not in first
    (shelf, scores), _ = seconds(lambda: model.recommend(history, k=LIST, allow=ids))
    assert (shelf >= count).all() and np.isfinite(scores).all() and len(set(shelf[0])) == LIST, "wrong list"
    _, found["again"] = seconds(lambda: model.recommend(history, k=LIST))
    _, found["remove"] = seconds(lambda: model.remove_items(ids).recommend(history, k=LIST))
    assert (model.recommend(history, k=LIST)[0] < count).all(), "removed items are recommended"
    text = json.dumps(found, indent=1)
    print(text)
    if given.out is not None:
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
