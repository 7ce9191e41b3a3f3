"""Vocabulary of ActionPiece: feature values and the tokens merged from them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidkit._core import segment_pieces, shuffle_actions
from sidkit.data import Sequences
from sidkit.errors import DataError

__all__ = ["MergedVocabulary"]


class MergedVocabulary:
    """Vocabulary that `ActionPiece` learned, sufficient to encode histories.

    Value v of feature f is the token v + the number of values of the features before f; merge k creates the
    token `base + k`.

    Args:
        sizes: number of values of each feature.
        merges: integers (merges, 2), the two tokens that each merged token consists of.

    Attributes:
        sizes: tuple of the number of values of each feature.
        merges: uint32 (merges, 2).

    Raises:
        DataError: if a feature has no values, or a merge repeats another or uses a later token.
    """

    def __init__(self, sizes: Sequence[int], merges: npt.ArrayLike) -> None:
        self.sizes = tuple(int(size) for size in sizes)
        if any(size < 1 for size in self.sizes):
            raise DataError(f"feature sizes are invalid: expected numbers >= 1, got {self.sizes}.")
        pairs = np.asarray(merges)
        if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
            raise DataError(
                f"merges are invalid: expected integers (merges, 2), got {pairs.dtype} {pairs.shape}."
            )
        made = np.arange(self.base, self.base + len(pairs))[:, None]
        if ((pairs < 0) | (pairs >= made)).any():
            raise DataError("merges are invalid: expected two earlier tokens in each, got a later one.")
        self.merges: npt.NDArray[np.uint32] = np.ascontiguousarray(pairs, np.uint32)
        if len(np.unique(np.sort(self.merges, axis=1), axis=0)) < len(pairs):
            raise DataError("merges are invalid: expected distinct pairs of tokens, got a repeated one.")

    @property
    def base(self) -> int:
        """Number of tokens that are single features; merged tokens follow them."""
        return sum(self.sizes)

    def __len__(self) -> int:
        """Number of tokens."""
        return self.base + len(self.merges)

    def tokens(self, features: npt.ArrayLike) -> npt.NDArray[np.uint32]:
        """Map feature values, integers (n, features), to tokens, uint32 of that shape.

        Raises:
            DataError: if the number of features is wrong, or a value is not below its feature's size.
        """
        values = np.asarray(features)
        if values.ndim != 2 or values.dtype.kind not in "iu" or values.shape[1] != len(self.sizes):
            raise DataError(
                f"features are invalid: expected integers (n, {len(self.sizes)}), got {values.dtype} "
                f"{values.shape}."
            )
        if ((values < 0) | (values >= np.array(self.sizes))).any():
            raise DataError(
                f"features are invalid: expected values below the sizes {self.sizes}, got {values.min()} to "
                f"{values.max()}."
            )
        starts = np.cumsum((0, *self.sizes[:-1]))
        return np.ascontiguousarray(values.astype(np.int64) + starts, dtype=np.uint32)

    def segment(
        self,
        actions: npt.NDArray[np.uint32],
        offsets: npt.NDArray[np.int64],
        seeds: npt.NDArray[np.uint64] | None = None,
    ) -> Sequences:
        """Merge the features of histories, in the order of the learned merges.

        Args:
            actions: uint32 (n, features), the features of the items of all histories, as tokens.
            offsets: int64 (m + 1,), the first action of each history and, at the end, their number.
            seeds: uint64 (m,): shuffle the features of each item first, by their set, the item's position and
                the history's seed. Without seeds they keep their order.

        Returns:
            The tokens of each history, one row each.
        """
        if seeds is not None:
            actions = shuffle_actions(actions, offsets, seeds)
        width = len(self.sizes)
        flat = np.ascontiguousarray(actions).ravel()
        tokens, ends = segment_pieces(flat, offsets * width, self.merges, self.base)
        return Sequences(tokens.astype(np.int32), ends)

    def expand(self, tokens: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """Return the single features, int32 (n,), of tokens, integers (m,), in their order.

        Raises:
            DataError: if a token does not exist.
        """
        given = np.asarray(tokens)
        if given.ndim != 1 or given.dtype.kind not in "iu" or not ((given >= 0) & (given < len(self))).all():
            raise DataError(
                f"tokens are invalid: expected integers (n,) below {len(self)}, got {given.dtype} "
                f"{given.shape}."
            )
        found: list[int] = []
        stack = given[::-1].tolist()
        while stack:
            token = stack.pop()
            if token < self.base:
                found.append(token)
            else:
                stack += self.merges[token - self.base].tolist()[::-1]
        return np.array(found, np.int32)
