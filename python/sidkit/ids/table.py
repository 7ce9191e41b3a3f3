"""Table of the items of a catalogue and their Semantic IDs."""

import json
import os
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import checked
from sidkit._core import SidLayout, Trie
from sidkit._extras import require
from sidkit._integer_index import IntegerIndex
from sidkit._tables import read_parquet, read_parquet_metadata, write_parquet
from sidkit.data.id_columns import fits_int64, id_column
from sidkit.errors import DataError, FormatError
from sidkit.ids.collisions import POLICIES, Reassignment, check_codes, group_sizes, resolve_collisions

__all__ = ["SidTable"]

_METADATA_KEY = "sidkit.sids"
_VERSION = 1
#: Maximum number of characters of a written token; more than any token needs.
_LONGEST = 20


@checked
class SidTable:
    """Items and their Semantic IDs, in the order of the catalogue.

    `tokenizer.semantic_ids(x, item_ids)` and `from_codes` make a table, `load` reads one; the constructor
    takes finished tokens. The table is a mapping of item ids to written Semantic IDs: `table[item_id]`,
    `item_id in table`, `len(table)`, and iteration over the ids.

    Attributes:
        item_ids: polars Series (n,), ids of the items in their original type (integers or strings).
        tokens: uint16 (n, levels), one Semantic ID per row.
        layout: `SidLayout` of the tokens.
        collisions: policy that made the tokens: `suffix`, `reassign` or `share`.

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
            raise DataError(
                f"unknown collision policy: expected one of {', '.join(POLICIES)}, got `{collisions}`. "
                "Correct it."
            )
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
        reassignment: Reassignment | None = None,
    ) -> "SidTable":
        """Make Semantic IDs from codes.

        Args:
            codes: integers (n, levels), such as `tokenizer.encode(x)`.
            item_ids: n distinct integers or strings, one per row of `codes`.
            sizes: number of codes of each level, such as `tokenizer.codebook_sizes`.
            collisions: policy for equal codes: `suffix`, `reassign` or `share`.
            collision_size: size of the collision token, for `suffix`; by default that of the largest group.
            reassignment: options of `reassign`, such as
                `Reassignment(lambda rows: tokenizer.alternatives(x[rows]))`.

        Raises:
            DataError: if codes, ids and sizes do not fit together.
            ConfigError: if the policy is unknown, or an argument is missing or belongs to another policy.
            CollisionError: if the policy cannot give every item a Semantic ID.
        """
        codes = check_codes(codes, sizes)
        ids = _checked_ids(item_ids, len(codes))
        tokens, all_sizes = resolve_collisions(
            codes, sizes, policy=collisions, collision_size=collision_size, reassignment=reassignment
        )
        return cls(ids, tokens, all_sizes, collisions=collisions)

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"SidTable({len(self)} items, sizes={list(self.sizes)}, collisions={self.collisions!r})"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of possible tokens of each level."""
        return tuple(self.layout.sizes)

    @property
    def codes(self) -> npt.NDArray[np.uint16]:
        """Codes, uint16 (n, levels): the tokens without the collision token of the policy `suffix`."""
        return self.tokens[:, :-1] if self.collisions == "suffix" else self.tokens

    @cached_property
    def packed(self) -> npt.NDArray[np.uint64]:
        """Packed Semantic IDs, uint64 (n,), or (n, 2) where the layout is wider than 64 bits."""
        return self.layout.pack(self.tokens)

    @cached_property
    def sids(self) -> list[str]:
        """Written Semantic IDs such as `12-200-7-0`, one per item."""
        return _written(self.tokens).to_list()

    @cached_property
    def trie(self) -> Trie:
        """Trie over the Semantic IDs, whose items are rows of this table; built on first use."""
        return Trie.build(self.packed, self.layout, item_ids=self.item_ids)

    def __getitem__(self, item_id: int | str) -> str:
        """Return the Semantic ID of an item, such as `12-200-7-0`.

        Raises:
            DataError: if the item is not in the table.
        """
        return "-".join(map(str, self.tokens[self.rows([item_id])[0]].tolist()))

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, Hashable) and bool(self._found([item_id])[0] >= 0)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the item ids."""
        return iter(self.item_ids.to_list())

    def rows(self, item_ids: Iterable[int | str] | pl.Series) -> npt.NDArray[np.int64]:
        """Return the row of each item id, int64 (m,).

        Raises:
            DataError: if an item is not in the table; the message names it.
        """
        given = list(item_ids)
        found = self._found(given)
        if (found < 0).any():
            missing = given[int(np.argmax(found < 0))]
            raise DataError(
                f"item {missing!r} is not in the table: expected one of its {len(self)} items, "
                f"whose ids are {self.item_ids.dtype}. Check the id and its type."
            )
        return found

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
        """Write the table to a Parquet file (item_id, c0, c1, …, sid) with layout and policy as metadata."""
        described = {"version": _VERSION, "sizes": list(self.sizes), "collisions": self.collisions}
        write_parquet(self.to_polars(), path, {_METADATA_KEY: json.dumps(described)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "SidTable":
        """Read a table written by `save`.

        Raises:
            FileNotFoundError: if there is no such file.
            FormatError: if the file is truncated, not a table of Semantic IDs, or inconsistent.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no table of Semantic IDs at {path}")
        try:
            metadata = read_parquet_metadata(path)
            frame = read_parquet(path)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise FormatError(f"{path} is not a complete Parquet file: {error}. Write it again.") from error
        described = _described(path, metadata)
        try:
            tokens = frame.select(f"c{level}" for level in range(len(described["sizes"]))).to_numpy()
            table = cls(frame["item_id"], tokens, described["sizes"], collisions=described["collisions"])
        except (pl.exceptions.PolarsError, ValueError, TypeError, OverflowError) as error:
            raise FormatError(
                f"{path} does not match its own metadata {described}: {error}. Write it again."
            ) from error
        if described["collisions"] == "suffix" and len(group_sizes(table.tokens, table.sizes)) < len(table):
            raise FormatError(
                f"{path} has repeated Semantic IDs: expected distinct ones under the policy `suffix`. "
                "Write it again."
            )
        _check_written(path, frame, table.tokens)
        return table

    def _found(self, ids: list[Any]) -> npt.NDArray[np.int64]:
        """Return the row of each id, int64 (m,), -1 for an unknown one."""
        if self._index is not None and all(isinstance(each, int | np.integer) for each in ids):
            with suppress(OverflowError):  # no id of the table is beyond int64
                return self._index.rows(np.array(ids, np.int64)).astype(np.int64)
        return np.array([self._rows.get(each, -1) for each in ids], np.int64)

    @cached_property
    def _index(self) -> IntegerIndex | None:
        """Rows of integer ids, without a Python object per id; None for other ids."""
        return IntegerIndex(self.item_ids.to_numpy()) if fits_int64(self.item_ids.dtype) else None

    @cached_property
    def _rows(self) -> dict[int | str, int]:
        return {item: row for row, item in enumerate(self.item_ids.to_list())}

    @cached_property
    def _order(self) -> npt.NDArray[np.int64]:
        """Rows sorted by Semantic ID, int64 (n,); equal ones in the order of the table."""
        return np.lexsort(self.tokens.T[::-1]).astype(np.int64)

    def _parse(self, sid: str) -> list[int]:
        parts = sid.split("-") if sid else []
        if len(parts) > len(self.sizes) or not all(
            part.isascii() and part.isdigit() and len(part) <= _LONGEST for part in parts
        ):
            shown = sid if len(sid) <= 80 else f"{sid[:80]}..."
            raise DataError(
                f"`{shown}` is not a Semantic ID: expected at most {len(self.sizes)} tokens joined by `-`. "
                "Write it like `12-200-7`."
            )
        tokens = [int(part) for part in parts]
        for level, (token, size) in enumerate(zip(tokens, self.sizes, strict=False)):
            if token >= size:
                raise DataError(
                    f"token {token} of `{sid}` is out of range: expected 0..{size - 1} at level {level}, "
                    f"got {token}. Correct the Semantic ID."
                )
        return tokens


def _checked_ids(item_ids: pl.Series | npt.ArrayLike, rows: int) -> pl.Series:
    if isinstance(item_ids, (list, tuple)) and not item_ids:
        item_ids = np.zeros(0, np.int64)  # NumPy makes an empty list a float array
    series = id_column(item_ids).rename("item_id")
    if series.dtype == pl.String and isinstance(item_ids, (list, tuple)):
        odd = next((each for each in item_ids if not isinstance(each, str)), None)
        if odd is not None:  # NumPy has converted it to a string
            raise DataError(
                f"item ids have mixed types: expected only integers or only strings, got {odd!r} among "
                "strings. "
                "Convert them to one type."
            )
    if not (series.dtype.is_integer() or series.dtype == pl.String):
        raise DataError(
            f"item ids have the wrong type: expected integers or strings, got {series.dtype}. Cast them."
        )
    if len(series) != rows:
        raise DataError(
            f"item ids do not match the tokens: expected {rows} ids, one per row, got {len(series)}. "
            "Pass one id per row."
        )
    if series.null_count():
        raise DataError(
            f"item ids are missing: expected an id in every row, got {series.null_count()} nulls, the first "
            f"in row {series.is_null().arg_max()}. Drop these rows."
        )
    if series.n_unique() < rows:
        repeated = series.filter(series.is_duplicated())[0]
        raise DataError(
            f"item ids are repeated: expected distinct ids, got {repeated!r} in "
            f"{(series == repeated).sum()} rows. Keep one of them."
        )
    return series


def _written(tokens: npt.NDArray[np.uint16]) -> pl.Series:
    frame = pl.DataFrame({f"c{level}": tokens[:, level] for level in range(tokens.shape[1])})
    return frame.select(sid=pl.concat_str(pl.all(), separator="-"))["sid"]


def _check_written(path: Path, frame: pl.DataFrame, tokens: npt.NDArray[np.uint16]) -> None:
    """Raise FormatError if the column `sid` of a file does not match its tokens."""
    if frame.schema.get("sid") != pl.String:
        raise FormatError(
            f"{path} has no column `sid` of strings: got {', '.join(frame.columns)}. Write it again."
        )
    expected = _written(tokens)
    wrong = frame["sid"].ne_missing(expected)
    if wrong.any():
        row = wrong.arg_max() or 0
        raise FormatError(
            f"{path} is inconsistent: expected {expected[row]!r} as the `sid` of row {row}, from its tokens, "
            f"got {frame['sid'][row]!r}. Write it again."
        )


def _described(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    if _METADATA_KEY not in metadata:
        raise FormatError(
            f"{path} is not a table of Semantic IDs: expected metadata `{_METADATA_KEY}`, got none. "
            "Write it with SidTable.save."
        )
    try:
        described = json.loads(metadata[_METADATA_KEY])
        version, sizes, policy = described["version"], described["sizes"], described["collisions"]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{path} has damaged metadata `{_METADATA_KEY}`: {error!r}. Write it again."
        ) from error
    if type(version) is not int or version != _VERSION:
        raise FormatError(
            f"{path} has an unknown version: expected {_VERSION}, got {version}. "
            "Use the sidkit that wrote it."
        )
    if (
        not isinstance(sizes, list)
        or not all(isinstance(size, int) for size in sizes)
        or not isinstance(policy, str)
    ):
        raise FormatError(f"{path} has damaged metadata `{_METADATA_KEY}`: {described}. Write it again.")
    return {"sizes": sizes, "collisions": policy}
