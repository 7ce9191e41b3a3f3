"""One small world for all tests: a ring of items whose next item is always known."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from sidkit.data import Dataset, Split
from sidkit.data.synthetic import cyclic_world
from sidkit.ids import SidTable
from sidkit.recommenders import RECOMMENDERS

__all__ = ["ITEMS", "SMALL", "SmallWorld", "small_recommender", "small_world"]

ITEMS = 24
CLUSTERS = 4

_TRANSFORMER = {"d_model": 32, "heads": 2, "dropout": 0.1, "max_items": 6}
_TIGER = _TRANSFORMER | {
    "d_head": 16,
    "d_ff": 64,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "max_steps": 320,
    "evaluate_every_steps": 120,
}
_COMMON = {
    "batch_size": 64,
    "learning_rate": 1e-2,
    "warmup_steps": 10,
    "precision": "f32",
    "measure_gemm": False,
}

#: Settings under which each recommender learns the ring within seconds.
SMALL = {
    "popularity": {},
    "item_knn": {"recency": 0.2},
    "content_knn": {},
    "transition_graph": {},
    "sasrec": _COMMON | _TRANSFORMER | {"layers": 1, "epochs": 30.0},
    "bsarec": _COMMON
    | _TRANSFORMER
    | {"layers": 1, "attention_dropout": 0.1, "epochs": 30.0, "min_steps": 0},
    "gru4rec": _COMMON | {"d_model": 32, "dropout": 0.1, "max_items": 6, "epochs": 30.0, "min_steps": 0},
    "tiger": _COMMON | _TIGER,
    "actionpiece": _COMMON | _TIGER | {"vocabulary_size": 30, "views": 2},
    "decoderonly": _COMMON | _TRANSFORMER | {"layers": 1, "epochs": 40.0, "evaluate_every_steps": 60},
    "rqtransformer": _COMMON | _TRANSFORMER | {"layers": 1, "epochs": 30.0},
}


@dataclass(frozen=True)
class SmallWorld:
    """A ring of 24 items in 4 clusters; item k + 1 follows item k.

    Attributes:
        dataset: ids are `item-00` to `item-23`, or integers from 100.
        split: leave-last-out split.
        sids: Semantic IDs of two codes and a collision token, two items to a pair of codes.
        vectors: content vectors, float32 (24, 16).
    """

    dataset: Dataset
    split: Split
    sids: SidTable
    vectors: np.ndarray

    @property
    def ids(self):
        """Item ids in the order of the ring."""
        return self.dataset.item_ids.to_list()

    def after(self, item, steps=1):
        """The item id `steps` steps after an item id."""
        return self.ids[(self.ids.index(item) + steps) % ITEMS]

    def walk(self, start, length):
        """Item ids of a walk along the ring."""
        return [self.ids[(start + step) % ITEMS] for step in range(length)]

    def fit(self, recommender, **options):
        """Fit a recommender with everything that the world has."""
        return recommender.fit(
            self.split.train,
            sids=self.sids,
            item_vectors=self.vectors,
            **({"validation": self.split.validation} | options),
        )


@cache
def small_world(*, integers=False, users=150):
    """Return the world; the same object at every call."""
    world = cyclic_world(users=users, items=ITEMS, clusters=CLUSTERS, seed=1)
    dataset = world.dataset
    if integers:
        numbered = {item: 100 + row for row, item in enumerate(dataset.item_ids.to_list())}
        frames = [
            frame.with_columns(frame["item_id"].replace_strict(numbered))
            for frame in (dataset.interactions, dataset.items)
        ]
        dataset = Dataset.from_frames(*frames, name="ring")
    place = np.arange(ITEMS) % (ITEMS // CLUSTERS)
    codes = np.stack([world.clusters, place // 2], axis=1).astype(np.uint16)
    sizes = CLUSTERS, ITEMS // CLUSTERS // 2
    sids = SidTable.from_codes(codes, dataset.item_ids, sizes, collision_size=4)  # two tokens are free
    return SmallWorld(dataset, dataset.split("leave_last_out"), sids, world.vectors)


def small_recommender(method, **changes):
    """Return an unfitted recommender of a method that learns the small world."""
    return RECOMMENDERS[method](**(SMALL[method] | changes))
