"""A run directory: the results of each stage with their settings and inputs.

`stages.json` keeps one record per finished stage. A stage is *current* when the fingerprint of its settings
and inputs is the recorded one and its files are the ones it wrote; then it is not run again. A stage that was
begun and not finished leaves a mark, which distinguishes its unfinished files from files that were changed
from outside.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import Any

from sidkit._arguments import check_argument, checked
from sidkit._files import remove_temporaries, sha256_of, write_text
from sidkit.errors import FormatError, RunDirectoryError
from sidkit.run.lock import DirectoryLock

__all__ = ["RunDirectory", "StageRecord", "fingerprint"]

_FORMAT = "sidkit-run"
_VERSION = 1
_BOOKKEEPING = {"run.toml", "stages.json", ".lock"}


@checked
@dataclass(frozen=True)
class StageRecord:
    """Record of a finished stage in `stages.json`."""

    fingerprint: str
    """Digest of settings and inputs."""
    settings: Mapping[str, Any]
    """The settings that it used, `{"section.key": value}`."""
    inputs: Mapping[str, str]
    """Fingerprints of its input stages, and digests of the files outside that it read."""
    outputs: Mapping[str, str]
    """SHA-256 of every file it wrote, by path within the directory."""
    seconds: float = 0.0
    """Wall time."""
    cpu_seconds: float = 0.0
    """Processor time of all threads."""
    peak_memory_bytes: int = 0
    """Peak resident memory while it ran."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Small figures for later stages and the report."""


def fingerprint(stage: str, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Return a digest that is equal exactly when the stage, its settings and its inputs are."""
    text = json.dumps([_VERSION, stage, dict(settings), dict(inputs)], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@checked
class RunDirectory:
    """A run directory on the disk.

    Writing needs the lock of the directory, which this object holds as a context manager. Reading needs none.
    A directory that it created, and in which an error left no results, is removed.

    Example:
        with RunDirectory("runs/demo") as directory:
            if not directory.is_current("embed", expected):
                directory.begin("embed", expected)
                ...
                directory.finish("embed", record)
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Refer to a directory, which need not exist yet.

        Raises:
            RunDirectoryError: if there is a file of that name, or a directory with other files in it.
            FormatError: if its `stages.json` is not ours.
        """
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise RunDirectoryError(
                f"`{self.path}` is a file; a run needs a directory: choose another with --out"
            )
        if self.path.is_dir() and not self.config_path.exists() and any(_visible(self.path)):
            raise RunDirectoryError(
                f"`{self.path}` has files in it but no run.toml, so it is not a run of sidkit; "
                "name the directory of a run, or a new or empty one"
            )
        self._lock = DirectoryLock(self.path)
        self._records: dict[str, StageRecord] = {}
        self._started: dict[str, str] = {}
        self._is_new = False
        self._load()

    @property
    def config_path(self) -> Path:
        """Path of the complete configuration."""
        return self.path / "run.toml"

    @property
    def records(self) -> Mapping[str, StageRecord]:
        """The records of all finished stages, by name, oldest first."""
        return self._records

    def __enter__(self) -> "RunDirectory":
        self._is_new = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunDirectoryError(
                f"the directory `{self.path}` cannot be created: {error.strerror}"
            ) from error
        self._lock.acquire()
        remove_temporaries(self.path)  # of a process that was killed
        # Another process may have finished stages between the construction and the lock.
        self._load()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failed = kind is not None and issubclass(kind, Exception)
        useless = failed and self._is_new and not self._records and self._is_bare()
        if useless:
            self.config_path.unlink(missing_ok=True)
            (self.path / "stages.json").unlink(missing_ok=True)
        self._lock.release()
        if useless:
            with contextlib.suppress(OSError):  # another process has begun there
                (self.path / ".lock").unlink()
                self.path.rmdir()

    def is_current(self, stage: str, expected: str, *, replaceable: bool = False) -> bool:
        """Return True if `stage` is finished with this fingerprint and its files are unchanged.

        Args:
            stage: its name.
            expected: fingerprint of its present settings and inputs.
            replaceable: allow files that were changed from outside to be overwritten.

        Raises:
            RunDirectoryError: if a file is not the one that the stage wrote, and not replaceable.
        """
        record = self._records.get(stage)
        if record is None or record.fingerprint != expected:
            return False
        for name, digest in record.outputs.items():
            file = self.path / name
            if not file.exists():
                return False
            if (replaceable or stage in self._started) and sha256_of(file) != digest:
                return False
            self._check_file(stage, name)
        return stage not in self._started

    def was_interrupted(self, stage: str, expected: str) -> bool:
        """Return True if `stage` was begun with this fingerprint and not finished, so that it can resume."""
        return self._started.get(stage) == expected

    def begin(self, stage: str, expected: str) -> None:
        """Mark `stage` as begun; the record of its last success stays until `finish`."""
        self._started[stage] = expected
        self._save()

    def finish(self, stage: str, record: StageRecord) -> None:
        """Keep the record of a stage whose files are complete."""
        self._started.pop(stage, None)
        self._records.pop(stage, None)
        self._records[stage] = record
        self._save()

    def digests(self, names: Iterable[str]) -> dict[str, str]:
        """Return the SHA-256 of files by their paths within the directory."""
        return {name: sha256_of(self.path / check_argument("names", name, str | Path)) for name in names}

    def output(self, stage: str, name: str) -> Path:
        """Return the path of a finished stage's file.

        Raises:
            RunDirectoryError: if the stage has not finished, or the file is missing.
        """
        self._record(stage)
        file = self.path / name
        if not file.exists():
            raise RunDirectoryError(f"`{file}` of stage `{stage}` is missing; `sidkit run` makes it again")
        return file

    def check(self, stage: str, settings: Mapping[str, Any]) -> None:
        """Check that the results of a finished stage are current.

        Args:
            stage: its name.
            settings: those of the run's configuration, `{"section.key": value}`.

        Raises:
            RunDirectoryError: if the stage has not finished, was made with other settings or from another
                result of an earlier stage, or a file is not the one that it wrote.
        """
        record = self._record(stage)
        for name in record.outputs:
            self.output(stage, name)
            self._check_file(stage, name)
        stale = [name for name in record.inputs if self._fingerprint(name) not in (None, record.inputs[name])]
        stale += [key for key, value in record.settings.items() if settings.get(key) != value]
        if stale:
            raise RunDirectoryError(
                f"stage `{stage}` of the run `{self.path}` was made before `{stale[0]}` changed; "
                f"bring it up to date with: sidkit run {self.path} --force"
            )

    def verify(self, patterns: Sequence[str]) -> None:
        """Check that the files that match one of the patterns are those that finished stages wrote.

        A stage that is running again is skipped: its files may be old or new.

        Args:
            patterns: of paths within the directory, such as `predictions/*.parquet`.

        Raises:
            RunDirectoryError: naming the first file that is missing or was changed.
        """
        for stage, record in self._records.items():
            if stage in self._started:
                continue
            for name in record.outputs:
                if any(fnmatchcase(name, pattern) for pattern in patterns):
                    self.output(stage, name)
                    self._check_file(stage, name)

    def _is_bare(self) -> bool:
        """True if no stage has left any file, not even of unfinished work."""
        return self.path.is_dir() and {entry.name for entry in self.path.iterdir()} <= _BOOKKEEPING

    def _record(self, stage: str) -> StageRecord:
        if stage not in self._records:
            raise RunDirectoryError(
                f"stage `{stage}` of the run `{self.path}` has not finished: run `sidkit run` first"
            )
        return self._records[stage]

    def _fingerprint(self, stage: str) -> str | None:
        return self._records[stage].fingerprint if stage in self._records else None

    def _check_file(self, stage: str, name: str) -> None:
        file, expected = self.path / name, self._records[stage].outputs[name]
        if sha256_of(file) != expected:
            raise RunDirectoryError(
                f"`{file}` is not the file that stage `{stage}` wrote (expected SHA-256 "
                f"{expected[:12]}..., {file.stat().st_size} bytes are there now); "
                "delete it, and it is made again"
            )

    def _load(self) -> None:
        file = self.path / "stages.json"
        self._records, self._started = {}, {}
        if not file.exists():
            return
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if content["format"] != _FORMAT or content["version"] != _VERSION:
                raise FormatError(
                    f"`{file}` has format {content['format']!r} version {content['version']!r}, "
                    f"this sidkit reads {_FORMAT!r} version {_VERSION}; choose another directory with --out"
                )
            for name, entry in content["stages"].items():
                self._records[name] = StageRecord(**entry)
            self._started = dict(content["started"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(
                f"`{file}` is damaged or not a file of sidkit ({type(error).__name__}: {error}); "
                "delete it to run all stages again, or choose another directory with --out"
            ) from error

    def _save(self) -> None:
        content = {
            "format": _FORMAT,
            "version": _VERSION,
            "stages": {name: dataclasses.asdict(record) for name, record in self._records.items()},
            "started": self._started,
        }
        write_text(self.path / "stages.json", json.dumps(content, indent=2) + "\n")


def _visible(directory: Path) -> Iterable[Path]:
    return (entry for entry in directory.iterdir() if not entry.name.startswith("."))
