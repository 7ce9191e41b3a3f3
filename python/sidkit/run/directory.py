"""A run directory: what each stage made, from which settings and inputs, and whether it still holds.

`stages.json` keeps one record per finished stage. A stage is *current* when the fingerprint of its settings
and inputs is the recorded one and its files are the ones it wrote; then it is not run again. A stage that was
begun and not finished leaves a mark, so that its half of the work is told apart from a file that someone else
changed.
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

from sidkit._files import sha256_of, write_text
from sidkit.errors import FormatError, RunDirectoryError
from sidkit.run.lock import FolderLock

__all__ = ["RunDirectory", "StageRecord", "fingerprint"]

_FORMAT = "sidkit-run"
_VERSION = 1
_BOOKKEEPING = {"run.toml", "stages.json", ".lock"}


@dataclass(frozen=True)
class StageRecord:
    """What a finished stage leaves in `stages.json`."""

    fingerprint: str
    """Digest of settings and inputs."""
    settings: Mapping[str, Any]
    """The settings that it used, `{"section.key": value}`."""
    inputs: Mapping[str, str]
    """Fingerprints of the stages, digests of the files outside, from which it was made."""
    outputs: Mapping[str, str]
    """SHA-256 of every file it wrote, by path within the folder."""
    seconds: float = 0.0
    """Wall time."""
    cpu_seconds: float = 0.0
    """Processor time of all threads; 0 in records of versions that did not measure it."""
    peak_memory_bytes: int = 0
    """Most resident memory while it ran."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Small figures for later stages and the report."""


def fingerprint(stage: str, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Return a digest that is equal exactly when the stage, its settings and its inputs are."""
    text = json.dumps([_VERSION, stage, dict(settings), dict(inputs)], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


class RunDirectory:
    """A run directory on the disk.

    Used as a context manager it holds the folder's lock, and only then may it write. Reading needs no lock.
    A folder that it has made, and in which an error left nothing, it removes again.

    Example:
        with RunDirectory("runs/demo") as folder:
            if not folder.is_current("embed", wanted):
                folder.begin("embed", wanted)
                ...
                folder.finish("embed", record)
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Point at a folder, which need not exist yet.

        Raises:
            RunDirectoryError: if there is something else of that name, or a folder with other things in it.
            FormatError: if its `stages.json` is not ours.
        """
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise RunDirectoryError(
                f"`{self.path}` is a file; a run needs a folder: choose another with --out"
            )
        if self.path.is_dir() and not self.config_path.exists() and any(_visible(self.path)):
            raise RunDirectoryError(
                f"`{self.path}` has files in it but no run.toml, so it is not a run of sidkit; "
                "name the folder of a run, or a new or empty one"
            )
        self._lock = FolderLock(self.path)
        self._records: dict[str, StageRecord] = {}
        self._started: dict[str, str] = {}
        self._is_new = False
        self._load()

    @property
    def config_path(self) -> Path:
        """Where the resolved configuration is kept."""
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
            raise RunDirectoryError(f"the folder `{self.path}` can not be made: {error.strerror}") from error
        self._lock.acquire()
        # What another process finished between our construction and the lock counts.
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

    def is_current(self, stage: str, wanted: str, *, replaceable: bool = False) -> bool:
        """Whether `stage` is finished with this fingerprint and its files are still there and the same.

        Args:
            stage: its name.
            wanted: the fingerprint of its settings and inputs now.
            replaceable: whether files that someone else wrote may be written over.

        Raises:
            RunDirectoryError: if a file is there but is not the one that the stage wrote, nor replaceable.
        """
        record = self._records.get(stage)
        if record is None or record.fingerprint != wanted:
            return False
        for name, digest in record.outputs.items():
            file = self.path / name
            if not file.exists():
                return False
            if (replaceable or stage in self._started) and sha256_of(file) != digest:
                return False
            self._check_file(stage, name)
        return stage not in self._started

    def was_interrupted(self, stage: str, wanted: str) -> bool:
        """Whether `stage` was begun with this very fingerprint and not finished, so that it may go on."""
        return self._started.get(stage) == wanted

    def begin(self, stage: str, wanted: str) -> None:
        """Mark that `stage` is at work; the record of its last success stays until `finish`."""
        self._started[stage] = wanted
        self._save()

    def finish(self, stage: str, record: StageRecord) -> None:
        """Keep the record of a stage whose files are complete."""
        self._started.pop(stage, None)
        self._records.pop(stage, None)
        self._records[stage] = record
        self._save()

    def digests(self, names: Iterable[str]) -> dict[str, str]:
        """Return the SHA-256 of files by their paths within the folder."""
        return {name: sha256_of(self.path / name) for name in names}

    def output(self, stage: str, name: str) -> Path:
        """Return the path of a finished stage's file.

        Raises:
            RunDirectoryError: if the stage has not finished, or the file has gone.
        """
        self._record(stage)
        file = self.path / name
        if not file.exists():
            raise RunDirectoryError(f"`{file}` of stage `{stage}` has gone; `sidkit run` makes it again")
        return file

    def check(self, stage: str, settings: Mapping[str, Any]) -> None:
        """Check that what a finished stage made still holds, before it is believed.

        Args:
            stage: its name.
            settings: those of the run's configuration, `{"section.key": value}`.

        Raises:
            RunDirectoryError: if the stage has not finished, was made with other settings than the configuration
                tells or from another result of a stage before it, or a file is not the one that it wrote.
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

        A stage that is being done anew is not asked: its files may be old or new.

        Args:
            patterns: of paths within the folder, such as `predictions/*.parquet`.

        Raises:
            RunDirectoryError: naming the first file that has gone or is another one.
        """
        for stage, record in self._records.items():
            if stage in self._started:
                continue
            for name in record.outputs:
                if any(fnmatchcase(name, pattern) for pattern in patterns):
                    self.output(stage, name)
                    self._check_file(stage, name)

    def _is_bare(self) -> bool:
        """Whether no stage has left anything, not even half of its work to go on from."""
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
                "delete it to have it made again"
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
                    f"this sidkit reads {_FORMAT!r} version {_VERSION}; choose another folder with --out"
                )
            for name, entry in content["stages"].items():
                self._records[name] = StageRecord(**entry)
            self._started = dict(content["started"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(
                f"`{file}` is damaged or not a file of sidkit ({type(error).__name__}: {error}); "
                "delete it to run all stages again, or choose another folder with --out"
            ) from error

    def _save(self) -> None:
        content = {
            "format": _FORMAT,
            "version": _VERSION,
            "stages": {name: dataclasses.asdict(record) for name, record in self._records.items()},
            "started": self._started,
        }
        write_text(self.path / "stages.json", json.dumps(content, indent=2) + "\n")


def _visible(folder: Path) -> Iterable[Path]:
    return (entry for entry in folder.iterdir() if not entry.name.startswith("."))
