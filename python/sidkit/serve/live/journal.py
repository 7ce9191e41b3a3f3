"""Append-only file of records that survives a crash at any moment.

    header   8 bytes: `SIDKITJ` and the version
    record   12 bytes: length of the payload, CRC-32 of the payload, CRC-32 of these 8 bytes; then the payload

Numbers are little-endian uint32. A record is complete if all of its bytes are there and both checksums match.
An incomplete record can only be the last one: its write was never acknowledged, and the next writer cuts it
off. Everything else is damage.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sidkit.errors import FormatError

__all__ = ["Journal"]

_MAGIC = b"SIDKITJ\x01"
_HEADER = struct.Struct("<III")
_LARGEST = 1 << 28


class Journal:
    """Journal of a directory, read and written by any number of processes.

    A process reads the records of all others with `read`, and appends while it holds the lock of `writing`.

        >>> journal = Journal("state")
        >>> with journal.writing():
        ...     earlier = journal.read()
        ...     journal.append(b"a record")

    Args:
        path: directory; created if it does not exist.
        sync: function that writes a file descriptor to the disk.

    Raises:
        FormatError: if the file is not a journal of this version.
        OSError: if the directory cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, sync: Callable[[int], None] = os.fsync) -> None:
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        self._sync = sync
        self._file = os.open(self.path / "journal.bin", os.O_RDWR | os.O_CREAT, 0o644)
        self._lock = os.open(self.path / "journal.lock", os.O_RDWR | os.O_CREAT, 0o644)
        self._position = 0
        self._broken = ""
        with self.writing():
            self._begin()

    @property
    def position(self) -> int:
        """Number of bytes that have been read or written."""
        return self._position

    def behind(self) -> bool:
        """Return whether the file has bytes that have not been read; takes about a microsecond."""
        return os.fstat(self._file).st_size != self._position

    def read(self) -> list[bytes]:
        """Return the payloads of all complete records since the last call.

        Raises:
            FormatError: if a record is damaged; the message names its offset.
        """
        size = os.fstat(self._file).st_size
        data = os.pread(self._file, max(0, size - self._position), self._position)
        found, at = [], 0
        while (payload := self._record(data, at)) is not None:
            found.append(payload)
            at += _HEADER.size + len(payload)
        self._position += at
        return found

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock under which records are appended; processes wait for each other."""
        with self._locked(fcntl.LOCK_EX):
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Wait until no process appends records, and keep them from it; many may read at a time."""
        with self._locked(fcntl.LOCK_SH):
            yield

    def append(self, payload: bytes) -> None:
        """Write a record to the disk. The caller holds the lock and has read all records.

        Raises:
            ValueError: if the payload is empty or too large.
            OSError: if the record cannot be written; the file is then as before. After a failed flush, all
                later calls fail, since the content of the disk is unknown.
        """
        if not 0 < len(payload) <= _LARGEST:
            raise ValueError(
                f"a record has the wrong size: expected 1 to {_LARGEST} bytes, got {len(payload)}. Split it."
            )
        if self._broken:
            raise OSError(f"the journal `{self.path}` failed before: {self._broken}. Restart the server.")
        os.ftruncate(self._file, self._position)
        head = struct.pack("<II", len(payload), zlib.crc32(payload))
        record = memoryview(head + struct.pack("<I", zlib.crc32(head)) + payload)
        try:
            written = 0
            while written < len(record):
                written += os.pwrite(self._file, record[written:], self._position + written)
        except OSError:
            os.ftruncate(self._file, self._position)
            raise
        try:
            self._sync(self._file)
        except OSError as error:
            self._broken = str(error)
            raise
        self._position += len(record)

    def close(self) -> None:
        """Close the files."""
        os.close(self._file)
        os.close(self._lock)

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        fcntl.flock(self._lock, kind)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _begin(self) -> None:
        """Check the header, or write it to a new file."""
        found = os.pread(self._file, len(_MAGIC), 0)
        if found != _MAGIC:
            if not _MAGIC.startswith(found):
                raise FormatError(
                    f"`{self.path / 'journal.bin'}` is not a journal: expected it to begin with {_MAGIC!r}, "
                    f"got {found!r}. Choose another directory."
                )
            os.pwrite(self._file, _MAGIC, 0)
            self._sync(self._file)
            self._sync_directory()
        self._position = len(_MAGIC)

    def _sync_directory(self) -> None:
        directory = os.open(self.path, os.O_RDONLY)
        try:
            self._sync(directory)
        finally:
            os.close(directory)

    def _record(self, data: bytes, at: int) -> bytes | None:
        """Return the payload of the record at an offset of the data; None if it is incomplete."""
        rest = len(data) - at
        if rest < _HEADER.size:
            return None
        length, of_payload, of_head = _HEADER.unpack_from(data, at)
        if zlib.crc32(data[at : at + 8]) != of_head or not 0 < length <= _LARGEST:
            # A file system may extend a file before it writes the bytes.
            if not any(memoryview(data)[at:]):
                return None
            raise self._damaged(at, "the checksum of its length does not match")
        if rest < _HEADER.size + length:
            return None
        payload = data[at + _HEADER.size : at + _HEADER.size + length]
        if zlib.crc32(payload) != of_payload:
            if rest == _HEADER.size + length:
                return None
            raise self._damaged(at, "the checksum of its content does not match")
        return payload

    def _damaged(self, at: int, reason: str) -> FormatError:
        return FormatError(
            f"the journal `{self.path / 'journal.bin'}` is damaged: expected a record at offset "
            f"{self._position + at}, got bytes of which {reason}. Restore the file from a backup."
        )
