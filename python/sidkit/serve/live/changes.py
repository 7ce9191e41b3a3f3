"""Changes of a catalogue, and their form in the journal: JSON, with vectors in base64."""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from sidkit.errors import FormatError

__all__ = ["Change", "Delete", "Put", "Reload", "from_bytes", "merged", "to_bytes"]

ItemId = int | str
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Put:
    """Items to add or to replace.

    Attributes:
        rows: complete values of every item by column, `item_id` among them.
        new: places in `rows` of the items that get a Semantic ID.
        tokens: Semantic ID of each of these, uint16 (new, levels), or None without Semantic IDs.
        vectors: content vector of each of these, float32 (new, d), or None.
        tokenizer: fingerprint of the tokenizer that made the tokens.
        changes: number of changes that it stands for, see `merged`.
    """

    rows: list[dict[str, Any]]
    new: list[int]
    tokens: npt.NDArray[np.uint16] | None = None
    vectors: npt.NDArray[np.float32] | None = None
    tokenizer: str = ""
    changes: int = 1


@dataclass(frozen=True)
class Delete:
    """Items to remove, all of which exist.

    Attributes:
        item_ids: the items.
        changes: number of changes that it stands for, see `merged`.
    """

    item_ids: list[ItemId]
    changes: int = 1


@dataclass(frozen=True)
class Reload:
    """Request to every process to open the model again."""


Change = Put | Delete | Reload


def merged(changes: Iterable[Put | Delete]) -> Iterator[Put | Delete]:
    """Merge changes that follow each other as long as no item is both put and removed.

    The order of such changes does not matter, except that the last values of an item win. One large change
    takes little more time than a small one. The result is that of the single changes.
    """
    puts: list[Put] = []
    deletes: list[Delete] = []
    put: set[ItemId] = set()
    removed: set[ItemId] = set()
    kinds: set[tuple[Any, ...]] = set()
    for change in changes:
        if isinstance(change, Delete):
            conflict = not put.isdisjoint(change.item_ids)
        else:
            ids = [row["item_id"] for row in change.rows]
            again = not put.isdisjoint(ids[place] for place in change.new)
            other = len(kinds | _kind(change)) > 1
            conflict = again or other or not removed.isdisjoint(ids)
        if conflict:
            yield from _groups(puts, deletes)
            puts, deletes, put, removed, kinds = [], [], set(), set(), set()
        if isinstance(change, Delete):
            deletes.append(change)
            removed.update(change.item_ids)
        else:
            puts.append(change)
            put.update(ids)
            kinds |= _kind(change)
    yield from _groups(puts, deletes)


def _kind(change: Put) -> set[tuple[Any, ...]]:
    """Return the kind of the new items, if there are any: tokenizer and widths of tokens and vectors."""
    widths = (None if each is None else each.shape[1] for each in (change.tokens, change.vectors))
    return {(change.tokenizer, *widths)} if change.new else set()


def _groups(puts: list[Put], deletes: list[Delete]) -> Iterator[Put | Delete]:
    if puts:
        values: dict[ItemId, dict[str, Any]] = {}  # in the order in which items came first
        for put in puts:
            values |= {row["item_id"]: row for row in put.rows}
        places = {item: place for place, item in enumerate(values)}
        made = [put for put in puts if put.new]
        yield Put(
            list(values.values()),
            [places[put.rows[place]["item_id"]] for put in made for place in put.new],
            _concatenated([put.tokens for put in made]),
            _concatenated([put.vectors for put in made]),
            made[0].tokenizer if made else "",
            sum(put.changes for put in puts),
        )
    if deletes:
        ids = [item for delete in deletes for item in delete.item_ids]
        yield Delete(ids, sum(delete.changes for delete in deletes))


def _concatenated(arrays: list[npt.NDArray[T] | None]) -> npt.NDArray[T] | None:
    given = [each for each in arrays if each is not None]
    return np.concatenate(given) if given else None


def to_bytes(change: Change) -> bytes:
    """Return the record of a change."""
    if isinstance(change, Put):
        described: dict[str, Any] = {
            "put": change.rows,
            "new": change.new,
            "tokens": None if change.tokens is None else change.tokens.tolist(),
            "vectors": None if change.vectors is None else _packed(change.vectors),
            "tokenizer": change.tokenizer,
        }
    elif isinstance(change, Delete):
        described = {"delete": change.item_ids}
    else:
        described = {"reload": True}
    return json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode()


def from_bytes(record: bytes) -> Change:
    """Read a record.

    Raises:
        FormatError: if it is no change of this version.
    """
    try:
        described = json.loads(record)
        if "put" in described:
            tokens = described["tokens"]
            return Put(
                list(described["put"]),
                [int(place) for place in described["new"]],
                None if tokens is None else np.array(tokens, np.uint16).reshape(len(tokens), -1),
                None if described["vectors"] is None else _unpacked(described["vectors"]),
                str(described["tokenizer"]),
            )
        return Delete(list(described["delete"])) if "delete" in described else Reload()
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"a record of the journal is no change of a catalogue: expected one that this version wrote, got "
            f"{record[:60]!r} ({error!r}). Use the sidkit that wrote it."
        ) from error


def _packed(vectors: npt.NDArray[np.float32]) -> dict[str, Any]:
    return {
        "shape": list(vectors.shape),
        "float32": base64.b64encode(vectors.astype("<f4").tobytes()).decode(),
    }


def _unpacked(described: dict[str, Any]) -> npt.NDArray[np.float32]:
    values = np.frombuffer(base64.b64decode(described["float32"]), "<f4")
    return values.reshape(described["shape"]).astype(np.float32)
