"""ActionPiece: pieces of histories instead of codes of items."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._core import learn_pieces
from sidkit.data import Sequences
from sidkit.data.sequences import check_sequences
from sidkit.errors import ConfigError, DataError, FormatError, NotFittedError
from sidkit.tokenizers.actionpiece.vocabulary import PieceVocabulary
from sidkit.tokenizers.parts.files import read_arrays, take, write_arrays

__all__ = ["ActionPiece"]

_NAME = "sidkit.action-piece"
_MOST_TOKENS = 1 << 31

Tokens = npt.NDArray[np.int32]


class ActionPiece:
    """A tokenizer of histories, in which an item's tokens depend on its neighbours (Hou et al., ICML 2025).

    An item is an unordered set of features, such as its codes of `PQ`. Features that often come together, in
    one item or in two that follow each other, are merged into a new token, and so on, as byte pair encoding
    does with letters: two features of a set of m count 2/m, two of neighbouring sets of m and n features
    1/(mn), for so likely are they adjacent when sets are put in random order. The same action has other
    tokens in another context, and histories become shorter.

    It is no `Tokenizer`: there are no codes of an item alone.

    Args:
        vocabulary: tokens in all, at most: features, and what is merged of them.

    Attributes:
        pieces_: the `PieceVocabulary`, which reads histories given as features.
        features_: uint32 (items, features), the features of every item as tokens.
    """

    def __init__(self, vocabulary: int = 40_000) -> None:
        if not 1 <= vocabulary <= _MOST_TOKENS:
            raise ConfigError(f"vocabulary must be in 1..{_MOST_TOKENS}, not {vocabulary}")
        self.vocabulary = vocabulary
        self.pieces_ = PieceVocabulary((), np.zeros((0, 2), np.uint32))
        self.features_: npt.NDArray[np.uint32] = np.zeros((0, 0), np.uint32)

    def __repr__(self) -> str:
        return f"ActionPiece({self.vocabulary})"

    @property
    def sizes_(self) -> tuple[int, ...]:
        """How many values each feature has."""
        return self.pieces_.sizes

    @property
    def merges_(self) -> npt.NDArray[np.uint32]:
        """The two tokens of which each further token is made, uint32 (merges, 2)."""
        return self.pieces_.merges

    @property
    def base(self) -> int:
        """The number of tokens that are single features: those below it."""
        return self.pieces_.base

    def __len__(self) -> int:
        """The number of tokens."""
        return len(self.pieces_)

    def fit(
        self, histories: Sequences, features: npt.ArrayLike, sizes: Sequence[int] | None = None
    ) -> "ActionPiece":
        """Learn what to merge.

        Args:
            histories: rows of item indices, oldest first: `split.train`, never events of validation or test.
            features: integers (items, features), each from 0; value v of feature f is the token v + the
                number of values of the features before f. Give items that would be equal a feature that
                tells them apart, or they are the same to a model.
            sizes: how many values each feature may have, those of later items included; as many as occur if
                not given.

        Returns:
            The tokenizer itself.

        Raises:
            DataError: if features are no such array or beyond `sizes`, or a history holds an item without
                features.
            ConfigError: if the features alone have more values than the vocabulary has room for.
        """
        values = np.asarray(features)
        if values.ndim != 2 or values.dtype.kind not in "iu" or not values.size or values.min() < 0:
            raise DataError(
                "features must be integers (items, features) of at least 0, some of each, "
                f"not {values.dtype} {values.shape}"
            )
        if sizes is None:
            sizes = (values.max(axis=0).astype(np.int64) + 1).tolist()
        if sum(sizes) > self.vocabulary:
            raise ConfigError(
                f"vocabulary must be at least {sum(sizes)}, since features have so many values, "
                f"not {self.vocabulary}"
            )
        tokens = PieceVocabulary(sizes, np.zeros((0, 2), np.uint32)).tokens(values)
        actions = tokens[_checked(histories, len(tokens))]
        merges = learn_pieces(actions, histories.offsets, sum(sizes), self.vocabulary - sum(sizes))
        self.features_, self.pieces_ = tokens, PieceVocabulary(sizes, merges)
        return self

    def encode(self, history: npt.ArrayLike, rng: np.random.Generator | None = None) -> Tokens:
        """Tokens, int32 (n,), of one history, item indices (m,), oldest first.

        Each item's features are put in random order, then merged by the learned merges in their order (set
        permutation regularization): give a model other tokens of a history in every epoch. Without `rng`,
        features keep their order.

        Raises:
            NotFittedError: before `fit`.
            DataError: if an item has no features.
        """
        return self.encode_all(Sequences.from_rows([np.asarray(history).tolist()]), rng).values

    def encode_all(self, histories: Sequences, rng: np.random.Generator | None = None) -> Sequences:
        """Tokens of many histories, a row each; see `encode`.

        Raises:
            NotFittedError: before `fit`.
            DataError: if an item has no features.
        """
        self._check_fitted()
        actions = self.features_[_checked(histories, len(self.features_))]
        seeds = None
        if rng is not None:
            seeds = rng.integers(1 << 64, size=len(histories), dtype=np.uint64)
        return self.pieces_.segment(actions, histories.offsets, seeds)

    def ensemble(self, history: npt.ArrayLike, count: int, rng: np.random.Generator) -> list[Tokens]:
        """Several encodings of one history, int32 (n,) each, for a model whose scores are then averaged.

        Raises:
            ConfigError: if `count` is less than 1.
            NotFittedError, DataError: as of `encode`.
        """
        if count < 1:
            raise ConfigError(f"count must be at least 1, not {count}")
        return [self.encode(history, rng) for _ in range(count)]

    def expand(self, tokens: npt.ArrayLike) -> Tokens:
        """The single features, int32 (n,), that tokens, integers (m,), are made of, in their order.

        Raises:
            NotFittedError: before `fit`.
            DataError: if there is no such token.
        """
        self._check_fitted()
        return self.pieces_.expand(tokens)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer to a safetensors file, whole or not at all.

        Raises:
            NotFittedError: before `fit`.
        """
        self._check_fitted()
        described = {"vocabulary": self.vocabulary, "sizes": list(self.sizes_), "items": len(self.features_)}
        described["merges"] = len(self.merges_)
        write_arrays(path, _NAME, described, {"features": self.features_, "merges": self.merges_})

    @classmethod
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
            raise FormatError(f"{path} has no valid description: {described!r}")
        tokenizer = cls(numbers[0])
        tokenizer.features_ = take(state, "features", (numbers[1], len(sizes or ())), np.uint32)
        try:
            tokenizer.pieces_ = PieceVocabulary(
                sizes or (), take(state, "merges", (numbers[2], 2), np.uint32)
            )
        except DataError as error:
            raise FormatError(f"{path} is damaged: {error}") from error
        if (tokenizer.features_ >= tokenizer.base).any():
            raise FormatError(f"{path} is damaged: an item has a feature that no token stands for")
        return tokenizer

    def _check_fitted(self) -> None:
        if not self.sizes_:
            raise NotFittedError(
                "this ActionPiece has no tokens yet; hint: call fit(histories, features) first"
            )


def _checked(histories: Sequences, items: int) -> npt.NDArray[np.int32]:
    """The items of histories, or DataError if one has no features."""
    values = check_sequences("histories", histories).values
    if len(values) and values.max() >= items:
        raise DataError(f"features are of {items} items, but a history holds item {values.max()}")
    return values
