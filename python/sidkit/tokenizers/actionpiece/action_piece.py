"""ActionPiece: context-dependent tokens of histories."""

import os
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Bounds, check_argument, checked
from sidkit._core import learn_pieces
from sidkit._params import Parameters
from sidkit.data import Sequences
from sidkit.data.sequences import check_sequences
from sidkit.errors import ConfigError, DataError, FormatError, NotFittedError
from sidkit.tokenizers.actionpiece.vocabulary import MergedVocabulary
from sidkit.tokenizers.parts.files import read_arrays, take, write_arrays

__all__ = ["ActionPiece"]

_NAME = "sidkit.action-piece"
_MOST_TOKENS = 1 << 31

Tokens = npt.NDArray[np.int32]

#: Largest number of encodings of an ensemble.
_MOST_ENCODINGS = 65535


class ActionPiece(Parameters):
    """Tokenizer of histories: the tokens of an item depend on its neighbours (Hou et al., ICML 2025).

    An item is an unordered set of features, such as its codes of `PQ`. Features that often occur together, in
    one item or in two consecutive ones, are merged into a new token, repeatedly, as in byte pair encoding.
    Two features of a set of m count 2/m, two of consecutive sets of m and n features 1/(mn): the probability
    that they are adjacent in random order. The same action has different tokens in different contexts, and
    histories become shorter.

    It is not a `Tokenizer`, since an item alone has no codes.

    Args:
        vocabulary_size: maximum number of tokens: features and merged tokens.

    Attributes:
        vocabulary_: the `MergedVocabulary`, which encodes histories of features.
        features_: uint32 (items, features), the features of every item as tokens.
    """

    def __init__(self, vocabulary_size: int = 40_000) -> None:
        check_argument("vocabulary_size", vocabulary_size, Annotated[int, Bounds(ge=1, le=_MOST_TOKENS)])
        self.vocabulary_size = vocabulary_size
        self.vocabulary_ = MergedVocabulary((), np.zeros((0, 2), np.uint32))
        self.features_: npt.NDArray[np.uint32] = np.zeros((0, 0), np.uint32)

    @property
    def feature_sizes_(self) -> tuple[int, ...]:
        """Number of values of each feature."""
        return self.vocabulary_.sizes

    @property
    def merges_(self) -> npt.NDArray[np.uint32]:
        """The two tokens that each merged token consists of, uint32 (merges, 2)."""
        return self.vocabulary_.merges

    @property
    def base(self) -> int:
        """Number of tokens that are single features; merged tokens follow them."""
        return self.vocabulary_.base

    def __len__(self) -> int:
        """Number of tokens."""
        return len(self.vocabulary_)

    @checked
    def fit(
        self, histories: Sequences, features: npt.ArrayLike, feature_sizes: Sequence[int] | None = None
    ) -> "ActionPiece":
        """Learn the merged tokens.

        Args:
            histories: histories of item rows, oldest first: `split.train`, never events of validation or
                test.
            features: integers (items, features), each from 0; value v of feature f is the token v + the
                number of values of the features before f. Items with equal features are the same to a model;
                add a distinguishing feature.
            feature_sizes: number of values of each feature, including those of later items; by default the
                values that occur.

        Returns:
            The tokenizer itself.

        Raises:
            DataError: if features are not such an array or exceed `feature_sizes`, or a history contains an
                item without features.
            ConfigError: if the features alone have more values than the vocabulary.
        """
        values = np.asarray(features)
        if values.ndim != 2 or values.dtype.kind not in "iu" or not values.size or values.min() < 0:
            raise DataError(
                "features are invalid: expected integers >= 0, (items, features) with at least one of each, "
                f"got {values.dtype} {values.shape}."
            )
        sizes = (values.max(axis=0).astype(np.int64) + 1).tolist() if feature_sizes is None else feature_sizes
        if sum(sizes) > self.vocabulary_size:
            raise ConfigError(
                f"`vocabulary_size` is too small: expected at least {sum(sizes)}, the number of feature "
                f"values, got {self.vocabulary_size}."
            )
        tokens = MergedVocabulary(sizes, np.zeros((0, 2), np.uint32)).tokens(values)
        actions = tokens[_checked_items(histories, len(tokens))]
        merges = learn_pieces(actions, histories.offsets, sum(sizes), self.vocabulary_size - sum(sizes))
        self.features_, self.vocabulary_ = tokens, MergedVocabulary(sizes, merges)
        return self

    @checked
    def encode(self, history: npt.ArrayLike, rng: np.random.Generator | None = None) -> Tokens:
        """Return the tokens, int32 (n,), of one history of item rows (m,), oldest first.

        The features of each item are shuffled, then merged in the order of the learned merges (set
        permutation regularization), so that a model receives different tokens of a history in every epoch.
        Without `rng`, features keep their order.

        Raises:
            NotFittedError: before `fit`.
            DataError: if an item has no features.
        """
        return self.encode_all(Sequences.from_rows([np.asarray(history).tolist()]), rng).values

    @checked
    def encode_all(self, histories: Sequences, rng: np.random.Generator | None = None) -> Sequences:
        """Return the tokens of many histories, one row each; see `encode`.

        Raises:
            NotFittedError: before `fit`.
            DataError: if an item has no features.
        """
        self._check_fitted()
        actions = self.features_[_checked_items(histories, len(self.features_))]
        seeds = None
        if rng is not None:
            seeds = rng.integers(1 << 64, size=len(histories), dtype=np.uint64)
        return self.vocabulary_.segment(actions, histories.offsets, seeds)

    @checked
    def ensemble(self, history: npt.ArrayLike, count: int, rng: np.random.Generator) -> list[Tokens]:
        """Return several encodings of one history, int32 (n,) each, over which a model averages scores.

        Raises:
            ConfigError: if `count` is not in 1..65535.
            NotFittedError, DataError: as for `encode`.
        """
        check_argument("count", count, Annotated[int, Bounds(ge=1, le=_MOST_ENCODINGS)])
        return [self.encode(history, rng) for _ in range(count)]

    @checked
    def expand(self, tokens: npt.ArrayLike) -> Tokens:
        """Return the single features, int32 (n,), of tokens, integers (m,), in their order.

        Raises:
            NotFittedError: before `fit`.
            DataError: if a token does not exist.
        """
        self._check_fitted()
        return self.vocabulary_.expand(tokens)

    @checked
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer to a safetensors file, atomically.

        Raises:
            NotFittedError: before `fit`.
        """
        self._check_fitted()
        described = {
            "vocabulary": self.vocabulary_size,
            "sizes": list(self.feature_sizes_),
            "items": len(self.features_),
            "merges": len(self.merges_),
        }
        write_arrays(path, _NAME, described, {"features": self.features_, "merges": self.merges_})

    @classmethod
    @checked
    def load(cls, path: str | os.PathLike[str]) -> "ActionPiece":
        """Read what `save` wrote. Nothing is unpickled.

        Raises:
            FileNotFoundError: if there is no such file.
            FormatError: if the file is truncated, foreign or damaged.
        """
        described, state = read_arrays(path, _NAME)
        numbers: list[Any] = [described.get(name) for name in ("vocabulary", "items", "merges")]
        sizes = described.get("sizes")
        whole = isinstance(sizes, list) and bool(sizes) and all(type(size) is int for size in sizes)
        if not whole or any(type(number) is not int or number < 0 for number in numbers):
            raise FormatError(f"{path} is damaged: expected integers in its description, got {described!r}.")
        tokenizer = cls(numbers[0])
        tokenizer.features_ = take(state, "features", (numbers[1], len(sizes or ())), np.uint32)
        try:
            tokenizer.vocabulary_ = MergedVocabulary(
                sizes or (), take(state, "merges", (numbers[2], 2), np.uint32)
            )
        except DataError as error:
            raise FormatError(f"{path} is damaged: {error}") from error
        if (tokenizer.features_ >= tokenizer.base).any():
            raise FormatError(
                f"{path} is damaged: expected features below {tokenizer.base}, got "
                f"{tokenizer.features_.max()}."
            )
        return tokenizer

    def _check_fitted(self) -> None:
        if not self.feature_sizes_:
            raise NotFittedError("this ActionPiece is not fitted. Call fit(histories, features) first.")


def _checked_items(histories: Sequences, items: int) -> npt.NDArray[np.int32]:
    """Return the item rows of histories, or raise DataError if one has no features."""
    values = check_sequences("histories", histories).values
    if len(values) and values.max() >= items:
        raise DataError(
            f"an item has no features: expected item rows below {items}, got {values.max()} in a history."
        )
    return values
