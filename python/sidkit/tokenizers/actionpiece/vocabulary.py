"""The tokens of which histories are made: values of features, and what is merged of them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidkit import _core
from sidkit.data import Sequences
from sidkit.errors import DataError

__all__ = ["PieceVocabulary"]


class PieceVocabulary:
    """What `ActionPiece` has learned, and all that is needed to read histories with it.

    Value v of feature f is the token v + the number of values of the features before f; merge k makes the
    token `base + k`.

    Args:
        sizes: how many values each feature has.
        merges: integers (merges, 2), the two tokens of which each further one is made.

    Attributes:
        sizes: the same, a tuple.
        merges: the same, uint32.

    Raises:
        DataError: if a feature has no value, or a merge is of a token that is not made before it, or there
            twice.
    """

    def __init__(self, sizes: Sequence[int], merges: npt.ArrayLike) -> None:
        self.sizes = tuple(int(size) for size in sizes)
        if any(size < 1 for size in self.sizes):
            raise DataError(f"every feature has a value at least, but the sizes are {self.sizes}")
        pairs = np.asarray(merges)
        if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
            raise DataError(f"merges must be integers (merges, 2), not {pairs.dtype} {pairs.shape}")
        made = np.arange(self.base, self.base + len(pairs))[:, None]
        if ((pairs < 0) | (pairs >= made)).any():
            raise DataError("a token is made of one that comes after it")
        self.merges: npt.NDArray[np.uint32] = np.ascontiguousarray(pairs, np.uint32)
        if len(np.unique(np.sort(self.merges, axis=1), axis=0)) < len(pairs):
            raise DataError("two tokens are made of the same two")

    @property
    def base(self) -> int:
        """The number of tokens that are single features: those below it."""
        return sum(self.sizes)

    def __len__(self) -> int:
        """The number of tokens."""
        return self.base + len(self.merges)

    def tokens(self, features: npt.ArrayLike) -> npt.NDArray[np.uint32]:
        """Turn values of features, integers (n, features), into tokens, uint32 of that shape.

        Raises:
            DataError: if there are other features, or a value is not one of its feature.
        """
        values = np.asarray(features)
        if values.ndim != 2 or values.dtype.kind not in "iu" or values.shape[1] != len(self.sizes):
            raise DataError(
                f"features must be integers (n, {len(self.sizes)}), not {values.dtype} {values.shape}"
            )
        if ((values < 0) | (values >= np.array(self.sizes))).any():
            raise DataError(f"a feature has a value beyond its sizes, {self.sizes}")
        starts = np.cumsum((0, *self.sizes[:-1]))
        return np.ascontiguousarray(values.astype(np.int64) + starts, dtype=np.uint32)

    def segment(
        self,
        actions: npt.NDArray[np.uint32],
        offsets: npt.NDArray[np.int64],
        seeds: npt.NDArray[np.uint64] | None = None,
    ) -> Sequences:
        """Merge the features of histories, the earliest learned merge first.

        Args:
            actions: uint32 (n, features), the features of the items of all histories, as tokens.
            offsets: int64 (m + 1,), the first action of each history and, at the end, their number.
            seeds: uint64 (m,): the features of each item are put in a random order first, which depends on
                the set of them, the item's place and the history's seed alone. Without seeds they keep their
                order.

        Returns:
            The tokens of each history, a row each.
        """
        if seeds is not None:
            actions = _core.shuffle_actions(actions, offsets, seeds)
        width = len(self.sizes)
        flat = np.ascontiguousarray(actions).ravel()
        tokens, ends = _core.segment_pieces(flat, offsets * width, self.merges, self.base)
        return Sequences(tokens.astype(np.int32), ends)

    def expand(self, tokens: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """The single features, int32 (n,), that tokens, integers (m,), are made of, in their order.

        Raises:
            DataError: if there is no such token.
        """
        given = np.asarray(tokens)
        if given.ndim != 1 or given.dtype.kind not in "iu" or not ((given >= 0) & (given < len(self))).all():
            raise DataError(
                f"tokens must be integers (n,) below {len(self)}, not {given.dtype} {given.shape}"
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
