"""A small shop whose next item is always known, saved as a server reads it."""

from pathlib import Path

import numpy as np
import polars as pl

from sidkit.data import cyclic_world
from sidkit.recommenders import RQTransformer
from sidkit.tokenizers import RQKMeans

ITEMS = 24

SETTINGS = {
    "d_model": 32,
    "heads": 2,
    "dropout": 0.1,
    "max_items": 6,
    "batch_size": 64,
    "learning_rate": 1e-2,
    "warmup_steps": 10,
    "precision": "f32",
    "measure_gemm": False,
    "max_steps": 2,
    "min_steps": 1,
    "graph": True,
}


def write_shop(path: Path, *, seed: int = 1, **changes) -> Path:
    """Write a model, its items, tokenizer and interactions; item ids are 100, 101, …"""
    world = cyclic_world(users=120, items=ITEMS, clusters=4, seed=1)
    numbers = {item: 100 + row for row, item in enumerate(world.dataset.item_ids.to_list())}
    interactions = world.dataset.interactions.with_columns(pl.col("item_id").replace_strict(numbers))
    items = world.dataset.items.with_columns(
        pl.col("item_id").replace_strict(numbers),
        price=pl.int_range(pl.len()) * 1.5,
        brand=pl.Series(["red", "green", "blue", None] * (ITEMS // 4)),
        stock=pl.int_range(pl.len()) % 4,
    )
    path.mkdir(parents=True, exist_ok=True)
    items.write_parquet(path / "items.parquet")
    interactions.write_parquet(path / "interactions.parquet")
    np.save(path / "vectors.npy", world.vectors)
    tokenizer = RQKMeans(levels=2, codebook_size=8).fit(world.vectors)
    tokenizer.save(path / "tokenizer.safetensors")
    sids = tokenizer.semantic_ids(world.vectors, items["item_id"], collision_size=8)
    histories = interactions.sort("user_id", "timestamp").group_by("user_id", maintain_order=True)
    lists = [group["item_id"].to_list() for _, group in histories]
    model = RQTransformer(**(SETTINGS | {"seed": seed} | changes))
    model.fit(lists, sids=sids, item_vectors=world.vectors).save(path / "model")
    return path
