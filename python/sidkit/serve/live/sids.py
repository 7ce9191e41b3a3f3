"""Semantic IDs of a live catalogue: prefixes, counts, and free Semantic IDs for new items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._core import LiveTrie, Trie, TrieStates
from sidkit.errors import CollisionError, DataError
from sidkit.ids import SidTable

__all__ = ["Child", "SidIndex", "SidView"]

Tokens = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Child:
    """A prefix one token longer than another.

    Attributes:
        prefix: its tokens.
        count: number of items under it.
        examples: numbers of its first items.
    """

    prefix: tuple[int, ...]
    count: int
    examples: list[int]


class SidView:
    """Semantic IDs of one version of the catalogue; immutable."""

    def __init__(self, trie: Trie) -> None:
        self._trie = trie
        self.sizes = tuple(trie.layout.sizes)

    def tokens(self, numbers: npt.NDArray[np.int64]) -> Tokens:
        """Return the Semantic IDs of items that have one, uint16 (n, levels)."""
        return self._trie.layout.unpack(self._trie.sids(numbers))

    def has(self, number: int) -> bool:
        """Return whether an item has a Semantic ID."""
        try:
            self._trie.sids(np.array([number], np.int64))
        except ValueError:
            return False
        return True

    def count(self, prefix: tuple[int, ...]) -> int:
        """Return the number of items under a prefix."""
        return int(self._trie.count(self._find(prefix))[0])

    def children(
        self, prefix: tuple[int, ...], offset: int, limit: int, examples: int
    ) -> tuple[int, list[Child]]:
        """Return the number of longer prefixes by one token, and some of them in the order of their tokens.

        Args:
            prefix: tokens, fewer than a Semantic ID has.
            offset: number of children to skip.
            limit: maximum number of children to return.
            examples: maximum number of items of each child.
        """
        state = self._find(prefix)
        following = np.flatnonzero(self._trie.allowed(state)[0])
        page = following[offset : offset + limit]
        states = self._trie.step(state.select(np.zeros(len(page), np.int64)), page)
        counts = self._trie.count(states).tolist()
        items, offsets = self._trie.items(states)
        return len(following), [
            Child(
                (*prefix, token),
                counts[place],
                items[offsets[place] :][: min(examples, counts[place])].tolist(),
            )
            for place, token in enumerate(page.tolist())
        ]

    def items(self, prefix: tuple[int, ...], offset: int, limit: int) -> list[int]:
        """Return numbers of items under a prefix, in the order of their Semantic IDs."""
        items, _ = self._trie.items(self._find(prefix))
        found: list[int] = items[offset : offset + limit].tolist()
        return found

    def parse(self, text: str) -> tuple[int, ...]:
        """Parse a prefix such as `12-200`; the empty text is the empty prefix.

        Raises:
            DataError: if it is no prefix of a Semantic ID of these sizes.
        """
        parts = text.split("-", len(self.sizes)) if text else []
        valid = len(parts) <= len(self.sizes) and all(part.isascii() and part.isdigit() for part in parts)
        tokens = tuple(int(part[:12]) for part in parts) if valid else ()
        if not valid or any(token >= size for token, size in zip(tokens, self.sizes, strict=False)):
            raise DataError(
                f"a prefix is malformed: expected up to {len(self.sizes)} tokens below "
                f"{list(self.sizes)} joined by "
                f"`-`, got {text[:80]!r}. Write it like `12-200`."
            )
        return tokens

    def _find(self, prefix: tuple[int, ...]) -> TrieStates:
        state = self._trie.start(1)
        for token in prefix:
            state = self._trie.step(state, np.array([token]))
        return state


class SidIndex:
    """Semantic IDs that change in batches; used by one thread, which gives `view`s to others.

    Args:
        table: Semantic IDs of the items whose numbers are the rows of the table.
    """

    def __init__(self, table: SidTable) -> None:
        self.layout = table.layout
        self.collisions = table.collisions
        self._base = Trie.build(table.packed, table.layout)
        self._current = LiveTrie(self._base)
        # A model keeps the leaf of a removed item, so its Semantic ID is not given to another.
        self._given: dict[int, tuple[int, ...]] = {}  # to items that came later, by number
        self._taken = set[tuple[int, ...]]()  # the same
        self._items = len(table)

    def view(self) -> SidView:
        """Return the current version."""
        return SidView(self._current.snapshot())

    def update(self, numbers: npt.NDArray[np.int64], tokens: Tokens, removed: npt.NDArray[np.int64]) -> None:
        """Remove and add items, as one change."""
        packed = self.layout.pack(np.ascontiguousarray(tokens, np.uint16).reshape(-1, self.layout.levels))
        self._current.update(sids=packed, items=numbers, remove=removed)
        for number, own in zip(numbers.tolist(), tokens.tolist(), strict=True):
            if number >= self._items and number not in self._given:
                self._given[number] = tuple(own)
                self._taken.add(tuple(own))

    def reserved(self, number: int) -> Tokens | None:
        """Return the Semantic ID that an item has or had, uint16 (levels,); None if it never had one."""
        if 0 <= number < self._items:
            tokens: Tokens = SidView(self._base).tokens(np.array([number], np.int64))[0]
            return tokens
        given = self._given.get(number)
        return None if given is None else np.array(given, np.uint16)

    def allocate(self, codes: Tokens, alternatives: Callable[[int], Tokens]) -> Tokens:
        """Choose a free Semantic ID for new items, one after the other.

        Under `suffix`, an item gets the first free collision token under its codes; where all are taken, or
        the codes themselves are taken under `reassign`, it moves to its nearest codes that have room. Under
        `share`, codes are shared.

        Args:
            codes: uint16 (n, code levels).
            alternatives: function from the place of an item to its nearest codes, uint16 (choices, code
                levels).

        Returns:
            uint16 (n, levels).

        Raises:
            CollisionError: if an item finds no room.
        """
        if self.collisions == "share":
            return codes
        taken = set[tuple[int, ...]]()
        chosen = []
        for place, (own, used) in enumerate(zip(codes, self._used(codes), strict=True)):
            found = self._free(own, used, taken)
            if found is None:
                near = alternatives(place)
                others = zip(near, self._used(near), strict=True)
                found = next(filter(None, (self._free(*other, taken) for other in others)), None)
            if found is None:
                raise CollisionError(
                    f"there is no free Semantic ID for item {place} of the batch: expected one under its "
                    "nearest codes, got none. Make the Semantic IDs again with a larger codebook or "
                    "collision token."
                )
            taken.add(found)
            chosen.append(found)
        return np.array(chosen, np.uint16).reshape(-1, self.layout.levels)

    def _used(self, codes: Tokens) -> npt.NDArray[np.bool_]:
        """Return which last tokens follow the tokens before them in the model, bool (n, last size)."""
        states = self._base.start(len(codes))
        for level in range(self.layout.levels - 1):
            states = self._base.step(states, codes[:, level].astype(np.int64))
        return self._base.allowed(states)

    def _free(
        self, codes: npt.NDArray[Any], used: npt.NDArray[np.bool_], taken: set[tuple[int, ...]]
    ) -> tuple[int, ...] | None:
        """Return a Semantic ID under the codes of an item that no item has; None if there is none."""
        prefix = tuple(codes.tolist())
        last = [prefix[-1]] if self.collisions != "suffix" else range(len(used))
        head = prefix[:-1] if self.collisions != "suffix" else prefix
        for token in last:
            found = (*head, token)
            if not used[token] and found not in taken and found not in self._taken:
                return found
        return None
