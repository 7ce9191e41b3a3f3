"""Execution of stages in order; a stage runs only if its settings or inputs have changed."""

import contextlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sidkit._arguments import checked
from sidkit._progress import Progress, silent
from sidkit.errors import RunDirectoryError
from sidkit.run.directory import RunDirectory, StageRecord, fingerprint
from sidkit.run.meter import Meter, return_memory

__all__ = ["Observer", "Outcome", "Quiet", "Stage", "Task", "check_settings", "execute"]


@dataclass(frozen=True)
class Outcome:
    """Result of a stage."""

    outputs: Sequence[str] = ()
    """Files that it wrote, as paths within the run directory."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Small figures that JSON can hold."""


@dataclass(frozen=True)
class Task:
    """Arguments of the work of a stage."""

    fingerprint: str
    """Digest of the settings and inputs of the stage."""
    progress: Progress
    """Called with the progress of the work."""
    workspace: Callable[[], Path]
    """Returns a directory for unfinished files, which is still there when an interrupted stage runs again."""


@dataclass(frozen=True)
class Stage:
    """One step of a run."""

    name: str
    settings: Mapping[str, Any]
    """Settings that it uses, `{"section.key": value}`."""
    inputs: Sequence[str]
    """Names of the stages whose results it uses."""
    work: Callable[[Task], Outcome]
    files: Callable[[], Mapping[str, str]] = dict
    """Digests of the files outside the run directory that it reads."""
    cheap: bool = False
    """True if it may run again without `force`: it takes seconds and loses nothing."""


class Observer(Protocol):
    """Receiver of notifications about a run."""

    def started(self, stage: str) -> Progress:
        """A stage begins; the returned callable receives its progress."""

    def skipped(self, stage: str) -> None:
        """A stage is current and does not run."""

    def finished(self, stage: str, record: StageRecord) -> None:
        """A stage has finished."""


@checked
class Quiet:
    """An observer that ignores everything."""

    def started(self, stage: str) -> Progress:
        """Ignore the start."""
        return silent

    def skipped(self, stage: str) -> None:
        """Ignore the stage."""

    def finished(self, stage: str, record: StageRecord) -> None:
        """Ignore the result."""


def check_settings(stages: Sequence[Stage], directory: RunDirectory) -> None:
    """Refuse a run directory whose finished stages were made with other settings.

    Raises:
        RunDirectoryError: naming every setting that differs, with both values.
    """
    changes: dict[str, str] = {}
    for stage in stages:
        record = directory.records.get(stage.name)
        if record is None or stage.cheap:
            continue
        for key in sorted(stage.settings.keys() | record.settings.keys()):
            before, after = record.settings.get(key), stage.settings.get(key)
            if before != after:
                changes[key] = f"{key} is {_shown(before)} there, {_shown(after)} now"
    if changes:
        raise RunDirectoryError(
            f"the run `{directory.path}` was made with other settings: {'; '.join(changes.values())}; "
            "choose another directory with --out, or pass --force to run the affected stages again"
        )


def execute(
    stages: Sequence[Stage], directory: RunDirectory, observer: Observer, *, force: bool = False
) -> None:
    """Bring every stage up to date, in order.

    Args:
        stages: stages to run; the inputs of each are earlier ones.
        directory: the locked run directory.
        observer: notified of every stage.
        force: run a finished stage again if its settings or inputs have changed, instead of raising an error.

    Raises:
        RunDirectoryError: if a finished stage was made from other inputs, without `force`.
    """
    fingerprints: dict[str, str] = {}
    for stage in stages:
        inputs = {**{name: fingerprints[name] for name in stage.inputs}, **stage.files()}
        expected = fingerprints[stage.name] = fingerprint(stage.name, stage.settings, inputs)
        if directory.is_current(stage.name, expected, replaceable=stage.cheap):
            observer.skipped(stage.name)
            continue
        record = directory.records.get(stage.name)
        if not (force or stage.cheap or record is None or record.fingerprint == expected):
            _refuse_other_inputs(stage, directory, record, inputs)
        record = _perform(stage, directory, expected, inputs, observer)
        observer.finished(stage.name, record)


def _perform(
    stage: Stage, directory: RunDirectory, expected: str, inputs: Mapping[str, str], observer: Observer
) -> StageRecord:
    unfinished = directory.path / "unfinished" / stage.name
    if not directory.was_interrupted(stage.name, expected):
        shutil.rmtree(unfinished, ignore_errors=True)
    directory.begin(stage.name, expected)
    return_memory()
    meter = Meter()
    outcome = stage.work(Task(expected, observer.started(stage.name), lambda: _made(unfinished)))
    record = StageRecord(
        fingerprint=expected,
        settings=dict(stage.settings),
        inputs=inputs,
        outputs=directory.digests(outcome.outputs),
        seconds=round(meter.seconds, 3),
        cpu_seconds=round(meter.cpu_seconds, 3),
        peak_memory_bytes=meter.peak_memory_bytes,
        facts=dict(outcome.facts),
    )
    directory.finish(stage.name, record)
    _remove(unfinished)
    return record


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _remove(unfinished: Path) -> None:
    shutil.rmtree(unfinished, ignore_errors=True)
    with contextlib.suppress(OSError):  # the work of another stage is there, or there was none
        unfinished.parent.rmdir()


def _refuse_other_inputs(
    stage: Stage, directory: RunDirectory, record: StageRecord, inputs: Mapping[str, str]
) -> None:
    changed = [
        name for name in sorted(inputs.keys() | record.inputs) if inputs.get(name) != record.inputs.get(name)
    ]
    what = (
        f"{', '.join(f'`{name}`' for name in changed)} changed"
        if changed
        else "its layout is of another version"
    )
    raise RunDirectoryError(
        f"stage `{stage.name}` of the run `{directory.path}` was made from other inputs ({what}); "
        "choose another directory with --out, or pass --force to run it and the stages after it again"
    )


def _shown(value: Any) -> str:
    return "unset" if value is None else repr(value)
