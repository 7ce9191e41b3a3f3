"""A toy data set on the disk, and settings that train on it in seconds."""

import numpy as np

from sidkit.data import cyclic_world

__all__ = ["QUICK", "write_world"]

#: Enough for every model to learn that item k+1 follows item k.
QUICK = (
    "tokenize.levels=2",
    "tokenize.codebook_size=8",
    'recommenders.use=["popularity", "sasrec", "tiger", "rqtransformer", "decoderonly"]',
    "recommenders.sasrec.d_model=32",
    "recommenders.sasrec.dropout=0.0",
    "recommenders.sasrec.attention_dropout=0.0",
    "recommenders.tiger.d_model=32",
    "recommenders.tiger.encoder_layers=1",
    "recommenders.tiger.decoder_layers=1",
    "recommenders.tiger.heads=2",
    "recommenders.tiger.d_head=16",
    "recommenders.tiger.d_ff=64",
    "recommenders.tiger.dropout=0.0",
    "recommenders.rqtransformer.d_model=32",
    "recommenders.rqtransformer.dropout=0.0",
    "recommenders.rqtransformer.max_steps=120",
    "recommenders.rqtransformer.warmup_steps=10",
    "recommenders.rqtransformer.evaluate_every_steps=60",
    "recommenders.rqtransformer.learning_rate=0.01",
    "recommenders.decoderonly.d_model=32",
    "recommenders.decoderonly.layers=2",
    "recommenders.decoderonly.heads=2",
    "recommenders.decoderonly.dropout=0.0",
    "recommenders.decoderonly.max_steps=60",
    "recommenders.decoderonly.warmup_steps=10",
    "recommenders.decoderonly.evaluate_every_steps=30",
    "recommenders.decoderonly.learning_rate=0.005",
    "recommenders.sasrec.max_steps=60",
    "recommenders.sasrec.warmup_steps=10",
    "recommenders.sasrec.evaluate_every_steps=30",
    "recommenders.sasrec.learning_rate=0.01",
    "recommenders.tiger.max_steps=160",
    "recommenders.tiger.batch_size=64",
    "recommenders.tiger.warmup_steps=10",
    "recommenders.tiger.evaluate_every_steps=80",
    "recommenders.tiger.learning_rate=0.005",
    "decode.beam=10",
    "decode.k=10",
    "evaluate.ks=[1, 10]",
    "evaluate.bootstrap_samples=50",
)


def write_world(folder):
    """Write a ring of 24 items, 200 users who walk on it, and the items' vectors; return the folder."""
    world = cyclic_world(users=200, items=24, max_events=9)
    folder.mkdir(parents=True, exist_ok=True)
    world.dataset.items.write_parquet(folder / "items.parquet")
    world.dataset.interactions.write_parquet(folder / "interactions.parquet")
    np.save(folder / "vectors.npy", world.vectors)
    return folder
