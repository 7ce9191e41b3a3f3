"""Batches from Parquet files: every window once, the same for any number of processes, few reads."""

from collections import Counter

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.worlds import small_recommender, small_world

from sidkit.data import ParquetHistories, Sequences
from sidkit.errors import ConfigError
from sidkit.recommenders import RECOMMENDERS
from sidkit.train import FragmentBatches, SequenceBatches

ITEMS = 9
SETTINGS = {"batch_size": 3, "max_items": 4, "padding": ITEMS, "seed": 5}


def stored(folder, rows, group=2):
    pq.write_table(
        pa.table({"items": pa.array(rows, pa.list_(pa.int64()))}), folder / "a.parquet", row_group_size=group
    )
    return ParquetHistories(folder, pl.Series(range(ITEMS)), fragment_rows=1)


def windows(batches):
    """The windows of batches: user and items without padding."""
    return [
        (int(user), tuple(history[:count].tolist()), tuple(target[:count].tolist()))
        for batch in batches
        for user, history, target, count in zip(
            batch.users, batch.history, batch.target, batch.targets, strict=True
        )
    ]


histories = st.lists(st.lists(st.integers(0, ITEMS - 1), max_size=11), min_size=1, max_size=20)


@given(histories, st.integers(1, 4), st.integers(1, 5), st.booleans(), st.integers(0, 2))
def test_an_epoch_has_the_windows_of_the_histories(
    tmp_path_factory, rows, at_once, group, from_nothing, epoch
):
    folder = tmp_path_factory.mktemp("fragments")
    batches = FragmentBatches(
        stored(folder, rows, group), **SETTINGS, at_once=at_once, from_nothing=from_nothing
    )
    memory = SequenceBatches(Sequences.from_rows(rows), **SETTINGS, from_nothing=from_nothing)
    assert batches.steps == memory.steps
    found = [batches.load(rows) for rows in batches.epoch(epoch)]
    expected = [memory.load(rows) for rows in memory.epoch(epoch)]
    assert len(found) == batches.steps
    assert all(len(batch.users) == 3 for batch in found[:-1])
    assert sorted(windows(found)) == sorted(windows(expected))
    assert sum(batch.tokens for batch in found) == sum(batch.tokens for batch in expected)
    assert all(batch.share == 1 for batch in found)


@given(histories.filter(lambda rows: any(len(row) > 1 for row in rows)), st.integers(1, 4))
def test_the_parts_of_the_processes_are_the_batch(tmp_path_factory, rows, size):
    folder = tmp_path_factory.mktemp("fragments")
    source = stored(folder, rows)
    whole = FragmentBatches(source, **SETTINGS)
    several = [FragmentBatches(source, **SETTINGS) for _ in range(size)]
    orders = [list(each.epoch(2)) for each in several]
    for step, chosen in enumerate(whole.epoch(2)):
        parts = [each.load(orders[rank][step], rank, size) for rank, each in enumerate(several)]
        assert sum(part.share for part in parts) == pytest.approx(1)
        assert {part.tokens for part in parts} == {whole.load(chosen).tokens}
        assert sorted(windows(parts)) == sorted(windows([whole.load(chosen)]))


def test_an_epoch_reads_every_fragment_once_and_a_process_its_own_only(tmp_path, monkeypatch):
    rows = [[each % ITEMS, (each + 1) % ITEMS, 3] for each in range(40)]
    source = stored(tmp_path, rows)
    assert len(source.fragments) == 20
    reads = Counter()
    read = ParquetHistories.read
    monkeypatch.setattr(
        ParquetHistories, "read", lambda self, number: (reads.update([number]), read(self, number))[1]
    )
    batches = FragmentBatches(source, **SETTINGS, at_once=6)
    for each in batches.epoch(0):
        batches.load(each)
    assert reads == Counter(range(20))
    seen = []
    for rank in (0, 1):
        reads.clear()
        batches = FragmentBatches(source, **SETTINGS, at_once=6)
        for each in batches.epoch(0):
            batches.load(each, rank, 2)
        assert set(reads.values()) == {1}
        seen.append(set(reads))
    assert seen[0] | seen[1] == set(range(20))
    assert not seen[0] & seen[1]


def test_epochs_differ_and_an_interrupted_one_continues(tmp_path):
    source = stored(tmp_path, [[1, 2, 3]] * 30)
    first, again = FragmentBatches(source, **SETTINGS), FragmentBatches(source, **SETTINGS)
    orders = [[tuple(rows) for rows in first.epoch(epoch)] for epoch in (0, 1)]
    assert orders[0] != orders[1]
    assert [tuple(rows) for rows in again.epoch(1)] == orders[1]


@pytest.mark.parametrize("method", ["gru4rec", "rqtransformer"])
def test_recommenders_learn_from_files(method, tmp_path):
    world = small_world()
    rows = [world.split.train.ids(row) for row in range(len(world.split.train))]
    pq.write_table(pa.table({"items": rows}), tmp_path / "a.parquet", row_group_size=16)
    source = ParquetHistories(tmp_path, world.split.train.item_ids, fragment_rows=16)
    options = {"validation": world.split.validation}
    if RECOMMENDERS[method].generative:
        options["sids"] = world.sids
    from_files = small_recommender(method).fit(source, **options)
    in_memory = small_recommender(method).fit(world.split.train, **options)
    np.testing.assert_array_equal(from_files.item_counts_, in_memory.item_counts_)
    results = [each.evaluate(world.split.test) for each in (from_files, in_memory)]
    recalls = [each.result("recall@5").value for each in results]
    assert min(recalls) > 0.9
    if "prior_" in vars(from_files):
        graphs = [each.prior_.graph.matrix_.toarray() for each in (from_files, in_memory)]
        np.testing.assert_allclose(*graphs, rtol=1e-12)


@pytest.mark.parametrize("method", ["tiger", "item_knn"])
def test_other_recommenders_say_that_they_need_memory(method, tmp_path):
    world = small_world()
    pq.write_table(pa.table({"items": [["item-00", "item-01"]]}), tmp_path / "a.parquet")
    source = ParquetHistories(tmp_path, world.split.train.item_ids)
    with pytest.raises(ConfigError, match="needs all histories in memory: expected `Histories` or lists"):
        small_recommender(method).fit(source, sids=world.sids)


def test_shuffled_ties_need_times(tmp_path):
    world = small_world()
    pq.write_table(pa.table({"items": [["item-00", "item-01"]]}), tmp_path / "a.parquet")
    source = ParquetHistories(tmp_path, world.split.train.item_ids)
    with pytest.raises(ConfigError, match="`shuffle_ties` needs the times"):
        small_recommender("sasrec", shuffle_ties=True).fit(source)


def test_a_checkpoint_is_of_the_same_files(tmp_path):
    from sidkit.errors import RunDirectoryError
    from sidkit.train import Checkpoint

    def stop(progress):
        if progress.step == 3:
            raise KeyboardInterrupt

    ids = small_world().split.train.item_ids
    tables = {"one": [["item-00", "item-01"]] * 9, "two": [["item-00", "item-02"]] * 9}
    for name, rows in tables.items():
        (tmp_path / name).mkdir()
        pq.write_table(pa.table({"items": rows}), tmp_path / name / "a.parquet")
    sources = {name: ParquetHistories(tmp_path / name, ids) for name in tables}
    keep = Checkpoint(tmp_path / "checkpoint", every_seconds=0)
    model = small_recommender("sasrec", epochs=5.0, batch_size=4)
    with pytest.raises(KeyboardInterrupt):
        model.fit(sources["one"], callbacks=[keep, stop])
    with pytest.raises(RunDirectoryError):
        model.fit(sources["two"], callbacks=[keep])
    torch.manual_seed(0)
    model.fit(sources["one"], callbacks=[keep])
    assert model.history_.steps
