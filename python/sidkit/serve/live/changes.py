"""Changes of a catalogue, and their form in the journal: JSON, with vectors in base64."""

import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.errors import FormatError

__all__ = ["Change", "Delete", "Put", "Reload", "from_bytes", "to_bytes"]

ItemId = int | str


@dataclass(frozen=True)
class Put:
    """Items to add or to replace.

    Attributes:
        rows: complete values of every item by column, `item_id` among them.
        new: places in `rows` of the items that get a Semantic ID.
        tokens: Semantic ID of each of these, uint16 (new, levels), or None without Semantic IDs.
        vectors: content vector of each of these, float32 (new, d), or None.
        tokenizer: fingerprint of the tokenizer that made the tokens.
    """

    rows: list[dict[str, Any]]
    new: list[int]
    tokens: npt.NDArray[np.uint16] | None = None
    vectors: npt.NDArray[np.float32] | None = None
    tokenizer: str = ""


@dataclass(frozen=True)
class Delete:
    """Items to remove, all of which exist."""

    item_ids: list[ItemId]


@dataclass(frozen=True)
class Reload:
    """Request to every process to open the model again."""


Change = Put | Delete | Reload


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
