"""The engine: stages in their order, each run only if its settings or inputs have changed."""

import contextlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sidkit._progress import Progress, silent
from sidkit.errors import RunDirectoryError
from sidkit.run.directory import RunDirectory, StageRecord, fingerprint
from sidkit.run.meter import Meter, return_memory

__all__ = ["Observer", "Outcome", "Quiet", "Stage", "Task", "check_settings", "execute"]


@dataclass(frozen=True)
class Outcome:
    """What a stage's work leaves."""

    outputs: Sequence[str] = ()
    """Paths within the run directory of the files it wrote."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Small figures, as JSON can hold them."""


@dataclass(frozen=True)
class Task:
    """What a stage's work is given."""

    fingerprint: str
    """Digest of the stage's settings and inputs."""
    progress: Progress
    """To be told how far it is."""
    workspace: Callable[[], Path]
    """Makes a folder for unfinished files, found again if the stage is interrupted and run once more."""


@dataclass(frozen=True)
class Stage:
    """One step of a run."""

    name: str
    settings: Mapping[str, Any]
    """The settings that it uses, `{"section.key": value}`."""
    inputs: Sequence[str]
    """Names of the stages whose results it uses."""
    work: Callable[[Task], Outcome]
    files: Callable[[], Mapping[str, str]] = dict
    """Digests of the files outside the run directory that it reads."""
    cheap: bool = False
    """Whether it may be run again without being asked to: it takes seconds and loses nothing."""


class Observer(Protocol):
    """Someone who watches a run."""

    def started(self, stage: str) -> Progress:
        """A stage begins; what is returned is told how far it is."""

    def skipped(self, stage: str) -> None:
        """A stage is current and is not run again."""

    def finished(self, stage: str, record: StageRecord) -> None:
        """A stage has ended well."""


class Quiet:
    """An observer who says nothing."""

    def started(self, stage: str) -> Progress:
        """Take no note."""
        return silent

    def skipped(self, stage: str) -> None:
        """Take no note."""

    def finished(self, stage: str, record: StageRecord) -> None:
        """Take no note."""


def check_settings(stages: Sequence[Stage], folder: RunDirectory) -> None:
    """Refuse a folder whose finished stages were made with other settings.

    Raises:
        RunDirectoryError: naming every setting that differs, with both values.
    """
    changes: dict[str, str] = {}
    for stage in stages:
        record = folder.records.get(stage.name)
        if record is None or stage.cheap:
            continue
        for key in sorted(stage.settings.keys() | record.settings.keys()):
            before, after = record.settings.get(key), stage.settings.get(key)
            if before != after:
                changes[key] = f"{key} is {_shown(before)} there, {_shown(after)} now"
    if changes:
        raise RunDirectoryError(
            f"the run `{folder.path}` was made with other settings: {'; '.join(changes.values())}; "
            "choose another folder with --out, or pass --force to run the stages again that they touch"
        )


def execute(
    stages: Sequence[Stage], folder: RunDirectory, observer: Observer, *, force: bool = False
) -> None:
    """Bring every stage up to date, in order.

    Args:
        stages: the stages to run; each names only earlier ones among its inputs.
        folder: the locked run directory.
        observer: told of every stage.
        force: run a finished stage again when its settings or inputs have changed, instead of refusing.

    Raises:
        RunDirectoryError: if a finished stage was made from other inputs, without `force`.
    """
    fingerprints: dict[str, str] = {}
    for stage in stages:
        inputs = {**{name: fingerprints[name] for name in stage.inputs}, **stage.files()}
        wanted = fingerprints[stage.name] = fingerprint(stage.name, stage.settings, inputs)
        if folder.is_current(stage.name, wanted, replaceable=stage.cheap):
            observer.skipped(stage.name)
            continue
        record = folder.records.get(stage.name)
        if not (force or stage.cheap or record is None or record.fingerprint == wanted):
            _refuse_other_inputs(stage, folder, record, inputs)
        record = _perform(stage, folder, wanted, inputs, observer)
        observer.finished(stage.name, record)


def _perform(
    stage: Stage, folder: RunDirectory, wanted: str, inputs: Mapping[str, str], observer: Observer
) -> StageRecord:
    unfinished = folder.path / "unfinished" / stage.name
    if not folder.was_interrupted(stage.name, wanted):
        shutil.rmtree(unfinished, ignore_errors=True)
    folder.begin(stage.name, wanted)
    return_memory()
    meter = Meter()
    outcome = stage.work(Task(wanted, observer.started(stage.name), lambda: _made(unfinished)))
    record = StageRecord(
        fingerprint=wanted,
        settings=dict(stage.settings),
        inputs=inputs,
        outputs=folder.digests(outcome.outputs),
        seconds=round(meter.seconds, 3),
        cpu_seconds=round(meter.cpu_seconds, 3),
        peak_memory_bytes=meter.peak_memory_bytes,
        facts=dict(outcome.facts),
    )
    folder.finish(stage.name, record)
    _remove(unfinished)
    return record


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _remove(unfinished: Path) -> None:
    shutil.rmtree(unfinished, ignore_errors=True)
    with contextlib.suppress(OSError):  # another stage's unfinished work may be there, or there was none
        unfinished.parent.rmdir()


def _refuse_other_inputs(
    stage: Stage, folder: RunDirectory, record: StageRecord, inputs: Mapping[str, str]
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
        f"stage `{stage.name}` of the run `{folder.path}` was made from other inputs ({what}); "
        "choose another folder with --out, or pass --force to run it and what follows again"
    )


def _shown(value: Any) -> str:
    return "unset" if value is None else repr(value)
