"""Digits of Semantic IDs as the tokens of a sequence model."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidkit._core import SidLayout
from sidkit.errors import ConfigError, DataError

__all__ = ["Vocabulary"]


class Vocabulary:
    """Digit of a level ↔ token number.

    Each level has tokens of its own, so digit 7 of level 0 and digit 7 of level 1 are two words::

        0 PAD   1 BOS   2 EOS   3 … digits of level 0 | digits of level 1 | … | user tokens (if any)

    Args:
        layout: sizes of the levels, a `SidLayout` or integers.
        user_tokens: how many tokens users are hashed into (TIGER has 2,000); 0 for none.

    Attributes:
        sizes: digits of each level.
        offsets: int32 (levels,), the token of digit 0 of each level.
        pad, bos, eos: the special tokens. `eos` also separates items where a model wants that.
        size: number of tokens.
    """

    pad = 0
    bos = 1
    eos = 2

    def __init__(self, layout: SidLayout | Sequence[int], *, user_tokens: int = 0) -> None:
        if user_tokens < 0:
            raise ConfigError(f"user_tokens must not be negative, but it is {user_tokens}")
        self.layout = layout if isinstance(layout, SidLayout) else SidLayout(list(layout))
        self.sizes = tuple(self.layout.sizes)
        self.user_tokens = user_tokens
        ends = 3 + np.cumsum(self.sizes)
        self.offsets = (ends - self.sizes).astype(np.int32)
        self._first_user = int(ends[-1])
        self.size = self._first_user + user_tokens

    def __repr__(self) -> str:
        return f"Vocabulary(sizes={list(self.sizes)}, user_tokens={self.user_tokens}, size={self.size})"

    def tokens(self, digits: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """Token numbers, int32 (..., levels), of digits (..., levels).

        Raises:
            DataError: if the last axis is not that of the levels or a digit is not below its level's size.
        """
        checked = self._checked(digits, np.zeros_like(self.offsets), "digit")
        return (checked + self.offsets).astype(np.int32)

    def digits(self, tokens: npt.ArrayLike) -> npt.NDArray[np.uint16]:
        """Digits, uint16 (..., levels), of token numbers (..., levels): the inverse of `tokens`.

        Raises:
            DataError: if a token is not a digit of the level it stands at.
        """
        return (self._checked(tokens, self.offsets, "token") - self.offsets).astype(np.uint16)

    def level_tokens(self, level: int) -> range:
        """The token numbers of the digits of one level."""
        start = int(self.offsets[level])
        return range(start, start + self.sizes[level])

    def users(self, users: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """Tokens, int32 of the same shape, of user indices: hashed, the same on every machine.

        Raises:
            ConfigError: if the vocabulary has no user tokens.
        """
        if not self.user_tokens:
            raise ConfigError(
                "this vocabulary has no user tokens; hint: Vocabulary(layout, user_tokens=2000)"
            )
        hashed = _mix(np.asarray(users).astype(np.uint64))
        return (hashed % np.uint64(self.user_tokens)).astype(np.int32) + np.int32(self._first_user)

    def name(self, token: int) -> str:
        """What a token stands for, such as `<pad>`, `<1:200>` (digit 200 of level 1) or `<user:17>`."""
        if not 0 <= token < self.size:
            raise DataError(f"token {token} is not in a vocabulary of {self.size}")
        if token < 3:
            return ("<pad>", "<bos>", "<eos>")[token]
        if token >= self._first_user:
            return f"<user:{token - self._first_user}>"
        level = int(np.searchsorted(self.offsets, token, side="right")) - 1
        return f"<{level}:{token - int(self.offsets[level])}>"

    def _checked(
        self, values: npt.ArrayLike, starts: npt.NDArray[np.int32], what: str
    ) -> npt.NDArray[np.int64]:
        array = np.asarray(values)
        if array.dtype.kind not in "iu" or array.ndim < 1 or array.shape[-1] != len(self.sizes):
            raise DataError(
                f"{what}s must be integers with a last axis of {len(self.sizes)} levels, "
                f"not {array.dtype} {array.shape}"
            )
        wide: npt.NDArray[np.int64] = array.astype(np.int64)
        wrong = np.argwhere((wide < starts) | (wide >= starts + np.asarray(self.sizes)))
        if len(wrong):
            level = int(wrong[0][-1])
            first, value = int(starts[level]), wide[tuple(wrong[0])]
            last = first + self.sizes[level] - 1
            raise DataError(f"{what} {value} at level {level} is not in {first}..{last}")
        return wide


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): a bijection that spreads neighbours."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))
