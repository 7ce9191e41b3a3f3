"""Trie as tensors: masks logits on the device, without host synchronization."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sidkit._arguments import Bounds, checked, shown
from sidkit._core import Trie
from sidkit.decode.adapters.prefixes import levels_of
from sidkit.errors import ConfigError, DataError

__all__ = ["TrieTensors", "torch_device"]

# The logarithm of how many prefixes share one entry of `LevelTensors.blocks`.
_BLOCK_BITS = 6


@dataclass(frozen=True)
class LevelTensors:
    """The prefixes of one length as compressed sparse rows.

    Attributes:
        codes: tokens that continue each prefix, ascending: uint8 (children,) up to 256 codes, else int16 with
            the bits of uint16. The place of a child is its state, so no column of states is needed.
        blocks: start of the children of every 64th prefix, int32 or int64; None if each prefix has one child,
            whose place is the number of the prefix.
        within: start of each prefix's children relative to its block, (prefixes + 1,), in the smallest type
            that holds them; None together with `blocks`.
        width: largest number of children of a prefix.
    """

    codes: Tensor
    blocks: Tensor | None
    within: Tensor | None
    width: int

    def begins(self, states: Tensor) -> Tensor:
        """Return the start of the children of `states`, int64 of the same shape."""
        if self.blocks is None or self.within is None:
            return states
        return self.blocks[states >> _BLOCK_BITS].long() + self.within[states].long()

    def code_at(self, places: Tensor) -> Tensor:
        """Return the tokens at some places, int64 of the same shape."""
        codes = self.codes[places].long()
        return codes & 0xFFFF if self.codes.dtype == torch.int16 else codes

    def tensors(self) -> list[Tensor]:
        """Return all tensors on the device."""
        return [tensor for tensor in (self.codes, self.blocks, self.within) if tensor is not None]


@checked
class TrieTensors:
    """Trie in the memory of a device: masks, children and steps for batches of states.

    A state is the number of its prefix among the sorted prefixes of its length, int64; -1 is dead. No
    operation synchronizes with the device or has a shape that depends on the states, as CUDA graphs require.
    It is a copy of the trie at the time it was made; make it with `Trie.to_torch`.

    >>> tensors = trie.to_torch("cuda")
    >>> states = tensors.start(rows)
    >>> for depth in range(tensors.levels):
    ...     logits = tensors.mask_logits(states, depth, model(...))
    ...     codes = logits.argmax(-1)
    ...     states = tensors.step(states, depth, codes)

    Memory: one or two bytes per prefix for its token, and about one for the start of its children, except on
        levels
    without branches. A mask costs (rows × width) reads, where `width` is the largest number of children on
    that level.

    Attributes:
        sizes: number of codes of each level.
    """

    def __init__(self, sizes: tuple[int, ...], levels: list[LevelTensors]) -> None:
        self.sizes = sizes
        self._levels = levels

    @classmethod
    def of(cls, trie: Trie, device: torch.device | str | int = "cpu") -> "TrieTensors":
        """Copy a trie to a device."""
        place = torch_device(device)
        sizes = tuple(trie.layout.sizes)
        levels = []
        for size, level in zip(sizes, levels_of(trie), strict=True):
            codes = torch.from_numpy(
                level.codes.astype(np.uint8) if size <= 256 else level.codes.view(np.int16)
            )
            blocks = within = None
            if len(level.starts) - 1 != len(level.codes):
                blocks, within = (torch.from_numpy(part).to(place) for part in _shortened(level.starts))
            levels.append(LevelTensors(codes.to(place), blocks, within, level.width))
        return cls(sizes, levels)

    @property
    def levels(self) -> int:
        """Number of tokens of a Semantic ID."""
        return len(self.sizes)

    @property
    def device(self) -> torch.device:
        """Device of the tensors."""
        return self._levels[0].codes.device

    @property
    def nbytes(self) -> int:
        """Size of the tensors in bytes."""
        return sum(tensor.nbytes for level in self._levels for tensor in level.tensors())

    def width(self, depth: int) -> int:
        """Return the largest number of children of a prefix of `depth` tokens."""
        return self._level(depth).width

    def __repr__(self) -> str:
        return (
            f"<TrieTensors of {len(self._levels[-1].codes)} SIDs under {list(self.sizes)} on {self.device}>"
        )

    def start(self, rows: Annotated[int, Bounds(ge=0, le=2**24)]) -> Tensor:
        """Return the empty prefix for each row, int64 (rows,); dead if the trie is empty."""
        return torch.full((rows,), 0 if self._levels[0].width else -1, device=self.device)

    def allowed(self, states: Tensor, depth: int) -> Tensor:
        """Mark the codes that continue each state; a dead state has none.

        Args:
            states: states of prefixes of `depth` tokens, int64 (rows,).
            depth: number of tokens of the prefixes.

        Returns:
            bool (rows, codes of the next level), equal to `Trie.allowed`.

        Raises:
            ConfigError: if there is no level at `depth`.
            DataError: if the states have another shape or are on another device.
        """
        level, begin, end = self._children(states, depth)
        # Places after the last child repeat it, so all writes to one element agree.
        places = torch.minimum(begin[:, None] + self._offsets(level), end[:, None] - 1)
        live = (states >= 0)[:, None].expand(places.shape)
        mask = torch.zeros(len(states), self.sizes[depth], dtype=torch.bool, device=self.device)
        return mask.scatter_(1, level.code_at(places), live)

    def mask_logits(self, states: Tensor, depth: int, logits: Tensor) -> Tensor:
        """Set the logits of codes that do not continue a state to -inf, in place.

        Args:
            states: states of prefixes of `depth` tokens, int64 (rows,).
            depth: number of tokens of the prefixes.
            logits: floats (rows, codes of the next level).

        Returns:
            `logits`. The row of a dead state is all -inf.

        Raises:
            ConfigError, DataError: as `allowed`, and if the logits have another shape.
        """
        allowed = self.allowed(states, depth)
        if logits.shape != allowed.shape:
            raise DataError(
                f"expected logits of (states, codes of level {depth}) = {tuple(allowed.shape)}, "
                f"not {tuple(logits.shape)}"
            )
        return logits.masked_fill_(~allowed, -torch.inf)

    def children(self, states: Tensor, depth: int) -> tuple[Tensor, Tensor]:
        """Return the codes that continue each state, and the states that they lead to.

        For a search that does not look at the whole level; a dead state has none.

        Returns:
            Codes, ascending, and states, both int64 (rows, width of the level) padded with -1.

        Raises:
            ConfigError, DataError: as `allowed`.
        """
        level, begin, end = self._children(states, depth)
        places = begin[:, None] + self._offsets(level)
        exists = (places < end[:, None]) & (states >= 0)[:, None]
        codes = level.code_at(torch.minimum(places, end[:, None] - 1))
        return codes.masked_fill_(~exists, -1), places.masked_fill_(~exists, -1)

    def step(self, states: Tensor, depth: int, codes: Tensor) -> Tensor:
        """Extend each state by a code; any code that does not continue a state gives a dead state.

        Args:
            states: states of prefixes of `depth` tokens, int64 (rows,).
            depth: number of tokens of the prefixes.
            codes: integers (rows,).

        Returns:
            States of `depth + 1` tokens, int64 (rows,).

        Raises:
            ConfigError, DataError: as `allowed`, and if there is not one code for each state.
        """
        level, low, end = self._children(states, depth)
        if codes.shape != states.shape:
            raise DataError(f"expected one code for each of {len(states)} states, not {tuple(codes.shape)}")
        if not level.width:
            return torch.full_like(states, -1)
        codes, high = codes.to(torch.int64), end
        for _ in range(level.width.bit_length()):  # halves the children until one place is left
            middle = (low + high) >> 1
            open_, less = low < high, level.code_at(torch.minimum(middle, end - 1)) < codes
            low = torch.where(open_ & less, middle + 1, low)
            high = torch.where(open_ & ~less, middle, high)
        found = (low < end) & (level.code_at(torch.minimum(low, end - 1)) == codes) & (states >= 0)
        return torch.where(found, low, -1)

    def _level(self, depth: int) -> LevelTensors:
        if not 0 <= depth < self.levels:
            raise ConfigError(
                f"`depth` is {depth}; states that can read a token have 0 to {self.levels - 1} tokens"
            )
        return self._levels[depth]

    def _children(self, states: Tensor, depth: int) -> tuple[LevelTensors, Tensor, Tensor]:
        """Return the level and the range of each state's children; for dead ones that of prefix 0."""
        level = self._level(depth)
        if states.ndim != 1 or states.dtype != torch.int64 or states.device != self.device:
            raise DataError(
                f"expected states int64 (rows,) on {self.device}, "
                f"not {states.dtype} {tuple(states.shape)} on {states.device}"
            )
        states = states.clamp(min=0)
        return level, level.begins(states), level.begins(states + 1)

    def _offsets(self, level: LevelTensors) -> Tensor:
        return torch.arange(level.width, device=self.device)


def _shortened(starts: NDArray[np.int64]) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Split `starts` into the first of each block and the differences to it."""
    blocks = starts[:: 1 << _BLOCK_BITS]
    within = starts - np.repeat(blocks, 1 << _BLOCK_BITS)[: len(starts)]
    most = int(within.max())
    least = np.uint8 if most < 1 << 8 else np.int16 if most < 1 << 15 else np.int32
    return blocks.astype(np.int32 if starts[-1] < 1 << 31 else np.int64), within.astype(least)


def torch_device(device: torch.device | str | int) -> torch.device:
    """Return a device of torch.

    Raises:
        ConfigError: if torch does not know it, or the machine does not have it.
    """
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(
            f"`device` is invalid: expected a device such as cpu, got {shown(device)}: {reason}."
        ) from error
