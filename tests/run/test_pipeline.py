"""The whole pipeline on a dataset with known right answers."""

import dataclasses
import os
import re
import shutil
import signal

import numpy as np
import polars as pl
import pytest
from tests.run.world import QUICK

from sidkit.data import load_dataset
from sidkit.errors import ConfigError, DataError, RunDirectoryError
from sidkit.evaluate import Metrics, Predictions
from sidkit.report import read_run
from sidkit.run import Quiet, RunDirectory, build_config, read_tables, run_pipeline
from sidkit.run.opened import open_run

ALL = [
    "data",
    "embed",
    "tokenize",
    "ids",
    "train.popularity",
    "train.sasrec",
    "train.tiger",
    "train.rqtransformer",
    "train.decoderonly",
    "decode.popularity",
    "decode.sasrec",
    "decode.tiger",
    "decode.rqtransformer",
    "decode.decoderonly",
    "evaluate",
    "report",
]


class Notes(Quiet):
    """An observer that records the stages that ran, and may send Ctrl-C at one."""

    def __init__(self, interrupt=None):
        self.ran, self.interrupt = [], interrupt

    def started(self, stage):
        if stage == self.interrupt:
            os.kill(os.getpid(), signal.SIGINT)
        return super().started(stage)

    def finished(self, stage, record):
        self.ran.append(stage)


def rerun(path, *assignments, force=False, **options):
    notes = Notes(options.pop("interrupt", None))
    config = build_config(read_tables(path / "run.toml"), assignments=assignments)
    run_pipeline(config, path, force=force, observer=notes, **options)
    return notes.ran


def test_every_stage_leaves_what_it_promises(finished):
    directory = RunDirectory(finished)
    assert list(directory.records) == ALL
    for name in ("run.toml", "embeddings.safetensors", "tokenizer.safetensors", "sids.parquet", "index.sidx"):
        assert (finished / name).stat().st_size > 0
    for model in ("sasrec", "tiger"):
        assert {file.name for file in (finished / "models" / model).iterdir()} >= {
            "model.safetensors",
            "model.json",
            "history.json",
        }
    assert not (finished / "unfinished").exists()
    assert directory.records["data"].facts["users"] == 200
    assert {"items", "unique_rate", "levels", "largest_collision"} <= set(directory.records["tokenize"].facts)
    assert {"train_events", "validation_users", "test_users", "skipped"} <= set(
        directory.records["data"].facts
    )
    for record in directory.records.values():
        assert record.seconds > 0 and record.cpu_seconds > 0
        assert record.peak_memory_bytes > 64 * 2**20  # Python with NumPy and polars alone needs more


def test_the_models_have_learned_the_world(finished):
    metrics = Metrics.load(finished / "metrics.json")
    ways = ["rqtransformer", "rqtransformer-fused"]
    assert metrics.models == ["popularity", "sasrec", "tiger", *ways, "decoderonly"]
    for exclude_seen in (True, False):
        for model in ("sasrec", "tiger", *ways, "decoderonly"):
            assert metrics.find(model, "recall@1", exclude_seen=exclude_seen).value > 0.7
        assert metrics.find("popularity", "recall@1", exclude_seen=exclude_seen).value < 0.2
    protocol = metrics.protocol
    assert protocol.exclude_seen == (True, False)
    assert (protocol.split, protocol.candidates, protocol.beam, protocol.users) == (
        "leave_last_out",
        24,
        10,
        200,
    )
    assert {*ALL} - {"evaluate", "report"} <= set(metrics.seconds)
    assert set(metrics.machine["peak_memory_bytes"]) == set(metrics.seconds)
    assert len(metrics.tokenizer["levels"]) == 2
    assert set(metrics.training) == {"sasrec", "tiger", "rqtransformer", "decoderonly"}
    for facts in metrics.training.values():
        assert facts["tokens_per_second"] > 0 and facts["flops"] > 1e8 and facts["gemm_share"] > 0


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_predictions_have_the_ids_of_the_dataset(finished, exclude_seen):
    name = "tiger.parquet" if exclude_seen else "tiger.seen_included.parquet"
    frame = pl.read_parquet(finished / "predictions" / name)
    assert frame["user_id"].min() >= 1000
    assert frame["target_id"].str.starts_with("item-").all()


def test_lists_exclude_seen_items_and_include_them(finished):
    test = load_dataset(RunDirectory(finished).records["data"].facts["source"]).split().test
    for model in ("popularity", "sasrec", "tiger", "rqtransformer-fused"):
        for exclude_seen in (True, False):
            name = f"{model}.parquet" if exclude_seen else f"{model}.seen_included.parquet"
            items = Predictions.load(finished / "predictions" / name).items
            seen = [np.isin(row, history).any() for row, history in zip(items, test.histories, strict=True)]
            assert not any(seen) if exclude_seen else np.mean(seen) > 0.5


def test_a_second_run_does_nothing(run):
    assert rerun(run) == []


def test_cheap_stages_follow_their_settings_unasked(run):
    assert rerun(run, "evaluate.ks=[5]") == ["evaluate", "report"]
    assert Metrics.load(run / "metrics.json").find("tiger", "recall@5") is not None


def test_other_settings_are_refused_and_the_run_stays(run):
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    message = "decode.k is 10 there, 5 now; recommenders.sasrec.max_steps is 60 there, 3 now"
    with pytest.raises(RunDirectoryError, match="was made with other settings"):
        rerun(run, "decode.k=5", "evaluate.ks=[1]", "recommenders.sasrec.max_steps=3")
    with pytest.raises(RunDirectoryError) as caught:
        rerun(run, "decode.k=5", "evaluate.ks=[1]", "recommenders.sasrec.max_steps=3")
    assert set(re.findall(r"[\w.]+ is \S+ there, \S+ now", str(caught.value))) >= set(message.split("; "))
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before


def test_force_runs_what_the_change_touches_and_no_more(run):
    ran = rerun(run, "recommenders.sasrec.max_steps=3", force=True)
    assert ran == ["train.sasrec", "decode.sasrec", "evaluate", "report"]


def test_settings_of_stages_that_have_not_run_may_change(run):
    for stage in ("train.tiger", "decode.tiger"):
        forget(run, stage)
    assert rerun(run, "recommenders.tiger.max_steps=3") == [
        "train.tiger",
        "decode.tiger",
        "evaluate",
        "report",
    ]


def forget(run, stage):
    with RunDirectory(run) as directory:
        records = dict(directory.records)
        del records[stage]
        directory._records = records
        directory._save()


def test_until_stops_early(world, tmp_path):
    config = build_config(
        assignments=[f"data.source={world}", f"embed.vectors={world / 'vectors.npy'}", *QUICK]
    )
    notes = Notes()
    run_pipeline(config, tmp_path / "run", until="ids", observer=notes)
    assert notes.ran == ALL[:4]
    with pytest.raises(ConfigError, match="there is no stage `idz`; the stages are data, embed"):
        run_pipeline(config, tmp_path / "run", until="idz")


def test_a_run_without_a_generative_model_makes_no_semantic_ids(world, tmp_path):
    config = build_config(assignments=[f"data.source={world}", *QUICK, 'recommenders.use=["popularity"]'])
    notes = Notes()
    run_pipeline(config, tmp_path / "run", until="evaluate", observer=notes)
    assert notes.ran == ["data", "train.popularity", "decode.popularity", "evaluate"]
    assert Metrics.load(tmp_path / "run" / "metrics.json").protocol.beam is None


@pytest.mark.parametrize("stage", ALL)
def test_an_interrupt_in_any_stage_loses_nothing(run, stage):
    kept = RunDirectory(run).records
    forget(run, stage)
    with pytest.raises(KeyboardInterrupt):
        rerun(run, interrupt=stage)
    there = RunDirectory(run).records
    assert stage not in there
    assert {name: dataclasses.asdict(there[name]) for name in there} == {
        name: dataclasses.asdict(kept[name]) for name in kept if name != stage
    }
    assert stage in rerun(run)


def test_changed_data_are_refused(world, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(world, data)
    settings = [f"data.source={data}", *QUICK, 'recommenders.use=["popularity"]']
    run_pipeline(build_config(assignments=settings), tmp_path / "run", until="train")
    log = pl.read_parquet(data / "interactions.parquet")
    log.head(-1).write_parquet(data / "interactions.parquet")
    with pytest.raises(RunDirectoryError, match=r"other inputs \(`interactions.parquet` changed\)"):
        run_pipeline(build_config(assignments=settings), tmp_path / "run", until="train")


def test_paths_seen_from_another_directory(world, tmp_path, monkeypatch):
    """A run continues from any directory with the data and vectors that it began with."""
    shutil.copytree(world, tmp_path / "data")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    relative = ["data.source=data", "embed.vectors=data/vectors.npy"]
    config = build_config(assignments=[*relative, *QUICK, 'recommenders.use=["popularity"]'])
    run_pipeline(config, "run", until="ids")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert rerun(tmp_path / "run", until="train") == ["train.popularity"]
    # Data that moved are found relative to the present directory.
    shutil.move(tmp_path / "data", tmp_path / "elsewhere" / "data")
    assert rerun(tmp_path / "run", until="decode") == ["decode.popularity"]
    # Another source in the settings is a change.
    with pytest.raises(RunDirectoryError, match=r"data\.source is 'data' there, 'nowhere' now"):
        rerun(tmp_path / "run", "data.source=nowhere")


def test_events_of_unknown_items_are_dropped_on_request(world, tmp_path):
    shutil.copytree(world, tmp_path / "data")
    items = pl.read_parquet(tmp_path / "data" / "items.parquet")
    items.head(-1).write_parquet(tmp_path / "data" / "items.parquet")
    settings = [f"data.source={tmp_path / 'data'}", *QUICK, 'recommenders.use=["popularity"]']
    with pytest.raises(DataError, match=r"drop their events with .* \(--set data\.unknown_items=drop\)"):
        run_pipeline(build_config(assignments=settings), tmp_path / "run", until="data")
    dropping = build_config(assignments=[*settings, "data.unknown_items=drop"])
    directory = run_pipeline(dropping, tmp_path / "run", until="train")
    assert directory.records["data"].facts["items"] == 23
    assert len(open_run(tmp_path / "run").dataset.items) == 23
    assert read_run(tmp_path / "run").titles is not None
    with pytest.raises(RunDirectoryError, match=r"data\.unknown_items is 'drop' there, 'error' now"):
        run_pipeline(build_config(assignments=settings), tmp_path / "run", until="train")


@pytest.mark.parametrize(
    "name", ["embeddings.safetensors", "tokenizer.safetensors", "sids.parquet", "index.sidx"]
)
def test_a_truncated_file_is_named(run, name):
    with (run / name).open("rb+") as file:
        file.truncate(file.seek(0, os.SEEK_END) // 2)
    with pytest.raises(RunDirectoryError, match=f"{name}` is not the file that stage"):
        rerun(run)


def test_vectors_of_other_items_are_refused(world, tmp_path):
    np.save(tmp_path / "vectors.npy", np.zeros((23, 4), np.float32))
    config = build_config(
        assignments=[f"data.source={world}", f"embed.vectors={tmp_path / 'vectors.npy'}", *QUICK]
    )
    with pytest.raises(DataError, match=r"expected 24 rows, .* got 23"):
        run_pipeline(config, tmp_path / "run")
