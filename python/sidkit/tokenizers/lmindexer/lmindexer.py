"""Semantic IDs of which the words of the items' texts can be read again, after LMIndexer."""

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sidkit._core import Codebooks
from sidkit._extras import require
from sidkit.errors import ConfigError, DataError, NotFittedError
from sidkit.tokenizers.base import Codes, Progress, State, Vectors
from sidkit.tokenizers.parts.additive import additive_codewords, sum_codewords
from sidkit.tokenizers.parts.checks import check_counts, check_counts_or_none, check_positive, check_seed
from sidkit.tokenizers.parts.files import by_level, take_levels
from sidkit.tokenizers.parts.perceptron import Perceptron
from sidkit.tokenizers.parts.phrases import check_texts
from sidkit.tokenizers.parts.residual import ResidualCodes
from sidkit.tokenizers.parts.standardize import Standardizer
from sidkit.tokenizers.parts.word_bags import Terms
from sidkit.tokenizers.training.collapse import ON_COLLAPSE

__all__ = ["READER_WIDTH", "LMIndexer"]

#: Width of the reader's one hidden layer. It is small on purpose: what the reader remembers by itself, the
#: tokens need not say.
READER_WIDTH = 128
_BLOCK = 4096


class LMIndexer(ResidualCodes):
    """Codes trained so that the words of an item's text can be read of its tokens alone.

    After LMIndexer (Jin et al., 2024, arXiv 2310.07815), at the size that a CPU trains. There a language
    model is trained to write the tokens; here the language model that made the vectors stays as it is. What
    is trained is a linear map of the vectors, which starts at their principal components, a codebook a level,
    and a small reader that says which words an item has. The tokens are written one after the other: each is
    the codeword nearest to what the tokens before leave over of the mapped vector. Levels are trained one
    after the other too, with the sum of

    - the cross-entropy of the text's words, given the tokens and a few of the words as hints, which become
      fewer. Rare words weigh more, and pairs of words count as words;
    - a contrast: an item is to be told from the others that share its prefix;
    - a commitment: the map, while it moves, has to keep the tokens of the levels that are done.

    A new item needs a vector only. `fit` needs texts, and torch; everything else runs without either.

    Args:
        levels: codes per item.
        codebook_size: codewords per level; one number, or one a level.
        components: dimensions of the mapped vectors, at most.
        vocabulary: words, and pairs of words, that are read, at most: those that most texts have.
        hints: share of a text's words that the reader is given when the training of a level begins.
        contrast: weight of the contrast.
        commitment: weight of the commitment.
        standardize: give every dimension of the vectors mean 0 and variance 1 first.
        plain_epochs: passes over the items that read words without tokens first.
        level_epochs: passes over the items for each level.
        batch_size: items a step.
        learning_rate: of AdamW, the highest; in each level it rises and falls. The map has a tenth of it.
        weight_decay: of AdamW, for the reader.
        kmeans_start: start a codebook from k-means, or else from random items.
        reset: set codes anew that nothing chose for an epoch.
        refit: a few rounds of k-means from the trained codewords at the end; otherwise these stay.
        on_collapse: what is done if the level's perplexity or the unique rate stays low: `repair` (the
            codebook starts anew), `stop` (training ends there, k-means makes the levels that are left) or
            `warn`. Each warns and leaves a note in `notes`.
        seed: of weights, batches, hints, codebooks.
        threads: at most; all cores if None.

    Attributes:
        codebooks_: `sidkit.Codebooks` in the space of mapped vectors.
        standardizer_: mean and scale of every dimension.
        map_, reader_: `Perceptron`.
        terms_: `Terms`, the words that the reader knows.
        history_: figures of each epoch: the level, or -1 without tokens, mean words, quantization, contrast,
            commitment; of levels, perplexity, unique rate of the prefixes so far, codes set anew.
    """

    method = "lmindexer"
    standardizer_: Standardizer
    map_: Perceptron
    reader_: Perceptron
    terms_: Terms
    history_: list[dict[str, float]]
    _means: list[Vectors]
    _texts: Sequence[str] | None = None

    def __init__(
        self,
        levels: int = 3,
        codebook_size: int | Sequence[int] = 256,
        *,
        components: int = 128,
        vocabulary: int = 1024,
        hints: float = 0.3,
        contrast: float = 0.1,
        commitment: float = 1.0,
        standardize: bool = True,
        plain_epochs: int = 10,
        level_epochs: int = 10,
        batch_size: int = 1024,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        kmeans_start: bool = True,
        reset: bool = True,
        refit: bool = True,
        on_collapse: str = "repair",
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        self._keep_shape(levels, codebook_size)
        self.components = components
        self.vocabulary = vocabulary
        self.hints = hints
        self.contrast = contrast
        self.commitment = commitment
        self.standardize = standardize
        self.plain_epochs = plain_epochs
        self.level_epochs = level_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.kmeans_start = kmeans_start
        self.reset = reset
        self.refit = refit
        self.on_collapse = on_collapse
        self.seed = seed
        self.threads = threads
        check_counts(self, "components", "vocabulary", "level_epochs", "batch_size")
        check_counts_or_none(self, "threads")
        check_positive(self, "learning_rate")
        check_seed(seed)
        for name in ("contrast", "commitment", "plain_epochs", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must not be negative, but it is {getattr(self, name)}")
        if vocabulary > 65535:
            raise ConfigError(f"vocabulary must be at most 65535, not {vocabulary}")
        if not 0 <= hints < 1:
            raise ConfigError(f"hints must be in [0, 1), not {hints}")
        if on_collapse not in ON_COLLAPSE:
            raise ConfigError(f"on_collapse must be one of {', '.join(ON_COLLAPSE)}, not {on_collapse!r}")

    def fit(
        self,
        x: npt.ArrayLike,
        *,
        texts: Sequence[str] | None = None,
        progress: Progress | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> "LMIndexer":
        """Learn from vectors and texts of items.

        Args:
            x: as of every tokenizer; vectors that a language model made of the texts.
            texts: n of them, such as `sidkit.embed.item_texts(items)`. One without words is allowed.
            progress: as of every tokenizer; a step is an epoch, the figures those of `history_`.
            checkpoint: as of every tokenizer.

        Returns:
            The tokenizer itself.

        Raises:
            DataError: if there are not as many texts as vectors, one is no string, or no word is in some but
                not all of them.
            ConfigError: if the training diverges.
            FormatError: as of every tokenizer.
        """
        self._texts = texts
        try:
            return super().fit(x, progress=progress, checkpoint=checkpoint)
        finally:
            self._texts = None

    def _fit(self, x: Vectors, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        require("torch", extra="train")
        from sidkit.tokenizers.lmindexer.training import Training

        if self._texts is None:
            raise DataError("tokens are trained to tell words; hint: fit(x, texts=item_texts(items))")
        check_texts(self._texts, len(x))
        terms = Terms.of(self._texts, self.vocabulary)
        if not len(terms):
            raise DataError(
                f"no word is in more than one of {len(x)} texts, but not in all; hint: look whether these "
                "are the items' texts"
            )
        standardizer = Standardizer.fit_if(self.standardize, x)
        z = standardizer.apply(x)
        learned = Training(self, z, terms.bags(self._texts), len(terms)).run(progress, checkpoint)
        self.standardizer_, self.terms_ = standardizer, terms
        self.map_, self.reader_ = learned.map, learned.reader
        self.history_, self.notes = learned.history, learned.notes
        self._codebooks = Codebooks(learned.codebooks)
        self._means = additive_codewords(z, self._encode(x), self.codebook_sizes)

    def words(self, codes: npt.ArrayLike, count: int = 5) -> list[list[str]]:
        """What the reader says of codes: for each the likeliest words and pairs of words, at most `count`.

        Args:
            codes: integers (n, 1 to levels); of the first levels only, what their items have in common.
            count: at least 1.

        Raises:
            NotFittedError: before `fit`.
            DataError: if there are no or too many levels, or a code is not below its level's size.
            ConfigError: if `count` is less than 1.
        """
        if count < 1:
            raise ConfigError(f"count must be at least 1, not {count}")
        latent = self._read_of(codes)
        scores = self.reader_(latent)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        return [[self.terms_.names[term] for term in row] for row in best.tolist()]

    def word_loss(self, codes: npt.ArrayLike, texts: Sequence[str]) -> float:
        """Mean cross-entropy, in nats, of the words of texts by what the reader says of their items' codes.

        Rare words weigh more, as in the training; words that the reader does not know, and texts without
        others, count nothing.

        Args:
            codes: integers (n, 1 to levels).
            texts: n of them.

        Raises:
            NotFittedError, DataError: as `words`; DataError too if there are not as many texts as codes or
                none has a word that the reader knows.
        """
        latent = self._read_of(codes)
        if len(texts) != len(latent):
            raise DataError(f"texts must have one for each of {len(latent)} codes, not {len(texts)}")
        bags = self.terms_.bags(texts)
        told = np.flatnonzero(np.diff(bags.starts))
        if not len(told):
            raise DataError(f"none of {len(texts)} texts has a word that the reader knows")
        total = 0.0
        for start in range(0, len(told), _BLOCK):
            rows = told[start : start + _BLOCK]
            scores = self.reader_(latent[rows]).astype(np.float64)
            scores -= scores.max(axis=1, keepdims=True)
            logarithms = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
            total -= float((bags.dense(rows, len(self.terms_)) * logarithms).sum())
        return total / len(told)

    def _read_of(self, codes: npt.ArrayLike) -> Vectors:
        if self._dim is None:
            raise NotFittedError("this LMIndexer can read nothing yet; hint: call fit(x, texts=...) first")
        return self._sums(self._checked(codes))

    def _latent(self, x: Vectors) -> Vectors:
        return self.map_(self.standardizer_.apply(x))

    def _decode(self, codes: Codes) -> Vectors:
        """Sums of means: the map is trained for words, and what it leaves out could not be found again."""
        return self.standardizer_.invert(sum_codewords(self._means, codes))

    def _state(self) -> State:
        return (
            self._codebook_state()
            | by_level("means", self._means)
            | self.standardizer_.state()
            | self.map_.state("map")
            | self.reader_.state("reader")
            | self.terms_.state()
        )

    def _restore(self, state: State, dim: int) -> None:
        components = min(self.components, dim)
        self.terms_ = Terms.restore(state)
        self.standardizer_ = Standardizer.restore(state, dim)
        self.map_ = Perceptron.restore(state, "map", [dim, components])
        self.reader_ = Perceptron.restore(state, "reader", [components, READER_WIDTH, len(self.terms_)])
        self.history_ = []
        self._means = take_levels(state, "means", self.codebook_sizes, dim)
        self._restore_codebooks(state, components)
