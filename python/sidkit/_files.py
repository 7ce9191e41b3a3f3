"""Atomic writes of files and directories, digests of files, and checksums inside of them.

A sealed file holds the SHA-256 of all its bytes in its metadata; the checksum itself counts as zeros.
It is written with `UNSEALED` among its metadata, then sealed. Safetensors and Parquet files keep the text
as it is, the first in their header, the second in their footer.
"""

import ctypes
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from sidkit.errors import ConfigError, FormatError

__all__ = [
    "UNSEALED",
    "atomic_directory",
    "atomic_path",
    "check_seal",
    "remove_temporaries",
    "seal",
    "sha256_of",
    "temporary_directory",
    "write_bytes",
    "write_json",
    "write_text",
]

#: Part of the names of unfinished files and directories, followed by eight random characters.
_TEMPORARY = ".tmp-"
_NAME_OF_TEMPORARY = re.compile(r"\.tmp-[a-z0-9_]{8}(\.\w+)?$")
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
_MARK = b"sidkit-sha256:"
_ZEROS = b"0" * 64
#: Metadata of a file that `seal` completes.
UNSEALED = {"checksum": (_MARK + _ZEROS).decode()}


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the same directory, and rename it to `path` when the block succeeds.

    The data is flushed to the disk before the rename: after a crash, a full disk or an interrupt, `path` is
    either the old file or the complete new one. A device or a pipe is written to, not replaced.
    """
    target = Path(path)
    if target.exists() and not target.is_file() and not target.is_dir():
        with tempfile.TemporaryDirectory() as directory:
            complete = Path(directory) / (target.name or "file")
            yield complete
            with complete.open("rb") as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # Some writers choose the format by the suffix.
    handle, name = tempfile.mkstemp(
        prefix=f".{target.stem}{_TEMPORARY}", suffix=target.suffix, dir=target.parent
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        refusal = _system_error(error, temporary, target)
        if refusal is None:
            raise
        raise refusal from error


@contextmanager
def atomic_directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary directory next to `path`, and rename it to `path` when the block succeeds.

    An existing directory at `path` is exchanged for the new one in one step where the system can do that, and
    removed then; it is never removed before the new one is complete.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}{_TEMPORARY}", dir=target.parent))
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                with file.open("rb+") as handle:
                    os.fsync(handle.fileno())
        temporary.chmod(0o777 & ~_umask())
        if not target.exists():
            temporary.replace(target)
        elif not _exchange(temporary, target):
            former = Path(tempfile.mkdtemp(prefix=f".{target.name}.former-", dir=target.parent))
            target.replace(former)
            try:
                temporary.replace(target)
            except BaseException:
                former.replace(target)
                raise
            shutil.rmtree(former, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    shutil.rmtree(temporary, ignore_errors=True)  # what was at `path` before


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two directories in one step; return False where the system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if os.name == "posix" else None
    if rename is None:
        return False
    return bool(rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)


@contextmanager
def temporary_directory(parent: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a directory inside of `parent` that is removed at the end of the block."""
    with tempfile.TemporaryDirectory(prefix=f".saving{_TEMPORARY}", dir=parent) as name:
        yield Path(name)


def remove_temporaries(directory: str | os.PathLike[str]) -> None:
    """Remove the temporary files and directories that a killed process has left in a directory, at any depth.

    Nothing may write there at the same time.
    """
    for path in sorted(Path(directory).rglob(f".*{_TEMPORARY}*")):
        if not _NAME_OF_TEMPORARY.search(path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path` as UTF-8, atomically."""
    write_bytes(path, text.encode())


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write a value as JSON, atomically.

    Raises:
        ConfigError: if it holds something that is not JSON, such as NaN.
    """
    try:
        text = json.dumps(value, indent=1, allow_nan=False)
        data = text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"the value cannot be written: expected JSON values, got {error}.") from None
    write_bytes(path, data + b"\n")


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def seal(path: str | os.PathLike[str]) -> None:
    """Put the checksum into a safetensors or Parquet file that was written with the metadata `UNSEALED`.

    Raises:
        FormatError: if the metadata are not there.
    """
    with Path(path).open("rb+") as file:
        place = _place_of_seal(file)
        if place is None or place < 0:
            raise FormatError(f"`{path}` cannot be sealed: expected the metadata `checksum`, got none.")
        digest = _sealed_digest(file, place)
        file.seek(place)
        file.write(digest)


def check_seal(path: str | os.PathLike[str]) -> None:
    """Check the checksum inside of a file; a file without one, such as that of another program, is accepted.

    Raises:
        FormatError: if a byte of the file has changed.
        OSError: if the file cannot be read.
    """
    with Path(path).open("rb") as file:
        place = _place_of_seal(file)
        if place is None:
            return
        if place < 0:
            raise FormatError(f"`{path}` is damaged: expected a checksum, got another text. Write it again.")
        file.seek(place)
        found, expected = file.read(len(_ZEROS)), _sealed_digest(file, place)
        if found != expected:
            raise FormatError(
                f"`{path}` is damaged: expected the checksum {expected[:12].decode()}…, got "
                f"{found[:12].decode(errors='replace')}…. Write it again, or restore it."
            )


def _place_of_seal(file: BinaryIO) -> int | None:
    """Return where the checksum begins; None for a file without, -1 if its mark is damaged."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(8)
    if head[:4] == b"PAR1":
        file.seek(max(0, size - 8))
        length = int.from_bytes(file.read(4), "little")
        start = size - 8 - length
    else:
        length, start = int.from_bytes(head, "little"), 8
    if start < 0 or start + length > size:
        return None
    file.seek(start)
    metadata = file.read(length)
    place = metadata.find(_MARK)
    if 0 <= place <= length - len(_MARK) - len(_ZEROS):
        return start + place + len(_MARK)
    return -1 if b"checksum" in metadata and (_MARK[:7] in metadata or _MARK[7:] in metadata) else None


def _sealed_digest(file: BinaryIO, place: int) -> bytes:
    digest = hashlib.sha256()
    file.seek(0)
    _update(digest, file, place)
    digest.update(_ZEROS)
    file.seek(place + len(_ZEROS))
    _update(digest, file, None)
    return digest.hexdigest().encode()


def _update(digest: Any, file: BinaryIO, length: int | None) -> None:
    while length is None or length > 0:
        block = file.read(1 << 20 if length is None else min(length, 1 << 20))
        if not block:
            break
        digest.update(block)
        length = None if length is None else length - len(block)


def _system_error(error: BaseException, temporary: Path, target: Path) -> OSError | None:
    """Return the error of the operating system for `target`; writers in Rust wrap it in their own types."""
    if isinstance(error, OSError) and error.filename not in (None, str(temporary)):
        return None
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (found := re.search(r"\(os error (\d+)\)", str(error))):
        number = int(found[1])
    return None if number is None else OSError(number, os.strerror(number), str(target))


def _umask() -> int:
    # The mask can only be read by setting it.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
