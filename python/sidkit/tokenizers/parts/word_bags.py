"""Texts as bags of weighted terms: words, and pairs of words that follow each other."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.errors import ConfigError, FormatError
from sidkit.tokenizers.parts.files import take
from sidkit.tokenizers.parts.phrases import words_of

__all__ = ["Bags", "Terms", "read_lines", "written_lines"]


@dataclass(frozen=True)
class Bags:
    """One bag of terms a text, row after row.

    Attributes:
        starts: int64 (n + 1,), where the bags begin; bag k is `terms[starts[k]:starts[k + 1]]`.
        terms: int64 (sum of sizes,), numbers of terms, ascending in a bag.
        weights: float32, the same shape; those of a bag sum to 1.
    """

    starts: npt.NDArray[np.int64]
    terms: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def dense(self, rows: npt.NDArray[np.intp], width: int) -> npt.NDArray[np.float32]:
        """The bags of some rows, float32 (len(rows), width); empty ones are 0."""
        sizes = self.starts[rows + 1] - self.starts[rows]
        into = np.repeat(np.arange(len(rows)), sizes)
        # The first place of each bag, minus the places that the bags before it take in `into`.
        shift = np.repeat(self.starts[rows] - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
        places = np.arange(len(into)) + shift
        found = np.zeros((len(rows), width), np.float32)
        found[into, self.terms[places]] = self.weights[places]
        return found


class Terms:
    """The terms that texts are told apart by, with weights: rarer ones say more (Sparck Jones, 1972).

    Args:
        names: of the terms; a pair of words has a space between them.
        weights: float32 (terms,), inverse document frequencies.
    """

    def __init__(self, names: Sequence[str], weights: npt.NDArray[np.float32]) -> None:
        self.names = list(names)
        self.weights = weights
        self._numbers = {name: number for number, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(cls, texts: Sequence[str], most: int) -> "Terms":
        """The terms that most texts have, at most `most`, most frequent first, then by the alphabet.

        A term of one text says nothing that texts share, and one of every text tells none apart: both are
        left out.
        """
        counts = Counter(term for text in texts for term in set(terms_of(text)))
        shared = [term for term, count in counts.items() if 1 < count < len(texts)]
        chosen = sorted(shared, key=lambda term: (-counts[term], term))[:most]
        weights = [math.log((1 + len(texts)) / (1 + counts[term])) for term in chosen]
        return cls(chosen, np.array(weights, np.float32))

    def bags(self, texts: Sequence[str]) -> Bags:
        """The bag of each text; a term counts once, however often the text has it."""
        starts, terms = [0], []
        for text in texts:
            terms += sorted({self._numbers[term] for term in terms_of(text) if term in self._numbers})
            starts.append(len(terms))
        bounds, numbers = np.array(starts, np.int64), np.array(terms, np.int64)
        sums = np.repeat(_sums(self.weights[numbers], bounds), np.diff(bounds))
        return Bags(bounds, numbers, (self.weights[numbers] / sums).astype(np.float32))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The terms as named arrays."""
        return {"vocabulary": written_lines(self.names), "idf": self.weights}

    @classmethod
    def restore(cls, state: Mapping[str, npt.NDArray[Any]]) -> "Terms":
        """The terms that `state` came from, or FormatError or ConfigError if they are not there."""
        names = read_lines(state, "vocabulary")
        return cls(names, take(state, "idf", (len(names),)))


def terms_of(text: str) -> list[str]:
    """Words of a text, and pairs of words that follow each other, as often as they occur."""
    words = words_of(text)
    return words + [f"{first} {second}" for first, second in pairwise(words)]


def written_lines(names: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Names without line breaks as bytes, one a line."""
    return np.frombuffer("".join(f"{name}\n" for name in names).encode(), np.uint8)


def read_lines(state: Mapping[str, npt.NDArray[Any]], name: str) -> list[str]:
    """The names, 1 to 65,535 of them, that `written_lines` wrote.

    Raises:
        FormatError: if the array is missing or no text.
        ConfigError: if it is not so many whole lines.
    """
    written = state.get(name)
    if written is None or written.dtype != np.uint8 or written.ndim != 1:
        raise FormatError(f"the file lacks the array `{name}`, which must be uint8 (bytes,)")
    try:
        text = written.tobytes().decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"the array `{name}` is not text: {error}") from error
    names = text.split("\n")[:-1]
    if not text.endswith("\n") or not 1 <= len(names) <= 65535:
        raise ConfigError(
            f"the array `{name}` must be 1 to 65535 lines, the last of which ends too, "
            f"but it has {len(names)}"
        )
    return names


def _sums(values: npt.NDArray[np.float32], bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    running = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    summed: npt.NDArray[np.float64] = running[bounds[1:]] - running[bounds[:-1]]
    return summed
