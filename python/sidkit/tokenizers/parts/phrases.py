"""Phrases of a few words, one per text, distinct as far as the texts allow."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations, islice

from sidkit.errors import DataError

__all__ = ["check_texts", "distinct_phrases", "vocabulary"]

_WORD = re.compile(r"[^\W_]{2,}")
#: Maximum number of word combinations tried for a text before it shares the phrase of another.
_TRIES = 400


def check_texts(texts: Sequence[str], count: int) -> None:
    """Raise DataError unless there are `count` texts, all strings."""
    if len(texts) != count:
        raise DataError(
            f"texts do not fit the vectors: expected {count} texts, one per vector, got {len(texts)}."
        )
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(
                f"texts are invalid: expected strings, got {text!r} in row {row}. "
                'Use "" for items without text.'
            )


def words_of(text: str) -> list[str]:
    """List the words of two or more letters or numerals, in lower case."""
    return _WORD.findall(text.lower())


def vocabulary(texts: Sequence[str], size: int) -> list[str]:
    """List the words in most texts, at most `size`, by descending frequency, then alphabetically."""
    counts = Counter(word for text in texts for word in set(words_of(text)))
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return ordered[:size]


def distinct_phrases(texts: Sequence[str], words: Sequence[str], length: int) -> list[tuple[int, ...]]:
    """Choose the phrase of each text: positions in `words` of at most `length` of the text's words.

    The words of a text are ranked by TF-IDF (Sparck Jones, 1972). Texts are processed in order. Each gets the
    highest-ranked combination of `length` words that no earlier text has; the last word is replaced first,
    then the one before, and so on. Within a phrase, words in more texts come first, so that phrases form a
    tree from general to specific. Two texts share a phrase only if the alternatives are exhausted, and a
    phrase is empty if no word of the text is in `words`.
    """
    numbers = {word: number for number, word in enumerate(words)}
    counted = [Counter(numbers[word] for word in words_of(text) if word in numbers) for text in texts]
    spread = Counter(number for counts in counted for number in counts)
    taken: set[tuple[int, ...]] = set()
    phrases = []
    for counts in counted:
        scores = {
            number: count * math.log((1 + len(texts)) / (1 + spread[number]))
            for number, count in counts.items()
        }
        ranked = sorted(scores, key=lambda number: (-scores[number], number))
        best: tuple[int, ...] | None = None
        for chosen in islice(_choices(ranked, length), _TRIES):
            phrase = tuple(sorted(chosen, key=lambda number: (-spread[number], number)))
            best = phrase if best is None else best
            if phrase not in taken:
                best = phrase
                break
        phrases.append(best or ())
        taken.add(phrases[-1])
    return phrases


def _choices(ranked: Sequence[int], length: int) -> Iterator[tuple[int, ...]]:
    """Yield combinations of words in the order in which they are tried; shorter ones last."""
    for size in range(min(length, len(ranked)), 0, -1):
        yield from combinations(ranked, size)
