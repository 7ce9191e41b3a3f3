"""Pieces: frequent runs of tokens of any length, learned from the Semantic IDs of a catalogue."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._arguments import checked
from sidkit._core import SidLayout, segment_pieces
from sidkit._extras import require
from sidkit.errors import ConfigError, FormatError, NotFittedError
from sidkit.ids.collisions import check_codes

__all__ = ["Pieces"]

# Every pair of level and token is one character of the private-use planes of Unicode.
FIRST_CHARACTER = 0xF0000
CHARACTERS = 0x10FFFE - FIRST_CHARACTER


@checked
class Pieces:
    """Vocabulary of token runs: frequent runs are one piece, rare runs several.

    This is the SentencePiece variant of arXiv 2306.08121 (section on adaptation): popular and dense regions
    of the catalogue get long pieces with separate embeddings. The `tokenizers` library learns the byte-pair
    merges, the Rust core applies them. Tokens of different levels are different symbols.

    Args:
        layout: the layout of the Semantic IDs; the sum of its sizes is the number of base symbols.
        pieces: size of the vocabulary, base symbols included.

    Raises:
        ConfigError: if `pieces` is less than the number of base symbols, or there are too many of these.
        MissingExtraError: if `tokenizers` is not installed.
    """

    def __init__(self, layout: SidLayout, pieces: int) -> None:
        symbols = sum(layout.sizes)
        if symbols > CHARACTERS:
            raise ConfigError(
                f"layout with too many base symbols: expected at most {CHARACTERS:,}, got {symbols:,}"
            )
        if pieces < symbols:
            raise ConfigError(
                f"vocabulary too small: expected at least {symbols:,} pieces, one for every token of every "
                f"level, got {pieces:,}"
            )
        self.layout, self.pieces = layout, pieces
        self._first = FIRST_CHARACTER + np.concatenate([[0], np.cumsum(layout.sizes)[:-1]])
        self._tokenizer: Any = None
        self._merges = np.zeros((0, 2), np.uint32)
        self._numbers = np.zeros(0, np.int64)  # piece number of each symbol and merge

    def fit(self, codes: npt.NDArray[np.uint16]) -> Pieces:
        """Learn the pieces from Semantic IDs.

        Args:
            codes: uint16 (n, levels), the tokens; repeated rows count repeatedly.

        Raises:
            DataError: if a token is not in the layout.
        """
        library = require("tokenizers", extra="ranking")
        alphabet = [chr(FIRST_CHARACTER + symbol) for symbol in range(sum(self.layout.sizes))]
        self._tokenizer = library.Tokenizer(library.models.BPE())
        trainer = library.trainers.BpeTrainer(
            vocab_size=self.pieces,
            initial_alphabet=alphabet,
            limit_alphabet=len(alphabet),
            show_progress=False,
        )
        self._tokenizer.train_from_iterator(self._texts(codes), trainer)
        self._prepare()
        return self

    def encode(self, codes: npt.NDArray[np.uint16]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Segment Semantic IDs into pieces.

        Args:
            codes: uint16 (n, levels), the tokens.

        Returns:
            The piece numbers, int64 (total,), each below `pieces`, and the offsets of the items, int64
            (n + 1,).

        Raises:
            NotFittedError: if `fit` was not called.
            DataError: if a token is not in the layout.
        """
        if self._tokenizer is None:
            raise NotFittedError("no pieces learned yet. Call `fit` with the tokens of the catalogue first")
        codes = check_codes(codes, self.layout.sizes)
        symbols = (codes + (self._first - FIRST_CHARACTER)).astype(np.uint32)
        starts = np.arange(len(codes) + 1, dtype=np.int64) * len(self.layout.sizes)
        found, offsets = segment_pieces(symbols.ravel(), starts, self._merges, sum(self.layout.sizes))
        return self._numbers[found], offsets

    def runs(self) -> list[tuple[int, tuple[int, ...]]]:
        """List the pieces by number, each with its first level and its tokens.

        Raises:
            NotFittedError: if `fit` was not called.
        """
        if self._tokenizer is None:
            raise NotFittedError("no pieces learned yet. Call `fit` with the tokens of the catalogue first")
        vocabulary = sorted(self._tokenizer.get_vocab().items(), key=lambda item: item[1])
        return [self._run(text) for text, _ in vocabulary]

    def to_json(self) -> str:
        """Return JSON text for `from_json`."""
        trained = None if self._tokenizer is None else json.loads(self._tokenizer.to_str())
        return json.dumps({"sizes": list(self.layout.sizes), "pieces": self.pieces, "tokenizer": trained})

    @classmethod
    def from_json(cls, text: str) -> Pieces:
        """Build pieces from the output of `to_json`.

        Raises:
            FormatError: if the text is not that of `Pieces`.
        """
        library = require("tokenizers", extra="ranking")
        try:
            stored = json.loads(text)
            made = cls(SidLayout(stored["sizes"]), stored["pieces"])
            if stored["tokenizer"] is not None:
                made._tokenizer = library.Tokenizer.from_str(json.dumps(stored["tokenizer"]))
                made._prepare()
        except Exception as error:  # tokenizers raises bare exceptions
            raise FormatError(f"not the JSON of `Pieces.to_json`: {error}") from error
        return made

    def _prepare(self) -> None:
        """Convert the merges of the trained tokenizer for the core.

        Two merges can make the same run, `ab` + `c` and `a` + `bc`. The core gives them different tokens, so
        further merges are duplicated for both. No run occurs twice in a Semantic ID, so the order of such
        merges does not matter.
        """
        model = json.loads(self._tokenizer.to_str())["model"]
        vocabulary = model["vocab"]
        texts = [chr(FIRST_CHARACTER + symbol) for symbol in range(sum(self.layout.sizes))]
        tokens = {text: [token] for token, text in enumerate(texts)}
        merges: list[tuple[int, int]] = []
        for merge in model["merges"]:
            left, right = merge.split(" ") if isinstance(merge, str) else merge
            for one, other in itertools.product(tokens[left], tokens[right]):
                tokens.setdefault(left + right, []).append(len(texts))
                merges.append((one, other))
                texts.append(left + right)
        self._merges = np.array(merges, np.uint32).reshape(-1, 2)
        self._numbers = np.array([vocabulary[text] for text in texts], np.int64)

    def _texts(self, codes: npt.NDArray[np.uint16]) -> Iterable[str]:
        codes = check_codes(codes, self.layout.sizes)
        for row in (codes + self._first).tolist():
            yield "".join(map(chr, row))

    def _run(self, text: str) -> tuple[int, tuple[int, ...]]:
        symbols = np.array([ord(character) for character in text])
        level = int(np.searchsorted(self._first, symbols[0], side="right")) - 1
        return level, tuple(int(each) for each in symbols - self._first[level : level + len(symbols)])
