"""Tokens of Semantic IDs as the token_ids of a sequence model."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidkit._core import SidLayout
from sidkit.errors import ConfigError, DataError

__all__ = ["Vocabulary"]


class Vocabulary:
    """Token of a level ↔ token_id number.

    Each level has token_ids of its own, so token 7 of level 0 and token 7 of level 1 are two words::

        0 PAD   1 BOS   2 EOS   3 … tokens of level 0 | tokens of level 1 | … | user tokens (if any)

    Args:
        layout: sizes of the levels, a `SidLayout` or integers.
        user_tokens: how many token_ids users are hashed into (TIGER has 2,000); 0 for none.

    Attributes:
        sizes: tokens of each level.
        offsets: int32 (levels,), the token_id of token 0 of each level.
        pad, bos, eos: the special token_ids. `eos` also separates items where a model wants that.
        size: number of token_ids.
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

    def encode(self, tokens: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """Token numbers, int32 (..., levels), of tokens (..., levels).

        Raises:
            DataError: if the last axis is not that of the levels or a token is not below its level's size.
        """
        checked = self._checked(tokens, np.zeros_like(self.offsets), "token")
        return (checked + self.offsets).astype(np.int32)

    def decode(self, token_ids: npt.ArrayLike) -> npt.NDArray[np.uint16]:
        """Tokens, uint16 (..., levels), of token_id numbers (..., levels): the inverse of `token_ids`.

        Raises:
            DataError: if a token_id is not a token of the level it stands at.
        """
        return (self._checked(token_ids, self.offsets, "token_id") - self.offsets).astype(np.uint16)

    def level_token_ids(self, level: int) -> range:
        """The token_id numbers of the tokens of one level."""
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

    def name(self, token_id: int) -> str:
        """What a token_id stands for, such as `<pad>`, `<1:200>` (token 200 of level 1) or `<user:17>`."""
        if not 0 <= token_id < self.size:
            raise DataError(f"token_id {token_id} is not in a vocabulary of {self.size}")
        if token_id < 3:
            return ("<pad>", "<bos>", "<eos>")[token_id]
        if token_id >= self._first_user:
            return f"<user:{token_id - self._first_user}>"
        level = int(np.searchsorted(self.offsets, token_id, side="right")) - 1
        return f"<{level}:{token_id - int(self.offsets[level])}>"

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
