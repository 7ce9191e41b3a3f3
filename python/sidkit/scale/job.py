"""Jobs: a function of batches applied to a Parquet source, part by part, so that a job can be resumed."""

import json
import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileSelector, FileType

from sidkit._progress import Progress, silent
from sidkit.data.parquet.fragments import (
    Fragment,
    divide,
    file_system,
    parquet_files,
    read_batches,
    read_schema,
)
from sidkit.errors import ConfigError, DataError, RunDirectoryError
from sidkit.scale.batches.base import BatchFunction
from sidkit.scale.engines.base import Engine
from sidkit.scale.engines.registry import ENGINES

__all__ = ["PART_ROWS", "Job", "PartWriter", "map_parquet", "part_name", "write_part", "write_parts"]

_RECORD, _COMPLETE = "_job.json", "_SUCCESS"
#: Rows of an output file, unless the row groups of the source are larger.
PART_ROWS = 1 << 18


@dataclass(frozen=True)
class Job:
    """A finished job.

    Attributes:
        out: directory of the results.
        parts: number of its Parquet files.
        rows: number of rows.
        written: parts that this call wrote; the others were there before.
    """

    out: str
    parts: int
    rows: int
    written: int


@dataclass(frozen=True)
class PartWriter:
    """Worker function of a job: reads a fragment, maps its batches, and writes one Parquet file.

    The file appears under its name only when it is complete, so a worker that is killed leaves nothing
    behind that counts, and a fragment may be repeated by another worker.

    Attributes:
        function: function of batches.
        out: directory of the results.
        batch_size: rows per batch.
    """

    function: BatchFunction
    out: str
    batch_size: int

    def __call__(self, fragment: Fragment) -> int:
        """Write the part of a fragment and return its number of rows."""
        return write_part(self.out, fragment.number, self._results(fragment))

    def _results(self, fragment: Fragment) -> Iterator[pa.Table]:
        done = 0
        for batch in read_batches(fragment, self.function.columns, self.batch_size):
            try:
                yield self.function(batch)
            except DataError as error:
                first = fragment.start + done
                raise DataError(
                    f"`{fragment.path}`, batch of the rows {first} to {first + len(batch) - 1}: {error}"
                ) from error
            done += len(batch)


def map_parquet(
    function: BatchFunction,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    engine: Engine | str = "local",
    batch_size: int = 8192,
    progress: Progress = silent,
) -> Job:
    """Apply a function of batches to Parquet files, and write Parquet files.

    The source is divided into fragments of whole row groups; workers of the engine read them and write one
    part each, so that rows never pass through the driver. Parts are numbered in the order of the source, and
    do not depend on the engine, the number of workers, or workers that were killed. A call with the same
    function and source as an interrupted one writes the missing parts only.

    Args:
        function: function of batches, such as `TokenizeBatch`.
        source: Parquet file, or directory of Parquet files; a local path or a URI such as `s3://...`.
        out: directory of the results, which all workers must reach.
        engine: an engine, or its name with default settings.
        batch_size: rows per call of the function.
        progress: called as `progress(done, total)` with numbers of parts.

    Returns:
        The finished job.

    Raises:
        DataError: if the source or one of its values is invalid.
        ConfigError: if there is no such engine, or `batch_size` is less than 1.
        RunDirectoryError: if `out` holds the results of another job.
    """
    if batch_size < 1:
        raise ConfigError(f"`batch_size` is invalid: expected an integer >= 1, got {batch_size}. Correct it.")
    runner: Engine = ENGINES[engine]() if isinstance(engine, str) else engine
    source, place = os.fspath(source), os.fspath(out).rstrip("/")
    fragments = [each for each in divide(source, PART_ROWS) if each.rows]
    schema = function.schema(read_schema(source))
    record = {
        "function": function.describe(),
        "source": [_identity(path) for path in parquet_files(source)],
        "batch_size": batch_size,
        "parts": len(fragments),
        "schema": [f"{field.name}: {field.type}" for field in schema],
    }
    present = _prepare(place, json.loads(json.dumps(record)))
    missing = [each for each in fragments if part_name(each.number) not in present]
    done = len(fragments) - len(missing)
    progress(done, len(fragments))
    if missing:
        worker = PartWriter(function, place, batch_size)
        for _ in runner.run(worker, missing):
            done += 1
            progress(done, len(fragments))
    _write(place, _COMPLETE, "")
    return Job(place, len(fragments), sum(each.rows for each in fragments), len(missing))


def write_part(out: str, number: int, tables: Iterable[pa.Table]) -> int:
    """Write one part from consecutive tables, whole or not at all, and return its number of rows.

    Without any table, nothing is written.
    """
    system, directory = file_system(out)
    temporary = f"{directory}/.{part_name(number)}.{uuid.uuid4().hex}"
    rows, writer = 0, None
    try:
        for table in tables:
            if writer is None:
                writer = pq.ParquetWriter(temporary, table.schema, filesystem=system)
            writer.write_table(table)
            rows += len(table)
        if writer is None:
            return 0
        writer.close()
        system.move(temporary, f"{directory}/{part_name(number)}")
    except BaseException:
        if writer is not None:
            writer.close()
            system.delete_file(temporary)
        raise
    return rows


def write_parts(out: str, parts: Iterable[Iterable[pa.Table]]) -> int:
    """Write the parts of a directory in this process, and return their number of rows.

    Parts of an earlier call are replaced; the directory is marked as complete at the end.
    """
    system, path = file_system(out)
    system.create_dir(path, recursive=True)
    for each in system.get_file_info(FileSelector(path)):
        if each.base_name == _COMPLETE or each.base_name.startswith("part-"):
            system.delete_file(each.path)
    rows = sum(write_part(out, number, tables) for number, tables in enumerate(parts))
    _write(out, _COMPLETE, "")
    return rows


def part_name(number: int) -> str:
    """Return the file name of a part."""
    return f"part-{number:06d}.parquet"


def _prepare(out: str, record: dict[str, Any]) -> set[str]:
    """Make the directory or check that it holds a part of this job; return the names of its files."""
    system, path = file_system(out)
    system.create_dir(path, recursive=True)
    present = {
        each.base_name for each in system.get_file_info(FileSelector(path)) if each.type == FileType.File
    }
    if _RECORD not in present:
        if any(name.endswith(".parquet") for name in present):
            raise RunDirectoryError(
                f"`{out}` is not empty: expected a new directory, got Parquet files of something else. "
                "Choose another directory."
            )
        _write(out, _RECORD, json.dumps(record, indent=2) + "\n")
        return present
    with system.open_input_stream(f"{path}/{_RECORD}") as file:
        stored = json.loads(file.read().decode())
    differing = sorted(key for key in record.keys() | stored.keys() if record.get(key) != stored.get(key))
    if differing:
        raise RunDirectoryError(
            f"`{out}` holds the results of another job: expected the same function and source, got another "
            f"{differing[0]}. Choose another directory, or delete this one."
        )
    return present


def _identity(path: str) -> list[Any]:
    system, place = file_system(path)
    info = system.get_file_info(place)
    return [path if "://" in path else str(Path(path).resolve()), info.size, info.mtime_ns]


def _write(out: str, name: str, text: str) -> None:
    system, path = file_system(out)
    temporary = f"{path}/.{name}.{uuid.uuid4().hex}"
    with system.open_output_stream(temporary) as file:
        file.write(text.encode())
    system.move(temporary, f"{path}/{name}")
