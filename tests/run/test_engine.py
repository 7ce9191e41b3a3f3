"""Execution of stages: once, again after a change, and resumed after an interrupt."""

import re

import pytest

from sidkit.errors import FormatError, RunDirectoryError
from sidkit.run import Quiet, RunDirectory
from sidkit.run.engine import Outcome, Stage, check_settings, execute


class Kitchen:
    """Two stages that count how often they worked: `bake` writes a file that `taste` reads."""

    def __init__(self, path):
        self.path = path
        self.done = []
        self.break_at = None

    def stages(self, *, heat=180, flour="a"):
        bake = Stage("bake", {"bake.heat": heat}, (), self._bake, lambda: {"flour": flour})
        return [bake, Stage("taste", {}, ("bake",), self._taste)]

    def run(self, *, force=False, **settings):
        with RunDirectory(self.path) as folder:
            (self.path / "run.toml").touch()
            stages = self.stages(**settings)
            if not force:
                check_settings(stages, folder)
            execute(stages, folder, Quiet(), force=force)

    def _bake(self, task):
        trays = task.workspace() / "trays"
        start = int(trays.read_text()) if trays.exists() else 0
        for tray in range(start, 3):
            if self.break_at == tray:
                raise KeyboardInterrupt
            trays.write_text(str(tray + 1))
            self.done.append(f"tray {tray}")
        (self.path / "cake").write_text("cake")
        return Outcome(outputs=("cake",), facts={"trays": 3})

    def _taste(self, task):
        self.done.append("taste")
        return Outcome()


@pytest.fixture
def kitchen(tmp_path):
    return Kitchen(tmp_path / "run")


ALL = ["tray 0", "tray 1", "tray 2", "taste"]


def test_a_second_run_does_nothing(kitchen):
    kitchen.run()
    assert kitchen.done == ALL
    kitchen.run()
    assert kitchen.done == ALL
    record = RunDirectory(kitchen.path).records["bake"]
    assert record.facts == {"trays": 3}
    assert record.seconds >= 0 and record.peak_memory_bytes > 0
    assert not (kitchen.path / "unfinished").exists()


def test_an_interrupted_stage_resumes(kitchen):
    kitchen.break_at = 2
    with pytest.raises(KeyboardInterrupt):
        kitchen.run()
    assert "bake" not in RunDirectory(kitchen.path).records
    kitchen.break_at = None
    kitchen.run()
    assert kitchen.done == ALL


def test_unfinished_work_of_other_settings_is_discarded(kitchen):
    kitchen.break_at = 2
    with pytest.raises(KeyboardInterrupt):
        kitchen.run()
    kitchen.break_at, kitchen.done = None, []
    kitchen.run(heat=200)
    assert kitchen.done == ALL


def test_other_settings_are_refused_and_named(kitchen):
    kitchen.run()
    message = (
        "was made with other settings: bake.heat is 180 there, 200 now; choose another directory with --out"
    )
    with pytest.raises(RunDirectoryError, match=re.escape(message)):
        kitchen.run(heat=200)
    assert kitchen.done == ALL
    kitchen.run(heat=200, force=True)
    assert kitchen.done == ALL * 2


def test_an_interrupted_rerun_leaves_the_former_result(kitchen):
    kitchen.run()
    kitchen.break_at = 1
    with pytest.raises(KeyboardInterrupt):
        kitchen.run(heat=200, force=True)
    assert (kitchen.path / "cake").read_text() == "cake"
    assert RunDirectory(kitchen.path).records["bake"].settings == {"bake.heat": 180}


def test_other_files_outside_are_refused_and_named(kitchen):
    kitchen.run()
    message = r"stage `bake` of the run .* was made from other inputs \(`flour` changed\)"
    with pytest.raises(RunDirectoryError, match=message):
        kitchen.run(flour="b")


def test_a_missing_file_is_made_again(kitchen):
    kitchen.run()
    (kitchen.path / "cake").unlink()
    kitchen.run()
    assert kitchen.done == [*ALL, *ALL[:3]]


def test_a_truncated_file_is_refused(kitchen):
    kitchen.run()
    (kitchen.path / "cake").write_text("ca")
    with pytest.raises(
        RunDirectoryError, match=r"cake` is not the file that stage `bake` wrote .* 2 bytes are there"
    ):
        kitchen.run()


def test_one_process_at_a_time(kitchen):
    with (
        RunDirectory(kitchen.path),
        pytest.raises(RunDirectoryError, match="another process is writing to the run"),
        RunDirectory(kitchen.path),
    ):
        pass
    with RunDirectory(kitchen.path):
        pass


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is damaged or not a file of sidkit"),
        ("{}", "is damaged or not a file of sidkit"),
        ("[1, 2]", "is damaged or not a file of sidkit"),
        ('{"format": "sidkit-run", "version": 1, "stages": {"bake": {}}, "started": {}}', "is damaged"),
        ('{"format": "sidkit-run", "version": 7}', "version 7, this sidkit reads 'sidkit-run' version 1"),
    ],
)
def test_a_foreign_or_damaged_record(tmp_path, content, message):
    (tmp_path / "run.toml").touch()
    (tmp_path / "stages.json").write_text(content)
    with pytest.raises(FormatError, match=re.escape(message)):
        RunDirectory(tmp_path)


def test_a_directory_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(RunDirectoryError, match=r"has files in it but no run\.toml"):
        RunDirectory(tmp_path)
    with pytest.raises(RunDirectoryError, match="is a file; a run needs a directory"):
        RunDirectory(tmp_path / "thesis.txt")
