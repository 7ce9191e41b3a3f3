"""Semantic IDs made of words."""

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidkit.errors import ConfigError, DataError, NotFittedError
from sidkit.tokenizers.base import Progress, State, Vectors, check_sizes
from sidkit.tokenizers.parts.checks import check_counts_or_none
from sidkit.tokenizers.parts.lookup import LookupTokenizer
from sidkit.tokenizers.parts.phrases import check_texts, distinct_phrases, vocabulary
from sidkit.tokenizers.parts.word_bags import read_lines, written_lines

__all__ = ["WordTokenizer"]


class WordTokenizer(LookupTokenizer):
    """Codes that are words: each item has a phrase of its own, made of its text.

    The idea of textual IDs, as IDGenRec has it (Tan et al., 2024); there a language model writes the
    phrases, here they are the item's words of highest TF-IDF, chosen so that no two items have the same as
    far as their texts allow, the more common words first (`distinct_phrases`).

    A code is the number of a word, the same at every level, so the tokens stand for themselves beside a text
    model's vocabulary, and tries, packing and generators take them as any others. A phrase with fewer words
    ends in 0, which is no word. Four levels of 4,096 words are 48 bits; up to 128 bits are packed in two
    words.

    A vector that was not among those of `fit` has the phrase of the nearest one.

    Args:
        levels: words per item, at most.
        codebook_size: the words of the vocabulary, which are those that most items have, and 0 for none, at most.
        threads: at most; all cores if None. The codes do not depend on it.

    Attributes:
        vocabulary_: the words; code k is word k - 1.
    """

    method = "words"
    even = False
    codebook_size: int
    vocabulary_: list[str]
    _texts: Sequence[str] | None = None

    def __init__(self, levels: int = 4, codebook_size: int = 4096, *, threads: int | None = None) -> None:
        self.levels = len(check_sizes(levels, 1))
        self.codebook_size = codebook_size
        self.threads = threads
        if not isinstance(codebook_size, int) or not 2 <= codebook_size <= 65536:
            raise ConfigError(f"codebook_size of words must be an integer in 2..65536, not {codebook_size!r}")
        check_counts_or_none(self, "threads")
        self.vocabulary_ = []

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each level: of the words, after `fit`, and 0 for none."""
        return (len(self.vocabulary_) + 1,) * self.levels

    def fit(
        self,
        x: npt.ArrayLike,
        *,
        texts: Sequence[str] | None = None,
        progress: Progress | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> "WordTokenizer":
        """Make the phrases.

        Args:
            x: float (n, dim), content of the items, by which their phrases are found again.
            texts: of the items, n of them, such as `sidkit.embed.item_texts(items)`.
            progress: as of every tokenizer.
            checkpoint: as of every tokenizer.

        Returns:
            The tokenizer itself.

        Raises:
            DataError: if there are not as many texts as vectors, one is no string, or they hold no words.
        """
        self._texts = texts
        try:
            return super().fit(x, progress=progress, checkpoint=checkpoint)
        finally:
            self._texts = None

    def _fit(self, x: Vectors, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        if self._texts is None:
            raise DataError("phrases are made of words; hint: fit(x, texts=item_texts(items))")
        check_texts(self._texts, len(x))
        words = vocabulary(self._texts, self.codebook_size - 1)
        if not words:
            raise DataError(f"{len(x)} texts hold no words, of which phrases could be made")
        paths = np.zeros((len(x), self.levels), np.uint16)
        for row, phrase in enumerate(distinct_phrases(self._texts, words, self.levels)):
            paths[row, : len(phrase)] = np.array(phrase, np.int64) + 1
        self.vocabulary_ = words
        self._learn(x, np.arange(len(x)), paths)
        if progress is not None:
            progress(1, 1, {"words": float(len(words))})

    def phrases(self, codes: npt.ArrayLike) -> list[str]:
        """The words that codes, integers (n, levels), stand for, with spaces between them.

        Raises:
            NotFittedError: before `fit`.
            DataError: if a code is not that of a word.
        """
        if not self.vocabulary_:
            raise NotFittedError("this WordTokenizer has no words yet; hint: call fit(x, texts=...) first")
        array = np.asarray(codes)
        size = len(self.vocabulary_) + 1
        if array.ndim != 2 or array.dtype.kind not in "iu" or not ((array >= 0) & (array < size)).all():
            raise DataError(
                f"codes must be integers (n, levels) below {size}, not {array.dtype} {array.shape}"
            )
        return [" ".join(self.vocabulary_[code - 1] for code in row if code) for row in array.tolist()]

    def _state(self) -> State:
        return super()._state() | {"vocabulary": written_lines(self.vocabulary_)}

    def _restore(self, state: State, dim: int) -> None:
        self.vocabulary_ = read_lines(state, "vocabulary")
        super()._restore(state, dim)
