"""Records on disk, divided into buckets that fit into memory."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Buckets", "hashed"]


class Buckets:
    """Files of fixed-size records, one file per bucket, written in blocks.

    Records keep their order within a bucket.

    Args:
        directory: an existing directory.
        count: number of buckets, at most 65,536.
        dtype: type of a record.
    """

    def __init__(self, directory: Path, count: int, dtype: npt.DTypeLike) -> None:
        self.directory = directory
        self.count = count
        self.dtype = np.dtype(dtype)

    def add(self, buckets: npt.NDArray[np.integer], records: npt.NDArray[Any]) -> None:
        """Append records (m,) to their buckets (m,)."""
        order = np.argsort(buckets.astype(np.uint16), kind="stable")
        ends = np.cumsum(np.bincount(buckets, minlength=self.count))
        ordered, start = records[order], 0
        for bucket, end in enumerate(ends.tolist()):
            if end > start:
                with self._path(bucket).open("ab") as file:
                    file.write(ordered[start:end].tobytes())
            start = end

    def take(self, bucket: int) -> npt.NDArray[Any]:
        """Read the records of a bucket (m,), in the order in which they were added, and delete its file."""
        path = self._path(bucket)
        if not path.is_file():
            return np.empty(0, self.dtype)
        records = np.fromfile(path, self.dtype)
        path.unlink()
        return records

    def _path(self, bucket: int) -> Path:
        return self.directory / f"bucket-{bucket:05d}"


def hashed(words: npt.NDArray[np.uint64], count: int) -> npt.NDArray[np.int64]:
    """Divide keys, uint64 (m, words), into `count` buckets of about equal size by a hash, int64 (m,)."""
    mixed = words[:, 0].copy()
    for word in words.T[1:]:
        mixed = _mix(mixed) ^ word
    # Multiplication instead of a remainder, by the high bits, which are the best mixed ones.
    return ((_mix(mixed) >> np.uint64(40)) * np.uint64(count) >> np.uint64(24)).astype(np.int64)


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Mix the bits of numbers, as SplitMix64 does (Steele, Lea and Flood, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
