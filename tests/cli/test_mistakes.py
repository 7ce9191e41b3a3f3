"""Bad input on the command line: one clear line, exit code 1, nothing lost."""

import errno
import os
import signal
import subprocess
import sys
import time

import polars as pl
import pytest
from tests.run.world import QUICK, write_world

from sidkit.cli import main
from sidkit.run import RunDirectory


@pytest.fixture
def fails(sid):
    """Type a command that must fail; gives the line that it wrote."""

    def type_command(*arguments, code=1):
        given, out, line = sid(*arguments)
        assert given == code, out
        assert "Traceback" not in line
        assert line.count("\n") == 1
        return line

    return type_command


@pytest.fixture
def data(tmp_path):
    return write_world(tmp_path / "ring")


def test_a_missing_column(fails, data, tmp_path):
    pl.read_parquet(data / "interactions.parquet").drop("item_id").write_parquet(
        data / "interactions.parquet"
    )
    line = fails("run", data, "--out", tmp_path / "run")
    assert line.startswith("error: ") and "`item_id`" in line and "interactions" in line


def test_an_empty_file(fails, data, tmp_path):
    (data / "items.parquet").unlink()
    (data / "items.csv").write_text("")
    line = fails("run", data, "--out", tmp_path / "run")
    assert "items.csv" in line and "is empty" in line


@pytest.mark.parametrize("model", ["rqtransformer", "sasrec", "tiger"])
def test_users_of_so_few_events_that_there_is_nothing_to_learn(fails, data, tmp_path, model):
    events = pl.read_parquet(data / "interactions.parquet")
    events.group_by("user_id", maintain_order=True).head(3).write_parquet(data / "interactions.parquet")
    chosen = [*QUICK, f"recommenders.use=['{model}']", f"embed.vectors={data / 'vectors.npy'}"]
    options = [part for setting in chosen for part in ("--set", setting)]
    options += ["--set", "recommenders.rqtransformer.evaluate_every_steps=0"]
    assert "expected a history of two events or more, got none" in fails(
        "run", data, "--out", tmp_path / "run", *options
    )


def test_no_such_data(fails, tmp_path):
    line = fails("run", tmp_path / "nowhere", "--out", tmp_path / "run")
    assert "nowhere" in line
    assert not (tmp_path / "run").exists()
    (tmp_path / "empty").mkdir()
    fails("run", tmp_path / "nowhere", "--out", tmp_path / "empty")
    assert (tmp_path / "empty").exists()


def test_a_wrong_setting(fails, data):
    line = fails("run", data, "--set", "tokenize.level=3")
    assert line == (
        "error: the settings: there is no setting `tokenize.level`; did you mean `tokenize.levels`?\n"
    )


def test_semantic_ids_that_are_too_wide(fails, data):
    line = fails("run", data, "--set", "tokenize.levels=17")
    assert "is 17 x 8 = 136, but a Semantic ID holds at most 128 bits" in line


def test_a_run_of_other_settings(fails, run):
    line = fails("run", run, "--set", "decode.batch_size=32")
    assert "was made with other settings: decode.batch_size is 64 there, 32 now; choose another" in line
    assert "--force" in line


def test_a_preset_over_a_run(fails, run):
    assert "leave --preset away" in fails("run", run, "--preset", "demo")
    assert "leave --out away" in fails("run", run, "--out", run.parent / "other")


def test_a_directory_of_something_else(fails, data, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    assert "has files in it but no run.toml" in fails("run", data, "--out", tmp_path / "thesis")


@pytest.mark.parametrize("name", ["sids.parquet", "index.sidx", "models/rqtransformer/model.safetensors"])
def test_a_truncated_file_of_ours(fails, run, name):
    with (run / name).open("rb+") as file:
        file.truncate(100)
    assert name in fails("recommend", run, "--history", "item-01")
    assert f"{name}` is not the file that stage" in fails("run", run)


def test_a_foreign_run_record(fails, run):
    (run / "stages.json").write_text('{"stages": 3}')
    assert "stages.json` is damaged or not a file of sidkit" in fails("inspect", run)


def test_no_run_there(fails, tmp_path):
    assert "there is no run in" in fails("recommend", tmp_path / "nothing", "--history", "1")


@pytest.mark.filterwarnings("default")
def test_unknown_users_items_models(fails, sid, run):
    assert "99" in fails("recommend", run, "--user", "99")
    assert "item-99" in sid("recommend", run, "--history", "item-99")[2]
    assert "has no model `gru`; trained there:" in fails(
        "recommend", run, "--history", "item-01", "--model", "gru"
    )
    assert "give either --user U or --history A,B,C" in fails("recommend", run, "-k", "3")


def test_a_full_disk(fails, run, monkeypatch):
    before = {
        file: file.read_bytes() for file in run.rglob("*") if file.is_file() and file.name != "stages.json"
    }

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "metrics.json")

    monkeypatch.setattr("sidkit._files.os.fsync", full)
    line = fails("evaluate", run, "--set", "evaluate.ks=[1]")
    assert (
        line.startswith("error: no space left on device")
        and "make room and run the same command again" in line
    )
    monkeypatch.undo()
    assert {file: file.read_bytes() for file in before} == before
    assert not [file for file in run.rglob(".*") if file.name != ".lock"]
    with RunDirectory(run) as folder:
        assert "evaluate" in folder.records


@pytest.mark.slow
def test_ctrl_c_while_training(world, tmp_path):
    out = tmp_path / "run"
    sets = [*QUICK, f"embed.vectors={world / 'vectors.npy'}", "recommenders.tiger.max_steps=100000"]
    command = [sys.executable, "-m", "sidkit", "run", world, "--out", out]
    command += [part for setting in sets for part in ("--set", setting)]
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not (out / "unfinished" / "train.tiger").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, wrong = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (
        wrong.splitlines()[-1]
        == f"interrupted in stage train.tiger; nothing is lost, continue with: sidkit run {out}"
    )
    assert (out / "unfinished" / "train.tiger" / "checkpoint.safetensors").exists()
    with RunDirectory(out) as folder:
        assert list(folder.records)[-1] == "train.sasrec"


def test_nothing_to_report(fails, tmp_path):
    assert "there is nothing to report in" in fails("report", tmp_path / "nothing")


def test_nothing_to_inspect(fails, tmp_path):
    assert "there is nothing to inspect in" in fails("inspect", tmp_path / "nothing")


@pytest.mark.parametrize("name", ["sids.parquet", "models/rqtransformer/model.safetensors"])
def test_a_flipped_bit(fails, run, name):
    content = bytearray((run / name).read_bytes())
    content[len(content) // 2] ^= 0x10
    (run / name).write_bytes(bytes(content))
    assert f"{name}` is not the file that stage" in fails("recommend", run, "--history", "item-01")


def test_a_configuration_that_was_emptied(fails, run):
    (run / "run.toml").write_text("")
    line = fails("recommend", run, "--history", "item-01")
    assert "was made before `data.source` changed; bring it up to date with: sidkit run" in line


def test_data_that_changed_since(fails, run, data):
    config = (run / "run.toml").read_text()
    record = (run / "stages.json").read_text()
    before = next(line for line in config.splitlines() if line.startswith("source = "))
    there = before.partition("= ")[2].strip('"')
    (run / "run.toml").write_text(config.replace(there, str(data)))
    (run / "stages.json").write_text(record.replace(there, str(data)))
    items = pl.read_parquet(data / "items.parquet")
    items.reverse().write_parquet(data / "items.parquet")
    assert "has changed since the run" in fails("recommend", run, "--user", "1003")


@pytest.mark.parametrize(
    "name", ["sids.parquet", "metrics.json", "predictions/tiger.parquet", "models/sasrec/history.json"]
)
def test_a_report_of_other_files_than_the_run_wrote(fails, run, finished, name):
    (run / name).write_bytes((run / name).read_bytes() + b" ")
    for runs in ([run], [finished, run]):
        assert f"{name}` is not the file that stage" in fails("report", *runs)
    (run / name).unlink()
    assert f"{name}` of stage" in fails("report", run)


def test_a_page_of_one_run_has_its_place(fails, run, tmp_path):
    line = fails("report", run, "--out", tmp_path / "page.html")
    assert "--out is for the page that compares several runs" in line
    assert not (tmp_path / "page.html").exists()


def test_a_lack_of_memory(fails, run, monkeypatch):
    def lack(*arguments, **settings):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 8 bytes\nException raised")

    monkeypatch.setattr("sidkit.cli.daily.recommend.open_run", lack)
    assert fails("recommend", run, "--user", "1003") == (
        "error: there is not enough memory (DefaultCPUAllocator: can't allocate memory: you tried 8 bytes); "
        "make the model, batches or beam smaller\n"
    )


@pytest.mark.parametrize(
    "setting", ["recommenders.tiger.learning_rate=inf", "recommenders.sasrec.clip_norm=nan"]
)
def test_settings_that_are_not_numbers(fails, data, setting):
    assert f"error: the settings: `{setting.partition('=')[0]}`: input should be" in fails(
        "run", data, "--set", setting
    )


def test_settings_beyond_reason(fails, data):
    assert "`tokenize.levels`: input should be less than or equal to 128" in fails(
        "run", data, "--set", "tokenize.levels=1000000000", "--set", "tokenize.codebook_size=1"
    )
    assert "`recommenders.tiger.d_model`: input should be less than or equal to 65536" in fails(
        "run", data, "--set", "recommenders.tiger.d_model=1000000000000"
    )
    assert "`d_model` must be a multiple of `heads`, got 128 with 3 heads" in fails(
        "run", data, "--set", "recommenders.sasrec.heads=3"
    )
    assert "`ks` must hold at least one cut-off and each once, it is []" in fails(
        "run", data, "--set", "evaluate.ks=[]"
    )


def test_a_title_is_neither_markup_nor_control(run, monkeypatch, capsys):
    monkeypatch.setattr("sidkit.run.opened.Run.title", lambda run, item: "[bold]x[/] [/red] \x1b[31mred")
    for command in (
        ["recommend", run, "--history", "item-01, item-02,", "-k", "1"],
        ["inspect", run, "--item", "item-01"],
    ):
        with pytest.raises(SystemExit, match="0"):
            main([str(argument) for argument in command])
    shown = capsys.readouterr().out
    assert shown.count("[bold]x[/] [/red] [31mred") == 2
