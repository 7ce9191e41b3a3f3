"""Item vectors of a SASRec: communities that are found again, from training histories alone."""

import numpy as np
import pytest
from tests.tokenizers.histories import communities

from sidkit.data import Sequences
from sidkit.errors import ConfigError, DataError
from sidkit.run import SasrecConfig, SoftmaxTrainingConfig
from sidkit.run.stages.sasrec_vectors import sasrec_vectors
from sidkit.tokenizers import collaborative_block

SMALL = SasrecConfig(d_model=8, layers=1, dropout=0.0)
QUICK = SoftmaxTrainingConfig(max_steps=60, learning_rate=0.01, warmup_steps=5, batch_size=32)


def test_communities_are_found():
    groups = np.arange(24) % 3
    histories = communities(groups, histories=150, stray=0.1)
    # One item that nobody met, and one that somebody met and nothing else: nothing is learned of either.
    rows = [*histories, [25]]
    first, second = (sasrec_vectors(Sequences.from_rows(rows), 26, SMALL, QUICK) for _ in range(2))
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


def test_the_last_weights_are_taken(tmp_path):
    """Whatever the patience, and however often an evaluation is asked for."""
    histories = communities(np.arange(12) % 2, histories=60)
    found = [
        sasrec_vectors(
            histories, 12, SMALL, QUICK.model_copy(update={"max_steps": 12} | more), tmp_path / name
        )
        for name, more in (("one", {}), ("two", {"patience": 1, "evaluate_every_steps": 1}))
    ]
    assert (found[0] == found[1]).all()
    assert (tmp_path / "one" / "model.safetensors").is_file()


def test_an_interrupted_training_goes_on(tmp_path):
    histories = communities(np.arange(12) % 2, histories=60)
    whole = sasrec_vectors(histories, 12, SMALL, QUICK)

    def interrupt(done, _total, **_figures):
        if done == 9:
            raise KeyboardInterrupt

    often = QUICK.model_copy(update={"checkpoint_every_seconds": 0.0})
    with pytest.raises(KeyboardInterrupt):
        sasrec_vectors(histories, 12, SMALL, often, tmp_path, progress=interrupt)
    assert (tmp_path / "checkpoint.safetensors").is_file()
    again = sasrec_vectors(histories, 12, SMALL, often, tmp_path)
    assert (again == whole).all()


def test_histories_without_a_signal():
    with pytest.raises(DataError, match="none of 2 histories has two events"):
        sasrec_vectors(Sequences.from_rows([[0], [1]]), 2)
    with pytest.raises(DataError, match="below n_items, 2, but one holds 4"):
        sasrec_vectors(Sequences.from_rows([[0, 4]]), 2)


def test_ties_are_shuffled_if_the_training_asks_for_it():
    histories = communities(np.arange(12) % 2, histories=60)
    rows = Sequences.from_rows([[3], *histories])
    training = QUICK.model_copy(update={"max_steps": 12})
    shuffling = training.model_copy(update={"shuffle_ties": True})
    times, one_day = np.arange(len(rows.values)), np.zeros(len(rows.values))
    plain = sasrec_vectors(rows, 12, SMALL, training, times=one_day)
    assert (sasrec_vectors(rows, 12, SMALL, shuffling, times=times) == plain).all()
    assert (sasrec_vectors(rows, 12, SMALL, shuffling, times=one_day) != plain).any()
    with pytest.raises(ConfigError, match="`shuffle_ties` needs the times"):
        sasrec_vectors(rows, 12, SMALL, shuffling)
