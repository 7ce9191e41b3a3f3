"""Vocabulary of a sequence model over Semantic IDs."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Bounds, checked
from sidkit._core import SidLayout
from sidkit.errors import ConfigError, DataError
from sidkit.ids.collisions import Sizes

__all__ = ["Vocabulary"]


@checked
class Vocabulary:
    """Mapping between the tokens of Semantic IDs and the token ids of a model.

    Levels do not share token ids: token 7 of level 0 and token 7 of level 1 are different::

        0 PAD   1 BOS   2 EOS   3 … tokens of level 0 | tokens of level 1 | … | user tokens (if any)

    Args:
        layout: sizes of the levels, a `SidLayout` or integers.
        user_tokens: number of token ids for hashed users (TIGER has 2,000); 0 for none.

    Attributes:
        sizes: number of tokens of each level.
        offsets: int32 (levels,), token id of token 0 of each level.
        pad, bos, eos: special token ids; models that separate items use `eos` for it.
        size: number of token ids.
    """

    pad = 0
    bos = 1
    eos = 2

    def __init__(
        self, layout: SidLayout | Sizes, *, user_tokens: Annotated[int, Bounds(ge=0, le=2**30)] = 0
    ) -> None:
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
        """Return the token ids, int32 (..., levels), of tokens, integers (..., levels).

        Raises:
            DataError: if the last axis does not have one entry per level, or a token is out of range.
        """
        checked = self._checked(tokens, np.zeros_like(self.offsets), "token")
        return (checked + self.offsets).astype(np.int32)

    def decode(self, token_ids: npt.ArrayLike) -> npt.NDArray[np.uint16]:
        """Return the tokens, uint16 (..., levels), of token ids (..., levels): the inverse of `encode`.

        Raises:
            DataError: if a token id does not belong to its level.
        """
        return (self._checked(token_ids, self.offsets, "token id") - self.offsets).astype(np.uint16)

    def level_token_ids(self, level: int) -> range:
        """Return the token ids of one level.

        Raises:
            ConfigError: if there is no such level.
        """
        if not 0 <= level < len(self.sizes):
            raise ConfigError(f"there is no such level: expected 0..{len(self.sizes) - 1}, got {level}.")
        start = int(self.offsets[level])
        return range(start, start + self.sizes[level])

    def users(self, users: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """Return the token ids of users, int32 of the same shape: hashed, identical on every machine.

        Raises:
            ConfigError: if the vocabulary has no user tokens.
            DataError: if the users are no integers.
        """
        if not self.user_tokens:
            raise ConfigError(
                "the vocabulary has no user tokens: expected user_tokens >= 1, got 0. "
                "Make it with Vocabulary(layout, user_tokens=2000)."
            )
        given = np.asarray(users)
        if given.size and given.dtype.kind not in "iu":
            raise DataError(f"`users` is invalid: expected integers, got {given.dtype}. Pass rows of users.")
        hashed = _mix(given.astype(np.uint64))
        return (hashed % np.uint64(self.user_tokens)).astype(np.int32) + np.int32(self._first_user)

    def name(self, token_id: int) -> str:
        """Return the name of a token id, such as `<pad>`, `<1:200>` (token 200 of level 1) or `<user:17>`."""
        if not 0 <= token_id < self.size:
            raise DataError(
                f"a token id is out of range: expected 0..{self.size - 1}, got {token_id}. Correct it."
            )
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
                f"{what}s are invalid: expected integers with a last axis of {len(self.sizes)} levels, "
                f"got {array.dtype} of shape {array.shape}. Correct the array."
            )
        wide: npt.NDArray[np.int64] = array.astype(np.int64)
        wrong = np.argwhere((wide < starts) | (wide >= starts + np.asarray(self.sizes)))
        if len(wrong):
            level = int(wrong[0][-1])
            first, value = int(starts[level]), wide[tuple(wrong[0])]
            last = first + self.sizes[level] - 1
            raise DataError(
                f"a {what} is out of range: expected {first}..{last} at level {level}, got {value}. "
                "Correct the array."
            )
        return wide


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Apply the finalizer of SplitMix64 (Steele, Lea and Flood 2014), a bijection that spreads values."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))
