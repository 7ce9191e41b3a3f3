"""Phrases of a few words, one for each text, told apart as far as the texts allow."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations, islice

from sidkit.errors import DataError

__all__ = ["check_texts", "distinct_phrases", "vocabulary"]

_WORD = re.compile(r"[^\W_]{2,}")
#: Combinations of words that are tried for a text before it shares the phrase of another.
_TRIES = 400


def check_texts(texts: Sequence[str], count: int) -> None:
    """Raise DataError if there are not `count` texts, or one is something else."""
    if len(texts) != count:
        raise DataError(f"texts must have one for each of {count} vectors, but there are {len(texts)}")
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(
                f"texts must be strings, but that of row {row} is {text!r}; hint: an item without a text "
                'has ""'
            )


def words_of(text: str) -> list[str]:
    """Words of two or more letters or tokens, in small letters."""
    return _WORD.findall(text.lower())


def vocabulary(texts: Sequence[str], size: int) -> list[str]:
    """The words that most texts have, at most `size`, most frequent first, then by the alphabet."""
    counts = Counter(word for text in texts for word in set(words_of(text)))
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return ordered[:size]


def distinct_phrases(texts: Sequence[str], words: Sequence[str], length: int) -> list[tuple[int, ...]]:
    """Of each text the numbers, in `words`, of at most `length` of its words: its phrase.

    A text's words are ranked by TF-IDF (Sparck Jones, 1972). Texts have their turns in order. Each takes the
    best `length` words that no text before has taken together, found by giving up the last word first, then
    the one before, and so on. Within a phrase, words that more texts have come first, so that phrases make a
    tree from the general to the special. A text shares a phrase only if all it can make are taken, and it has
    no words at all if none is in `words`.
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
    """Choices of words in the order in which they are tried; shorter ones last."""
    for size in range(min(length, len(ranked)), 0, -1):
        yield from combinations(ranked, size)
