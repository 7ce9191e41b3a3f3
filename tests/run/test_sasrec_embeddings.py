"""Collaborative embeddings of a SASRec: communities are found, from training histories alone."""

import os
import signal

import numpy as np
import polars as pl
import pytest
from tests.tokenizers.histories import communities

from sidkit.errors import DataError
from sidkit.run import RunDirectory, build_config
from sidkit.run.engine import Task
from sidkit.run.stages.collaborative import learn_embeddings
from sidkit.run.stages.context import Context
from sidkit.tokenizers import collaborative_block

QUICK = (
    "tokenize.vectors=collaborative",
    "tokenize.collaborative_method=sasrec",
    "tokenize.collaborative_dim=8",
    "recommenders.sasrec.layers=1",
    "recommenders.sasrec.dropout=0.0",
    "recommenders.sasrec.attention_dropout=0.0",
    "recommenders.sasrec.max_steps=60",
    "recommenders.sasrec.learning_rate=0.01",
    "recommenders.sasrec.warmup_steps=5",
    "recommenders.sasrec.batch_size=32",
)


def write_histories(path, rows, items):
    """Write a dataset whose training histories are the rows; two more events of each are held out."""
    path.mkdir(parents=True)
    pl.DataFrame({"item_id": range(items)}).write_parquet(path / "items.parquet")
    events = [
        {"user_id": user, "item_id": int(item), "timestamp": time}
        for user, row in enumerate(rows)
        for time, item in enumerate([*row, 0, 1])
    ]
    pl.DataFrame(events).write_parquet(path / "interactions.parquet")
    return path


def embeddings(source, workspace, *more, progress=lambda *_, **__: None):
    config = build_config(assignments=[f"data.source={source}", *QUICK, *more])
    context = Context(config, RunDirectory(workspace / "run"))
    return learn_embeddings(context, Task("print", progress, lambda: workspace))


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    histories = communities(np.arange(12) % 2, histories=60)
    return write_histories(tmp_path_factory.mktemp("histories") / "halves", list(histories), 12)


def test_communities_are_found(tmp_path):
    groups = np.arange(24) % 3
    histories = communities(groups, histories=150, stray=0.1)
    # One item without events, and one whose history has no other event: nothing is learned of either.
    source = write_histories(tmp_path / "data", [*histories, [25]], 26)
    first, second = (embeddings(source, tmp_path / name) for name in "ab")
    assert (first == second).all()
    assert first.shape == (26, 8) and first.dtype == np.float32
    assert (first[24:] == 0).all() and first[:24].any(axis=1).all()
    x = collaborative_block(first[:24])
    apart = np.linalg.norm(x[:, None] - x[None], axis=2)
    same = groups[:, None] == groups
    others = same & ~np.eye(24, dtype=bool)
    assert apart[others].mean() < 0.5 * apart[~same].mean()
    np.fill_diagonal(apart, np.inf)
    assert (groups[apart.argmin(axis=1)] == groups).mean() > 0.95


def test_the_last_weights_are_used(halves, tmp_path):
    """Whatever the patience, and however frequent the evaluations."""
    short = "recommenders.sasrec.max_steps=12"
    often = ("recommenders.sasrec.patience=1", "recommenders.sasrec.evaluate_every_steps=1")
    one, two = (embeddings(halves, tmp_path / str(len(more)), short, *more) for more in ((), often))
    assert (one == two).all()


def test_an_interrupted_training_resumes(halves, tmp_path):
    whole = embeddings(halves, tmp_path / "whole")

    def interrupt(done, _total, **_figures):
        if done == 9:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        embeddings(halves, tmp_path / "parts", progress=interrupt)
    assert (tmp_path / "parts" / "sasrec" / "checkpoint.safetensors").is_file()
    assert (embeddings(halves, tmp_path / "parts") == whole).all()


def test_histories_without_a_signal(tmp_path):
    source = write_histories(tmp_path / "data", [[2], [3]], 4)
    with pytest.raises(DataError, match="expected a history of two events or more, got none"):
        embeddings(source, tmp_path)


def test_ties_are_shuffled_if_the_training_shuffles(halves, tmp_path):
    tied = tmp_path / "tied"
    tied.mkdir()
    events = pl.read_parquet(halves / "interactions.parquet")
    last = pl.col("timestamp").max().over("user_id")
    events.with_columns(
        timestamp=pl.when(pl.col("timestamp") > last - 2).then("timestamp").otherwise(0)
    ).write_parquet(tied / "interactions.parquet")
    (tied / "items.parquet").write_bytes((halves / "items.parquet").read_bytes())
    short, shuffling = "recommenders.sasrec.max_steps=12", "recommenders.sasrec.shuffle_ties=true"
    plain = embeddings(tied, tmp_path / "1", short)
    assert (embeddings(halves, tmp_path / "2", short) == plain).all()
    assert (embeddings(halves, tmp_path / "3", short, shuffling) == plain).all()
    assert (embeddings(tied, tmp_path / "4", short, shuffling) != plain).any()
