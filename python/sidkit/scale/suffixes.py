"""Collision suffixes of catalogues that do not fit into memory."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sidkit._core import SidLayout, code_ranks
from sidkit._progress import Progress, silent
from sidkit.data.parquet.fragments import divide, read_batches
from sidkit.errors import CollisionError, ConfigError, DataError
from sidkit.ids.collisions import check_codes
from sidkit.scale.batches.vectors import list_column
from sidkit.scale.job import PART_ROWS, write_parts
from sidkit.scale.spill import Buckets, hashed

__all__ = ["Resolved", "SuffixRanks", "resolve_suffixes", "suffix_ranks"]

_BUCKETS = 256
_LARGEST = 1 << 16
#: Rows that are read at once.
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Resolved:
    """Semantic IDs that `resolve_suffixes` wrote.

    Attributes:
        items: number of items.
        sizes: number of tokens of each level; the last is the collision token.
        collisions: items whose collision token is above 0.
    """

    items: int
    sizes: tuple[int, ...]
    collisions: int


@dataclass(frozen=True)
class SuffixRanks:
    """Collision tokens of all items.

    Attributes:
        ranks: uint16 (n,), mapped from a temporary file that is valid inside the `with` block.
        size: size of the collision token.
    """

    ranks: npt.NDArray[np.uint16]
    size: int


@contextmanager
def suffix_ranks(
    blocks: Iterable[npt.NDArray[np.integer]],
    sizes: Sequence[int],
    *,
    collision_size: int | None = None,
    directory: str | os.PathLike[str] | None = None,
    progress: Progress = silent,
) -> Iterator[SuffixRanks]:
    """Count the items of each code from 0, in the order of the items, in memory that does not grow with them.

    The result is that of `sidkit.ids.add_collision_token` on all codes together. Codes are divided on disk by
    a hash, so that all items of one code meet in one of 256 buckets; a bucket is sorted in memory. 10⁸ items
    take 1.8 GB of disk and some 100 MB of memory.

    Args:
        blocks: codes of consecutive items, integers (m, levels) each.
        sizes: number of codes of each level, such as `tokenizer.codebook_sizes`.
        collision_size: size of the collision token; by default that of the largest group.
        directory: place of temporary files; by default that of the system.
        progress: called with buckets done and buckets in total.

    Yields:
        The ranks.

    Raises:
        DataError: if codes do not fit the sizes.
        CollisionError: if more items than `collision_size`, or than 65,536, have one code.
        ConfigError: if `collision_size` is not in 1..65536, or the tokens need more than 128 bits together.
    """
    if collision_size is not None and not 1 <= collision_size <= _LARGEST:
        raise ConfigError(
            f"the collision token has an invalid size: expected 1..{_LARGEST}, got {collision_size}. "
            "Correct it."
        )
    layout = SidLayout(list(sizes))
    room = Path(tempfile.mkdtemp(prefix="sidkit-suffixes-", dir=directory))
    try:
        kind = np.dtype([("key", np.uint64, layout.words), ("row", np.uint64)])
        buckets = Buckets(room, _BUCKETS, kind)
        count = 0
        for block in blocks:
            codes = check_codes(block, sizes)
            records = np.empty(len(codes), kind)
            words = layout.pack(codes).reshape(len(codes), layout.words)
            records["key"] = words.reshape(records["key"].shape)
            records["row"] = np.arange(count, count + len(codes), dtype=np.uint64)
            buckets.add(hashed(words, _BUCKETS), records)
            count += len(codes)
        file = room / "ranks"
        ranks: Any = np.memmap(file, np.uint16, "w+", shape=(count,)) if count else np.empty(0, np.uint16)
        largest = 0
        for bucket in range(_BUCKETS):
            records = buckets.take(bucket)
            if len(records):
                keys = np.ascontiguousarray(records["key"]).reshape(len(records), layout.words)
                found = code_ranks(keys)
                worst = int(found.argmax())
                _check_limit(int(found[worst]) + 1, collision_size, layout, keys[worst])
                largest = max(largest, int(found[worst]))
                ranks[records["row"].astype(np.int64)] = found
            progress(bucket + 1, _BUCKETS)
        size = largest + 1 if collision_size is None else collision_size
        _check_width((*sizes, size))
        yield SuffixRanks(ranks, size)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def resolve_suffixes(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    sizes: Sequence[int],
    *,
    codes: str = "codes",
    collision_size: int | None = None,
    progress: Progress = silent,
) -> Resolved:
    """Turn the codes of a catalogue into Semantic IDs, out of core.

    Args:
        source: Parquet files with a column of codes, such as those of `TokenizeBatch`.
        out: directory of the results: the other columns of `source`, then `tokens` (lists of int32) and `sid`
            (text such as `12-200-7-0`).
        sizes: number of codes of each level, such as `tokenizer.codebook_sizes`.
        codes: column of the codes, lists of integers.
        collision_size: size of the collision token; by default that of the largest group.
        progress: called with work done and work in total.

    Returns:
        What was written.

    Raises:
        DataError: if the column is missing or invalid.
        CollisionError: if too many items have one code.
        ConfigError: as `suffix_ranks`.
    """
    source, out = os.fspath(source), os.fspath(out)
    fragments = divide(source, PART_ROWS)

    def blocks() -> Iterator[npt.NDArray[np.integer]]:
        for fragment in fragments:
            for batch in read_batches(fragment, [codes], _BLOCK):
                yield code_rows(batch.column(0), codes, len(sizes))

    total = _BUCKETS + len(fragments)

    def bucket_done(done: int, buckets: int, /, **figures: float) -> None:
        progress(done, total)

    with suffix_ranks(
        blocks(),
        sizes,
        collision_size=collision_size,
        directory=None if "://" in out else _made(out),
        progress=bucket_done,
    ) as found:
        all_sizes = (*sizes, found.size)

        def tables() -> Iterator[Iterator[pa.Table]]:
            for fragment in fragments:
                yield _with_suffix(fragment, codes, found.ranks, all_sizes)
                progress(_BUCKETS + fragment.number + 1, total)

        write_parts(out, tables())
        collisions = int(
            sum(int((found.ranks[at : at + _BLOCK] > 0).sum()) for at in range(0, len(found.ranks), _BLOCK))
        )
        return Resolved(len(found.ranks), all_sizes, collisions)


def code_rows(column: Any, name: str, levels: int) -> npt.NDArray[np.integer]:
    """Return a column of lists of `levels` integers as an array (m, levels).

    Raises:
        DataError: if the column has another type, a null, or another number of levels.
    """
    kind = column.type
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not listed or not pa.types.is_integer(kind.value_type) or column.null_count:
        raise DataError(
            f"the column `{name}` is invalid: expected lists of integers without nulls, got {kind} with "
            f"{column.null_count} nulls. Write the result of TokenizeBatch."
        )
    values = column.flatten()
    lengths = np.asarray(pc.list_value_length(column))
    if len(lengths) and (lengths != levels).any():
        raise DataError(
            f"codes of the column `{name}` do not fit the sizes: expected {levels} levels, got "
            f"{int(lengths[np.argmax(lengths != levels)])}. Pass the codebook sizes of their tokenizer."
        )
    found: npt.NDArray[np.integer] = values.to_numpy(zero_copy_only=False).reshape(-1, levels)
    return found


def _with_suffix(
    fragment: Any, codes: str, ranks: npt.NDArray[np.uint16], sizes: Sequence[int]
) -> Iterator[pa.Table]:
    row = fragment.start
    for batch in read_batches(fragment, None, _BLOCK):
        own = code_rows(batch.column(codes), codes, len(sizes) - 1)
        tokens = np.column_stack([own, ranks[row : row + len(own)]]).astype(np.int32)
        row += len(own)
        table = pa.Table.from_batches([batch]).drop_columns([codes])
        table = table.append_column("tokens", list_column(tokens))
        yield table.append_column("sid", written(tokens))


def written(tokens: npt.NDArray[np.integer]) -> pa.Array:
    """Return tokens (m, levels) as text such as `12-200-7-0`."""
    parts = [pc.cast(pa.array(column), pa.string()) for column in tokens.T]
    return pc.binary_join_element_wise(*parts, "-")


def _check_limit(
    group: int, collision_size: int | None, layout: SidLayout, key: npt.NDArray[np.uint64]
) -> None:
    limit = _LARGEST if collision_size is None else collision_size
    if group > limit:
        code = "-".join(map(str, layout.unpack(key if layout.words == 1 else key[None])[0].tolist()))
        raise CollisionError(
            f"too many items have the code `{code}`: expected at most {limit}, the size of the collision "
            f"token, got {group}. Use a collision size of at least {group}, or more or larger levels."
        )


def _check_width(sizes: Sequence[int]) -> None:
    try:
        SidLayout(list(sizes))
    except ValueError as error:
        raise ConfigError(
            f"Semantic IDs cannot be packed: expected sizes of at most 128 bits together, got {tuple(sizes)} "
            f"({error}). Use fewer or smaller levels."
        ) from error


def _made(out: str) -> Path:
    place = Path(out)
    place.mkdir(parents=True, exist_ok=True)
    return place
