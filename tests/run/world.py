"""A toy data set on the disk, and settings that train on it in seconds."""

import numpy as np

from sidkit.data import cyclic_world

__all__ = ["QUICK", "write_world"]

#: Enough for every model to learn that item k+1 follows item k.
QUICK = (
    "tokenize.levels=2",
    "tokenize.codebook_size=8",
    'models.use=["popularity", "sasrec", "tiger", "rqtransformer", "decoderonly"]',
    "models.sasrec.d_model=32",
    "models.sasrec.dropout=0.0",
    "models.tiger.d_model=32",
    "models.tiger.encoder_layers=1",
    "models.tiger.decoder_layers=1",
    "models.tiger.heads=2",
    "models.tiger.d_head=16",
    "models.tiger.d_ff=64",
    "models.tiger.dropout=0.0",
    "models.rqtransformer.d_model=32",
    "models.rqtransformer.dropout=0.0",
    "models.rqtransformer.dense=true",
    "train.rqtransformer.max_steps=120",
    "train.rqtransformer.warmup_steps=10",
    "train.rqtransformer.evaluate_every_steps=60",
    "train.rqtransformer.learning_rate=0.01",
    "models.decoderonly.d_model=32",
    "models.decoderonly.layers=2",
    "models.decoderonly.heads=2",
    "models.decoderonly.dropout=0.0",
    "train.decoderonly.max_steps=120",
    "train.decoderonly.warmup_steps=10",
    "train.decoderonly.evaluate_every_steps=60",
    "train.decoderonly.learning_rate=0.005",
    "train.sasrec.max_steps=120",
    "train.sasrec.warmup_steps=10",
    "train.sasrec.evaluate_every_steps=60",
    "train.sasrec.learning_rate=0.01",
    "train.tiger.max_steps=300",
    "train.tiger.batch_size=64",
    "train.tiger.warmup_steps=10",
    "train.tiger.evaluate_every_steps=150",
    "train.tiger.learning_rate=0.005",
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
