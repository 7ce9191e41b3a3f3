"""Progress without a terminal: log lines on standard error, at most one every 30 seconds."""

import io

from rich.console import Console

from sidkit.cli.progress import Watcher
from sidkit.run import StageRecord


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_log_lines_without_a_terminal(capsys):
    clock, written = Clock(), io.StringIO()
    with Watcher(Console(file=written, force_terminal=False), clock) as watcher:
        progress = watcher.started("train.sasrec")
        for step in range(0, 401, 100):
            clock.now = step / 10  # 10 steps a second
            progress(step, 1_400, loss=2.5)
        assert capsys.readouterr().err == "  train.sasrec 300/1,400, loss 2.5, 110 s left\n".replace(
            "110 s", "2 min"
        )
        clock.now = 65.0
        progress(650, 1_400, loss=2.25)
        assert capsys.readouterr().err == "  train.sasrec 650/1,400, loss 2.25, 75 s left\n"
        watcher.finished("train.sasrec", StageRecord("print", {}, {}, {}, 70.0))
    assert "train.sasrec" in written.getvalue() and "70.0 s" in written.getvalue()


def test_a_resumed_stage_counts_the_steps_since(capsys):
    clock = Clock()
    progress = Watcher(Console(file=io.StringIO(), force_terminal=False), clock).started("train.tiger")
    progress(1_000, 2_000)
    clock.now = 40.0
    progress(1_400, 2_000)
    assert capsys.readouterr().err == "  train.tiger 1,400/2,000, 60 s left\n"
