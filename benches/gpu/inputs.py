"""Inputs of a training on a GPU: arrays in one folder, and rows of histories of one shape.

`prepare` writes the folder from a run directory of `sidkit`; `Inputs` reads it without polars or pydantic. A
`Table` holds rows of one shape, so that every step on it is the same CUDA graph:

    packed    several windows of histories per row of `max_items` items, for `sequence_losses`; a row has
              almost no padding
    padded    one window per row, in a few shapes by length
    prefixes  one prefix per row with the item after it, in a few shapes, for a bidirectional encoder
"""

import json
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from sidkit import Trie

__all__ = ["Examples", "Inputs", "Table", "packed", "padded", "prefixes", "prepare"]


@dataclass
class Examples:
    """Histories and the item after each.

    Attributes:
        users: int32 (m,).
        values: items of all histories, int32 (nnz,).
        offsets: int64 (m + 1,).
        targets: int32 (m,).
    """

    users: np.ndarray
    values: np.ndarray
    offsets: np.ndarray
    targets: np.ndarray

    def first(self, users: int) -> "Examples":
        """Return the examples of the first `users` users; all for 0."""
        if not users:
            return self
        stop = self.offsets[users]
        return Examples(
            self.users[:users], self.values[:stop], self.offsets[: users + 1], self.targets[:users]
        )

    def tails(self, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the last `most` items of every history, int64 (m, most), left-aligned, and their numbers."""
        lengths = np.minimum(np.diff(self.offsets), most)
        out = np.zeros((len(self.users), most), np.int64)
        for row, (stop, length) in enumerate(zip(self.offsets[1:], lengths, strict=True)):
            out[row, :length] = self.values[stop - length : stop]
        return out, lengths


@dataclass
class Inputs:
    """Input of a training: histories, evaluation examples and Semantic IDs."""

    folder: Path
    facts: dict
    values: np.ndarray
    offsets: np.ndarray
    examples: dict[str, Examples]
    tokens: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> "Inputs":
        arrays = dict(np.load(folder / "inputs.npz"))
        examples = {
            part: Examples(*(arrays[f"{part}.{name}"] for name in ("users", "values", "offsets", "targets")))
            for part in ("validation", "test")
        }
        facts = json.loads((folder / "inputs.json").read_text())
        tokens = {name: arrays[f"tokens.{name}"].astype(np.int64) for name in facts["sizes"]}
        return cls(folder, facts, arrays["values"], arrays["offsets"], examples, tokens)

    def trie(self, ids: str) -> Trie:
        return Trie.open(self.folder / f"{ids}.sidx")

    @property
    def items(self) -> int:
        return self.facts["items"]


def prepare(runs: dict[str, Path], folder: Path) -> None:
    """Write the inputs from run directories, one for each table of Semantic IDs."""
    from sidkit.data import load_dataset
    from sidkit.ids import SidTable
    from sidkit.run.config import read_config

    folder.mkdir(parents=True, exist_ok=True)
    config = read_config(next(iter(runs.values())) / "run.toml")
    dataset = load_dataset(config.data.source)
    split = dataset.split(config.data.split, ties=config.data.ties, seed=config.data.seed)
    arrays = {"values": split.train.values, "offsets": split.train.offsets}
    for part, examples in (("validation", split.validation), ("test", split.test)):
        histories = examples.histories
        arrays |= {f"{part}.users": examples.users, f"{part}.targets": examples.targets}
        arrays |= {f"{part}.values": histories.values, f"{part}.offsets": histories.offsets}
    sizes = {}
    for name, run in runs.items():
        table = SidTable.load(run / "sids.parquet")
        arrays[f"tokens.{name}"], sizes[name] = table.tokens, list(table.layout.sizes)
        table.trie.save(folder / f"{name}.sidx")
    np.savez_compressed(folder / "inputs.npz", **arrays)
    facts = {"dataset": dataset.name, "items": len(dataset.items), "sizes": sizes}
    (folder / "inputs.json").write_text(json.dumps(facts, indent=1) + "\n")


@dataclass
class Table:
    """Rows of one shape, on a device.

    Attributes:
        read: item rows, int64 (N, T); the number of items for padding.
        write: the item after each, int64 (N, T), or after the last, (N, 1); the number of items for padding.
        segments: index of the history of each item, int64 (N, T), or None for one history per row.
        rows: rows per batch.
    """

    read: torch.Tensor
    write: torch.Tensor
    segments: torch.Tensor | None
    rows: int


def windows(values: np.ndarray, offsets: np.ndarray, most: int) -> list[np.ndarray]:
    """Cut histories into windows of at most `most` targets, from their ends."""
    found = []
    for start, stop in pairwise(offsets):
        last = stop
        while last - start > 1:
            kept = min(last - start - 1, most)
            found.append(values[last - kept - 1 : last])
            last -= kept
    return found


def packed(inputs: Inputs, capacity: int, rows: int, seed: int, device: torch.device, ways: int = 4):
    """Make one table of rows that hold several windows, packed in `ways` ways, one per epoch in turn."""
    found = windows(inputs.values, inputs.offsets, capacity)
    random = np.random.default_rng(seed)
    tables = [_pack(found, random.permutation(len(found)), capacity, inputs.items) for _ in range(ways)]
    least = min(len(table[0]) for table in tables)
    parts = (torch.from_numpy(np.concatenate([table[i][:least] for table in tables])) for i in range(3))
    read, write, segments = (part.to(device) for part in parts)
    return [Table(read, write, segments, rows)], least


def _pack(found: list[np.ndarray], order: np.ndarray, capacity: int, padding: int):
    """Pack windows by first fit: long windows first, ties in the given order."""
    order = order[np.argsort([-len(found[index]) for index in order], kind="stable")]
    open_rows: list[list[int]] = [[] for _ in range(capacity + 1)]  # by the room that is left
    places, room = [], []
    for index in order:
        need = len(found[index]) - 1
        fits = next((left for left in range(need, capacity + 1) if open_rows[left]), None)
        if fits is None:
            row = len(room)
            room.append(capacity)
        else:
            row = open_rows[fits].pop()
        places.append((row, capacity - room[row], index))
        room[row] -= need
        open_rows[room[row]].append(row)
    read = np.full((len(room), capacity), padding, np.int64)
    write, segments = read.copy(), np.full_like(read, -1)
    for number, (row, start, index) in enumerate(places):
        window = found[index]
        stop = start + len(window) - 1
        read[row, start:stop], write[row, start:stop] = window[:-1], window[1:]
        segments[row, start:stop] = number
    shuffled = np.random.default_rng(len(room)).permutation(len(room))
    return read[shuffled], write[shuffled], segments[shuffled]


def padded(inputs: Inputs, most: int, targets: int, device: torch.device, shapes=(5, 9, 17), first=True):
    """Make tables of windows of similar length, with about `targets` targets per batch.

    With `first`, the first item of a window is also a target, and a row has one position more.
    """
    found = windows(inputs.values, inputs.offsets, most)
    tables, lowest, extra = [], 0, int(first)
    for shape in (*shapes, most):
        rows = [window for window in found if lowest < len(window) - 1 <= shape]
        lowest = shape
        if not rows:
            continue
        read = np.full((len(rows), shape + extra), inputs.items, np.int64)
        write = read.copy()
        for row, window in enumerate(rows):
            read[row, extra : extra + len(window) - 1] = window[:-1]
            write[row, : len(window) - 1 + extra] = window[1 - extra :]
        mean = sum(map(len, rows)) / len(rows)
        tables.append(_table(read, write, max(1, round(targets / mean)), device))
    return tables, None


def prefixes(inputs: Inputs, most: int, targets: int, device: torch.device, shapes=(2, 4, 8, 13)):
    """Make tables of prefixes of similar length, each with the item after it."""
    found: list[tuple[np.ndarray, int]] = []
    for start, stop in zip(inputs.offsets[:-1], inputs.offsets[1:], strict=True):
        for end in range(start + 1, stop):
            found.append((inputs.values[max(start, end - most) : end], inputs.values[end]))
    tables, lowest = [], 0
    for shape in (*shapes, most):
        rows = [example for example in found if lowest < len(example[0]) <= shape]
        lowest = shape
        if not rows:
            continue
        read = np.full((len(rows), shape), inputs.items, np.int64)
        for row, (prefix, _) in enumerate(rows):
            read[row, : len(prefix)] = prefix
        write = np.array([target for _, target in rows], np.int64)[:, None]
        tables.append(_table(read, write, targets, device))
    return tables, None


def _table(read: np.ndarray, write: np.ndarray, rows: int, device: torch.device) -> Table:
    return Table(torch.from_numpy(read).to(device), torch.from_numpy(write).to(device), None, rows)
