"""Tries of catalogues that do not fit into memory."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sidkit._core import SidLayout, Trie, TrieWriter
from sidkit._progress import Progress, silent
from sidkit.data.parquet.fragments import divide, read_batches
from sidkit.errors import DataError
from sidkit.ids.collisions import check_codes
from sidkit.scale.job import PART_ROWS
from sidkit.scale.spill import Buckets
from sidkit.scale.suffixes import code_rows

__all__ = ["build_trie", "write_trie"]

_BUCKETS = 256
_BLOCK = 1 << 18
#: Rows that are handed to the writer at once.
_PUSH = 1 << 20
_MOST = (1 << 32) - 2


def build_trie(
    source: str | os.PathLike[str],
    path: str | os.PathLike[str],
    sizes: Sequence[int],
    *,
    tokens: str = "tokens",
    progress: Progress = silent,
) -> Trie:
    """Build a trie file from the Semantic IDs of Parquet files, out of core, and map it.

    The file has the bytes of `Trie.build` and `Trie.save`, and everything that takes a trie takes the mapped
    one: the system reads the pages that a search touches, and gives them back when memory is short. Semantic
    IDs are divided on disk by the first token and sorted part by part, so that memory holds the largest part:
    16 bytes per item, and 1 bit for every item.

    Args:
        source: Parquet files with a column of tokens, such as those of `resolve_suffixes`.
        path: file of the trie.
        sizes: number of tokens of each level, such as `Resolved.sizes`.
        tokens: column of the tokens, lists of integers.
        progress: called with work done and work in total.

    Returns:
        The trie, whose items are the row numbers of the source.

    Raises:
        DataError: if the column is missing or invalid, or there are more than 4,294,967,294 rows.
    """
    source = os.fspath(source)
    fragments = divide(source, PART_ROWS)

    def blocks() -> Iterator[npt.NDArray[np.uint16]]:
        for fragment in fragments:
            for batch in read_batches(fragment, [tokens], _BLOCK):
                yield check_codes(code_rows(batch.column(0), tokens, len(sizes)), sizes)
            progress(fragment.number + 1, len(fragments) + _BUCKETS)

    def written(done: int, total: int, /, **figures: float) -> None:
        progress(len(fragments) + done, len(fragments) + total)

    layout = SidLayout(list(sizes))
    write_trie((layout.pack(block) for block in blocks()), path, layout, progress=written)
    return Trie.open(path, mmap=True, trusted=True)


def write_trie(
    packed: Iterable[npt.NDArray[np.uint64]],
    path: str | os.PathLike[str],
    layout: SidLayout,
    *,
    directory: str | os.PathLike[str] | None = None,
    progress: Progress = silent,
) -> int:
    """Write a trie file from packed Semantic IDs in any order, out of core; see `build_trie`.

    Args:
        packed: packed Semantic IDs of consecutive items, uint64 (m,), or (m, 2) of a layout of two words.
        path: file of the trie, which appears when it is complete.
        layout: layout of the Semantic IDs.
        directory: place of temporary files; by default that of `path`.
        progress: called with parts sorted and parts in total.

    Returns:
        Number of items.

    Raises:
        DataError: if there are more than 4,294,967,294 items.
        ValueError: if a Semantic ID does not belong to the layout.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=directory or target.parent))
    try:
        words = layout.words
        buckets = Buckets(room, _BUCKETS, np.dtype([("key", np.uint64, words), ("item", np.uint64)]))
        count = _divide(packed, layout, buckets)
        writer = TrieWriter(target, layout)
        for bucket in range(_BUCKETS):
            for keys, items in _sorted(buckets, bucket, words):
                writer.push(keys, items)
            progress(bucket + 1, _BUCKETS)
        writer.finish()
        return count
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _divide(packed: Iterable[npt.NDArray[np.uint64]], layout: SidLayout, buckets: Buckets) -> int:
    """Divide keys by the first bits of the first token, so that buckets are in the order of the keys."""
    shift = sum(layout.bits[1:])
    spare = max(0, layout.bits[0] - (buckets.count.bit_length() - 1))
    count = 0
    for block in packed:
        if count + len(block) > _MOST:
            raise DataError(
                f"there are too many items for one trie: expected at most {_MOST}, got more. Divide them "
                "among several tries."
            )
        records = np.empty(len(block), buckets.dtype)
        records["key"] = block.reshape(records["key"].shape)
        records["item"] = np.arange(count, count + len(block), dtype=np.uint64)
        buckets.add(_bits_from(block.reshape(len(block), -1), shift + spare).astype(np.int64), records)
        count += len(block)
    return count


def _bits_from(words: npt.NDArray[np.uint64], shift: int) -> npt.NDArray[np.uint64]:
    """Shift keys, uint64 (m, words) with the high word first, to the right; the result fits one word."""
    low = words[:, -1]
    if shift < 64:
        shifted = low >> np.uint64(shift)
        if words.shape[1] == 2 and shift:
            shifted = shifted | (words[:, 0] << np.uint64(64 - shift))
        return shifted
    if words.shape[1] == 1:
        return np.zeros_like(low)
    return words[:, 0] >> np.uint64(shift - 64)


def _sorted(
    buckets: Buckets, bucket: int, words: int
) -> Iterator[tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]]:
    """Yield the keys and items of a bucket, sorted, in blocks."""
    records = buckets.take(bucket)
    keys = records["key"].reshape(len(records), words)
    # Both sorts are stable, and items ascend within a bucket.
    order = np.argsort(keys[:, 0], kind="stable") if words == 1 else np.lexsort((keys[:, 1], keys[:, 0]))
    for start in range(0, len(order), _PUSH):
        part = order[start : start + _PUSH]
        block = np.ascontiguousarray(keys[part])
        yield block.reshape(-1) if words == 1 else block, records["item"][part].astype(np.int64)
