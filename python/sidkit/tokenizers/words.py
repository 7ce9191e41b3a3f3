"""Word codes: a short phrase from each item's own text."""

import os
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sidkit._arguments import checked, shown
from sidkit._progress import Progress
from sidkit._settings import Count, Depth
from sidkit.errors import ConfigError, DataError, NotFittedError
from sidkit.tokenizers.parts.arrays import State, Vectors
from sidkit.tokenizers.parts.checks import check_counts_or_none, check_sizes
from sidkit.tokenizers.parts.lookup import LookupTokenizer
from sidkit.tokenizers.parts.phrases import check_texts, distinct_phrases, vocabulary
from sidkit.tokenizers.parts.word_bags import read_lines, written_lines

__all__ = ["WordTokenizer"]


class WordTokenizer(LookupTokenizer):
    """Tokenizer whose codes are words: each item has a phrase from its own text.

    Textual IDs in the manner of IDGenRec (Tan et al., 2024), where a language model writes the phrases. Here
    a phrase consists of the item's words of highest TF-IDF, chosen so that phrases are distinct as far as the
    texts allow, with more common words first (`distinct_phrases`).

    A code is the number of a word, with the same meaning at every level. Tries, packing and generative models
    treat these codes as any others. A shorter phrase ends in 0, which is no word. Four levels of 4,096 words
    are 48 bits; layouts of up to 128 bits are packed in two 64-bit words.

    A new vector has the phrase of the nearest vector of `fit`.

    Args:
        levels: maximum number of words per item.
        codebook_size: maximum number of codes: the words that occur in most items, and 0 for no word.
        threads: maximum number of threads; None uses all cores. The codes do not depend on it.

    Attributes:
        vocabulary_: the words; code k is word k - 1. Empty before `fit`.
    """

    method = "words"
    expects_even_use = False
    codebook_size: int
    vocabulary_: Sequence[str] = ()
    _texts: Sequence[str] | None = None

    def __init__(
        self,
        levels: Depth = 4,
        codebook_size: Annotated[int, Field(ge=2, le=65536)] = 4096,
        *,
        threads: int | None = None,
    ) -> None:
        check_sizes(levels, 1)
        self.levels = levels
        self.codebook_size = codebook_size
        self.threads = threads
        if not isinstance(codebook_size, int) or not 2 <= codebook_size <= 65536:
            raise ConfigError(
                f"`codebook_size` of words is invalid: expected an integer in 2..65536, got "
                f"{shown(codebook_size)}."
            )
        check_counts_or_none(self, "threads")

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each level: after `fit`, the words and 0 for no word."""
        return (len(self.vocabulary_) + 1,) * self.levels

    @property
    def fit_inputs(self) -> tuple[str, ...]:
        """Item texts."""
        return ("texts",)

    @checked
    def fit(
        self,
        x: npt.ArrayLike,
        y: None = None,
        *,
        texts: Sequence[str] | None = None,
        progress: Progress | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> "WordTokenizer":
        """Build a phrase for each item.

        Args:
            x: float (n, dim), content vectors of the items, by which `encode` finds their phrases.
            y: ignored; present for scikit-learn pipelines.
            texts: n item texts, such as `sidkit.embed.item_texts(items)`.
            progress: see `Tokenizer.fit`.
            checkpoint: ignored.

        Returns:
            The tokenizer itself.

        Raises:
            DataError: if there is not one text per vector, one is not a string, or no text has a word.
        """
        self._texts = texts
        try:
            return super().fit(x, progress=progress, checkpoint=checkpoint)
        finally:
            self._texts = None

    def _fit(self, x: Vectors, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        if self._texts is None:
            raise DataError(
                "texts are missing: expected one per vector, got None. Call fit(x, texts=item_texts(items))."
            )
        check_texts(self._texts, len(x))
        words = vocabulary(self._texts, self.codebook_size - 1)
        if not words:
            raise DataError(
                f"the texts have no words: expected words of two or more letters, got none in {len(x)} texts."
            )
        paths = np.zeros((len(x), self.levels), np.uint16)
        for row, phrase in enumerate(distinct_phrases(self._texts, words, self.levels)):
            paths[row, : len(phrase)] = np.array(phrase, np.int64) + 1
        self.vocabulary_ = words
        self._store_paths(x, np.arange(len(x)), paths)
        if progress is not None:
            progress(1, 1, words=float(len(words)))

    @checked
    def phrases(self, codes: npt.ArrayLike) -> list[str]:
        """Return the words that codes, integers (n, levels), represent, separated by spaces.

        Raises:
            NotFittedError: before `fit`.
            DataError: if a code is not the number of a word.
        """
        if not self.vocabulary_:
            raise NotFittedError("this WordTokenizer is not fitted. Call fit(x, texts=...) first.")
        array = np.asarray(codes)
        size = len(self.vocabulary_) + 1
        if array.ndim != 2 or array.dtype.kind not in "iu" or not ((array >= 0) & (array < size)).all():
            raise DataError(
                f"codes are invalid: expected integers (n, levels) below {size}, got {array.dtype} "
                f"{array.shape}."
            )
        return [" ".join(self.vocabulary_[code - 1] for code in row if code) for row in array.tolist()]

    def _state(self) -> State:
        return super()._state() | {"vocabulary": written_lines(self.vocabulary_)}

    def _restore(self, state: State, dim: Count) -> None:
        self.vocabulary_ = read_lines(state, "vocabulary")
        super()._restore(state, dim)
