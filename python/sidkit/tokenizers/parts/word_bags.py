"""Bags of weighted terms: the words and word pairs of texts."""

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
    """One bag of terms per text, in CSR form.

    Attributes:
        starts: int64 (n + 1,), starts of the bags; bag k is `terms[starts[k]:starts[k + 1]]`.
        terms: int64 (sum of sizes,), numbers of terms, ascending within a bag.
        weights: float32, same shape; the weights of a bag sum to 1.
    """

    starts: npt.NDArray[np.int64]
    terms: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def dense(self, rows: npt.NDArray[np.intp], width: int) -> npt.NDArray[np.float32]:
        """Return the bags of some rows, float32 (len(rows), width); empty bags are 0."""
        sizes = self.starts[rows + 1] - self.starts[rows]
        into = np.repeat(np.arange(len(rows)), sizes)
        # Start of each bag, minus the total size of the bags before it in `into`.
        shift = np.repeat(self.starts[rows] - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
        places = np.arange(len(into)) + shift
        found = np.zeros((len(rows), width), np.float32)
        found[into, self.terms[places]] = self.weights[places]
        return found


class Terms:
    """Vocabulary of terms with inverse document frequencies (Sparck Jones, 1972).

    Args:
        names: the terms; the words of a pair are separated by a space.
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
        """Select the terms in most texts, at most `most`, by descending frequency, then alphabetically.

        Terms in a single text and terms in every text are left out, since neither separates groups of texts.
        """
        counts = Counter(term for text in texts for term in set(terms_of(text)))
        shared = [term for term, count in counts.items() if 1 < count < len(texts)]
        chosen = sorted(shared, key=lambda term: (-counts[term], term))[:most]
        weights = [math.log((1 + len(texts)) / (1 + counts[term])) for term in chosen]
        return cls(chosen, np.array(weights, np.float32))

    def bags(self, texts: Sequence[str]) -> Bags:
        """Return the bag of each text; a term counts once per text."""
        starts, terms = [0], []
        for text in texts:
            terms += sorted({self._numbers[term] for term in terms_of(text) if term in self._numbers})
            starts.append(len(terms))
        bounds, numbers = np.array(starts, np.int64), np.array(terms, np.int64)
        sums = np.repeat(_sums(self.weights[numbers], bounds), np.diff(bounds))
        return Bags(bounds, numbers, (self.weights[numbers] / sums).astype(np.float32))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the terms as named arrays."""
        return {"vocabulary": written_lines(self.names), "idf": self.weights}

    @classmethod
    def restore(cls, state: Mapping[str, npt.NDArray[Any]]) -> "Terms":
        """Restore the terms that `state` returned, or raise FormatError or ConfigError."""
        names = read_lines(state, "vocabulary")
        return cls(names, take(state, "idf", (len(names),)))


def terms_of(text: str) -> list[str]:
    """List the words of a text and the pairs of consecutive words, with repetitions."""
    words = words_of(text)
    return words + [f"{first} {second}" for first, second in pairwise(words)]


def written_lines(names: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Encode names without line breaks as bytes, one per line."""
    return np.frombuffer("".join(f"{name}\n" for name in names).encode(), np.uint8)


def read_lines(state: Mapping[str, npt.NDArray[Any]], name: str) -> list[str]:
    """Decode the 1 to 65,535 names that `written_lines` encoded.

    Raises:
        FormatError: if the array is missing or not text.
        ConfigError: if the number of lines is out of range, or the last line is incomplete.
    """
    written = state.get(name)
    if written is None or written.dtype != np.uint8 or written.ndim != 1:
        raise FormatError(f"the array `{name}` is missing or invalid: expected uint8 (bytes,).")
    try:
        text = written.tobytes().decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"the array `{name}` is invalid: expected UTF-8 text, got: {error}") from error
    names = text.split("\n")[:-1]
    if not text.endswith("\n") or not 1 <= len(names) <= 65535:
        raise ConfigError(
            f"the array `{name}` is invalid: expected 1 to 65535 complete lines, got {len(names)}."
        )
    return names


def _sums(values: npt.NDArray[np.float32], bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    running = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    summed: npt.NDArray[np.float64] = running[bounds[1:]] - running[bounds[:-1]]
    return summed
