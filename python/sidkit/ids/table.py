"""Table of the items of a catalogue and their Semantic IDs."""

import json
import os
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._core import SidLayout, Trie
from sidkit._extras import require
from sidkit._files import atomic_path
from sidkit.errors import DataError, FormatError
from sidkit.ids.collisions import POLICIES, Alternatives, Costs, check_codes, group_sizes, resolve_collisions

__all__ = ["SidTable"]

_METADATA_KEY = "sidkit.sids"
_VERSION = 1
#: Characters that a token is written with, at most; more than any token needs.
_LONGEST = 20


class SidTable:
    """Items and their Semantic IDs, in the order of the catalogue.

    Build one with `from_codes`, or read one with `load`; the constructor takes tokens as they are.

    Attributes:
        item_ids: polars Series (n,), the users' ids, of the type they came in (any integer, or strings).
        tokens: uint16 (n, levels), one Semantic ID a row.
        layout: `SidLayout` of the tokens.
        collisions: the policy that made the tokens: `suffix`, `reassign` or `share`.

    Example:
        >>> table = SidTable.from_codes([[12, 7], [12, 7], [3, 0]], ["a", "b", "c"], sizes=[16, 16])
        >>> table["b"], table.items("12-7"), table.items("3-0-0")
        ('12-7-1', ['a', 'b'], ['c'])
    """

    def __init__(
        self,
        item_ids: pl.Series | npt.ArrayLike,
        tokens: npt.ArrayLike,
        layout: SidLayout | Sequence[int],
        *,
        collisions: str = "share",
    ) -> None:
        if collisions not in POLICIES:
            raise DataError(f"unknown collision policy `{collisions}`; hint: one of {', '.join(POLICIES)}")
        self.layout = layout if isinstance(layout, SidLayout) else SidLayout(list(layout))
        self.tokens = check_codes(tokens, self.sizes)
        self.item_ids = _checked_ids(item_ids, len(self.tokens))
        self.collisions = collisions

    @classmethod
    def from_codes(
        cls,
        codes: npt.ArrayLike,
        item_ids: pl.Series | npt.ArrayLike,
        sizes: Sequence[int],
        *,
        collisions: str = "suffix",
        collision_size: int | None = None,
        alternatives: Alternatives | None = None,
        capacity: int = 1,
        method: str = "first",
        costs: Costs | None = None,
    ) -> "SidTable":
        """Make Semantic IDs of codes.

        Args:
            codes: integers (n, levels), such as a tokenizer's `encode(x)`.
            item_ids: n distinct integers or strings, one a row of `codes`.
            sizes: number of codes of each level, such as a tokenizer's `sizes`.
            collisions: what to do with equal codes: `suffix`, `reassign` or `share`.
            collision_size: `suffix` only: size of the collision token; else that of the largest group.
            alternatives: `reassign` only: `lambda rows: tokenizer.alternatives(x[rows])`, or an array
                uint16 (n, choices, levels).
            capacity: `reassign` only: how many items may have one code.
            method: `reassign` only: who moves where: `first`, `nearest` or `sinkhorn`, see `reassign`.
            costs: `reassign` only: what codes cost items; see `reassign`.

        Raises:
            DataError: if codes, ids and sizes do not fit together.
            ConfigError: if the policy is unknown, or its arguments are missing or senseless.
            CollisionError: if the policy cannot tell all items apart.
        """
        codes = check_codes(codes, sizes)
        ids = _checked_ids(item_ids, len(codes))
        tokens, all_sizes = resolve_collisions(
            codes,
            sizes,
            policy=collisions,
            collision_size=collision_size,
            alternatives=alternatives,
            capacity=capacity,
            method=method,
            costs=costs,
        )
        return cls(ids, tokens, all_sizes, collisions=collisions)

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"SidTable({len(self)} items, sizes={list(self.sizes)}, collisions={self.collisions!r})"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of tokens of each level."""
        return tuple(self.layout.sizes)

    @property
    def codes(self) -> npt.NDArray[np.uint16]:
        """The tokens that are codes, uint16 (n, levels): all but the token the policy `suffix` has added."""
        return self.tokens[:, :-1] if self.collisions == "suffix" else self.tokens

    @cached_property
    def packed(self) -> npt.NDArray[np.uint64]:
        """Packed Semantic IDs, uint64 (n,), or (n, 2) where the layout is wider than 64 bits."""
        return self.layout.pack(self.tokens)

    @cached_property
    def sids(self) -> list[str]:
        """Written Semantic IDs, such as `12-200-7-0`, one an item."""
        return _written(self.tokens).to_list()

    @cached_property
    def trie(self) -> Trie:
        """Trie over the Semantic IDs, whose items are rows of this table; built on first use."""
        return Trie.build(self.packed, self.layout)

    def __getitem__(self, item_id: int | str) -> str:
        """Return the Semantic ID of an item, such as `12-200-7-0`.

        Raises:
            DataError: if the item is not in the table.
        """
        return "-".join(map(str, self.tokens[self.rows([item_id])[0]].tolist()))

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, Hashable) and item_id in self._rows

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the item ids."""
        return iter(self.item_ids.to_list())

    def rows(self, item_ids: Iterable[int | str] | pl.Series) -> npt.NDArray[np.int64]:
        """Return the row of each item id, int64 (m,).

        Raises:
            DataError: if an item is not in the table; the message names it.
        """
        found = [self._rows.get(item_id, -1) for item_id in item_ids]
        if -1 in found:
            missing = list(item_ids)[found.index(-1)]
            raise DataError(
                f"item {missing!r} is not in the table: expected one of its {len(self)} items, "
                f"whose ids are {self.item_ids.dtype}. Check the id and its type."
            )
        return np.array(found, dtype=np.int64)

    def items(self, prefix: str) -> list[Any]:
        """Return the ids of the items under a Semantic ID or a prefix of one, ordered by Semantic ID.

        Args:
            prefix: tokens joined by `-`; fewer tokens than levels match every item that begins with them.

        Returns:
            Item ids; an empty list if there is none.

        Raises:
            DataError: if `prefix` is malformed, or a token is too large for its level.
        """
        low, high = 0, len(self)
        for level, token in enumerate(self._parse(prefix)):
            column = self.tokens[self._order[low:high], level]
            low, high = (
                low + int(np.searchsorted(column, token, side="left")),
                low + int(np.searchsorted(column, token, side="right")),
            )
        return self.item_ids.gather(self._order[low:high]).to_list()

    def to_polars(self) -> pl.DataFrame:
        """Return the table as a polars DataFrame: item_id, c0, c1, … (uint16), sid."""
        columns = [self.item_ids]
        columns += [pl.Series(f"c{level}", self.tokens[:, level]) for level in range(self.tokens.shape[1])]
        return pl.DataFrame([*columns, _written(self.tokens)])

    def to_pandas(self) -> Any:
        """Return the table as a pandas DataFrame with the columns of `to_polars`.

        Raises:
            MissingExtraError: if pandas is not installed.
        """
        require("pandas")
        return self.to_polars().to_pandas()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table to Parquet (item_id, c0, c1, …, sid), with layout and policy in the metadata."""
        described = {"version": _VERSION, "sizes": list(self.sizes), "collisions": self.collisions}
        with atomic_path(path) as temporary:
            self.to_polars().write_parquet(temporary, metadata={_METADATA_KEY: json.dumps(described)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "SidTable":
        """Read a table that `save` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            FormatError: if the file is truncated, is no table of Semantic IDs, or contradicts itself.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no table of Semantic IDs at {path}")
        try:
            metadata = pl.read_parquet_metadata(path)
            frame = pl.read_parquet(path)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise FormatError(f"{path} is not a whole Parquet file: {error}") from error
        described = _described(path, metadata)
        try:
            tokens = frame.select(f"c{level}" for level in range(len(described["sizes"]))).to_numpy()
            table = cls(frame["item_id"], tokens, described["sizes"], collisions=described["collisions"])
        except (pl.exceptions.PolarsError, ValueError, TypeError, OverflowError) as error:
            raise FormatError(f"{path} contradicts its own description {described}: {error}") from error
        if described["collisions"] == "suffix" and len(group_sizes(table.tokens, table.sizes)) < len(table):
            raise FormatError(f"{path} says that its Semantic IDs are distinct, but some are repeated")
        _check_written(path, frame, table.tokens)
        return table

    @cached_property
    def _rows(self) -> dict[int | str, int]:
        return {item: row for row, item in enumerate(self.item_ids.to_list())}

    @cached_property
    def _order(self) -> npt.NDArray[np.int64]:
        """Rows in the order of their Semantic IDs; equal ones in the order of the table."""
        return np.lexsort(self.tokens.T[::-1]).astype(np.int64)

    def _parse(self, sid: str) -> list[int]:
        parts = sid.split("-") if sid else []
        if len(parts) > len(self.sizes) or not all(
            part.isascii() and part.isdigit() and len(part) <= _LONGEST for part in parts
        ):
            shown = sid if len(sid) <= 80 else f"{sid[:80]}..."
            raise DataError(
                f"`{shown}` is not a Semantic ID of at most {len(self.sizes)} tokens joined by `-`"
            )
        tokens = [int(part) for part in parts]
        for level, (token, size) in enumerate(zip(tokens, self.sizes, strict=False)):
            if token >= size:
                raise DataError(
                    f"token {token} of `{sid}` is beyond level {level}, which has {size}: 0..{size - 1}"
                )
        return tokens


def _checked_ids(item_ids: pl.Series | npt.ArrayLike, rows: int) -> pl.Series:
    if isinstance(item_ids, (list, tuple)) and not item_ids:
        item_ids = np.zeros(0, np.int64)  # NumPy would take no ids for floats
    series = item_ids if isinstance(item_ids, pl.Series) else pl.Series(values=np.asarray(item_ids))
    series = series.rename("item_id")
    if series.dtype == pl.String and isinstance(item_ids, (list, tuple)):
        odd = next((each for each in item_ids if not isinstance(each, str)), None)
        if odd is not None:  # NumPy would have made it a string
            raise DataError(f"item ids must be all integers or all strings, but {odd!r} stands among strings")
    if not (series.dtype.is_integer() or series.dtype == pl.String):
        raise DataError(f"item ids must be integers or strings, not {series.dtype}")
    if len(series) != rows:
        raise DataError(f"there are {rows} rows of tokens, but {len(series)} item ids")
    if series.null_count():
        raise DataError(
            f"{series.null_count()} item ids are missing, the first at row {series.is_null().arg_max()}"
        )
    if series.n_unique() < rows:
        repeated = series.filter(series.is_duplicated())[0]
        raise DataError(
            f"item id {repeated!r} stands at {(series == repeated).sum()} rows; ids must be distinct"
        )
    return series


def _written(tokens: npt.NDArray[np.uint16]) -> pl.Series:
    frame = pl.DataFrame({f"c{level}": tokens[:, level] for level in range(tokens.shape[1])})
    return frame.select(sid=pl.concat_str(pl.all(), separator="-"))["sid"]


def _check_written(path: Path, frame: pl.DataFrame, tokens: npt.NDArray[np.uint16]) -> None:
    """Raise FormatError if the column `sid` of a file is not what its tokens say."""
    if frame.schema.get("sid") != pl.String:
        raise FormatError(f"{path} has no column `sid` of strings; it has {', '.join(frame.columns)}")
    expected = _written(tokens)
    wrong = frame["sid"].ne_missing(expected)
    if wrong.any():
        row = wrong.arg_max() or 0
        raise FormatError(
            f"{path} contradicts itself: `sid` of row {row} is {frame['sid'][row]!r}, but its tokens say "
            f"{expected[row]!r}"
        )


def _described(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    if _METADATA_KEY not in metadata:
        raise FormatError(
            f"{path} is a Parquet file, but not a table of Semantic IDs (no `{_METADATA_KEY}` in it)"
        )
    try:
        described = json.loads(metadata[_METADATA_KEY])
        version, sizes, policy = described["version"], described["sizes"], described["collisions"]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path} has a damaged `{_METADATA_KEY}`: {error!r}") from error
    if type(version) is not int or version != _VERSION:
        raise FormatError(f"{path} is a table of version {version}, but this sidkit reads version {_VERSION}")
    if (
        not isinstance(sizes, list)
        or not all(isinstance(size, int) for size in sizes)
        or not isinstance(policy, str)
    ):
        raise FormatError(f"{path} has a damaged `{_METADATA_KEY}`: {described}")
    return {"sizes": sizes, "collisions": policy}
