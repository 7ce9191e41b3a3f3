"""LMIndexer: Semantic IDs from which item text can be predicted."""

import os
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sidkit._arguments import Bounds, check_argument, checked
from sidkit._core import Codebooks
from sidkit._extras import require
from sidkit._progress import Progress
from sidkit._settings import Count, Depth, Fraction, NonNegative, Positive, Seed, Width
from sidkit.errors import ConfigError, DataError, NotFittedError
from sidkit.tokenizers.lmindexer.options import READER_WIDTH, LMIndexerSettings
from sidkit.tokenizers.parts.additive import additive_codewords, sum_codewords
from sidkit.tokenizers.parts.arrays import Codes, State, Vectors
from sidkit.tokenizers.parts.checks import (
    check_choice,
    check_counts,
    check_counts_or_none,
    check_flags,
    check_non_negative,
    check_positive,
    check_seed,
)
from sidkit.tokenizers.parts.files import by_level, take_levels
from sidkit.tokenizers.parts.perceptron import Perceptron
from sidkit.tokenizers.parts.phrases import check_texts
from sidkit.tokenizers.parts.residual import ResidualCodes
from sidkit.tokenizers.parts.standardize import Standardizer
from sidkit.tokenizers.parts.word_bags import Terms
from sidkit.tokenizers.training.collapse import ON_COLLAPSE, OnCollapse

__all__ = ["LMIndexer"]

_BLOCK = 4096


class LMIndexer(ResidualCodes):
    """Tokenizer whose codes predict the words of an item's text.

    After LMIndexer (Jin et al., 2024, arXiv 2310.07815), at a size that trains on a CPU. The paper trains a
    language model to generate the codes; here the encoder of the vectors stays fixed. The trained parts are a
    linear map of the vectors, initialized by their principal components, one codebook per level, and a small
    reader that predicts the words of an item. Codes are assigned in sequence: each is the codeword nearest to
    the residual of the mapped vector. Levels are trained one after the other, with the sum of

    - the cross-entropy of the text's words, given the codes and a decreasing share of the words as hints.
      Rare words have larger weights, and pairs of words count as words;
    - a contrastive loss that separates an item from the others with its prefix;
    - a commitment loss that keeps the codes of the levels before while the map moves.

    A new item needs a vector only. `fit` needs texts and torch; everything else runs without either.

    Args:
        levels: codes per item.
        codebook_size: codewords per level: one number, or one per level.
        latent_dim: maximum number of dimensions of the mapped vectors.
        vocabulary_size: maximum number of words and word pairs to predict: those in most texts.
        hint_rate: share of a text's words given to the reader at the start of a level's training.
        contrastive_weight: weight of the contrastive loss.
        commitment: weight of the commitment loss.
        warmup_epochs: passes over the items that predict words without quantization, before the first level.
        epochs_per_level: passes over the items for each level.
        batch_size: items per step.
        learning_rate: maximum learning rate of AdamW; it rises and decays in each level. The map has a tenth
            of it.
        weight_decay: weight decay of AdamW for the reader.
        kmeans_init: initialize codebooks by k-means instead of random items.
        revive_dead_codes: after every epoch, reinitialize unused codes from residuals of random items.
        refit: run a few iterations of k-means from the trained codewords at the end; otherwise these stay.
        on_collapse: action if the level's perplexity or the unique rate stays low: `repair` (reinitialize the
            codebook), `stop` (end the training; k-means learns the remaining levels) or `warn`. Each warns
            and adds a note to `notes`.
        standardize: scale every dimension to mean 0 and variance 1 first.
        seed: seed of weights, batches, hints and codebooks.
        threads: maximum number of threads; None uses all cores.

    Attributes:
        codebooks_: `sidkit.tokenizers.Codebooks` in the space of mapped vectors.
        standardizer_: mean and scale of every dimension.
        map_, reader_: `Perceptron`.
        terms_: `Terms`, the vocabulary of the reader.
        history_: figures of each epoch: the level, or -1 during warm-up, mean losses (words, quantization,
            contrastive, commitment); for levels, perplexity, unique rate of the prefixes, number of revived
            codes.
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
        levels: Depth = 3,
        codebook_size: Width | Sequence[Width] = 256,
        *,
        latent_dim: Width = 128,
        vocabulary_size: Annotated[int, Field(ge=1, le=65535)] = 1024,
        hint_rate: Fraction = 0.3,
        contrastive_weight: NonNegative = 0.1,
        commitment: NonNegative = 1.0,
        warmup_epochs: Annotated[int, Field(ge=0)] = 10,
        epochs_per_level: Count = 10,
        batch_size: Count = 1024,
        learning_rate: Positive = 2e-3,
        weight_decay: NonNegative = 1e-2,
        kmeans_init: bool = True,
        revive_dead_codes: bool = True,
        refit: bool = True,
        on_collapse: OnCollapse = "repair",
        standardize: bool = True,
        seed: Seed = 0,
        threads: int | None = None,
    ) -> None:
        self._set_sizes(levels, codebook_size)
        self.latent_dim = latent_dim
        self.vocabulary_size = vocabulary_size
        self.hint_rate = hint_rate
        self.contrastive_weight = contrastive_weight
        self.commitment = commitment
        self.standardize = standardize
        self.warmup_epochs = warmup_epochs
        self.epochs_per_level = epochs_per_level
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.kmeans_init = kmeans_init
        self.revive_dead_codes = revive_dead_codes
        self.refit = refit
        self.on_collapse = on_collapse
        self.seed = seed
        self.threads = threads
        check_counts(self, "latent_dim", "vocabulary_size", "epochs_per_level", "batch_size")
        check_counts_or_none(self, "threads")
        check_flags(self, "kmeans_init", "revive_dead_codes", "refit", "standardize")
        check_positive(self, "learning_rate")
        check_seed(seed)
        check_non_negative(self, "contrastive_weight", "commitment", "weight_decay")
        check_argument("warmup_epochs", warmup_epochs, Annotated[int, Bounds(ge=0, le=2**31 - 1)])
        check_choice("on_collapse", on_collapse, ON_COLLAPSE)
        if vocabulary_size > 65535:
            raise ConfigError(f"`vocabulary_size` is invalid: expected at most 65535, got {vocabulary_size}.")
        check_argument("hint_rate", hint_rate, Annotated[float, Bounds(ge=0, lt=1)])

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
    ) -> "LMIndexer":
        """Learn from vectors and texts of items.

        Args:
            x: see `Tokenizer.fit`; the embeddings of the texts.
            y: ignored; present for scikit-learn pipelines.
            texts: n item texts, such as `sidkit.embed.item_texts(items)`. A text may be empty.
            progress: see `Tokenizer.fit`; a step is an epoch, the figures are those of `history_`.
            checkpoint: see `Tokenizer.fit`.

        Returns:
            The tokenizer itself.

        Raises:
            DataError: if there is not one text per vector, one is not a string, or no word is in several but
                not all of them.
            ConfigError: if the training diverges.
            FormatError: if the checkpoint belongs to other parameters or data, or is damaged.
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
            raise DataError(
                "texts are missing: expected one per vector, got None. Call fit(x, texts=item_texts(items))."
            )
        check_texts(self._texts, len(x))
        terms = Terms.of(self._texts, self.vocabulary_size)
        if not len(terms):
            raise DataError(
                f"the texts have no terms to predict: expected words in several but not all of {len(x)} "
                "texts, got none. Check that these are the texts of the items."
            )
        standardizer = Standardizer.fit_if(self.standardize, x)
        z = standardizer.apply(x)
        learned = Training(self._settings(), z, terms.bags(self._texts), len(terms)).run(progress, checkpoint)
        self.standardizer_, self.terms_ = standardizer, terms
        self.map_, self.reader_ = learned.map, learned.reader
        self.history_, self.notes = learned.history, learned.notes
        self._codebooks = Codebooks(learned.codebooks)
        self._means = additive_codewords(z, self._encode(x), self.codebook_sizes)

    @checked
    def words(self, codes: npt.ArrayLike, count: int = 5) -> list[list[str]]:
        """Predict the most likely words and word pairs for each row of codes.

        Args:
            codes: integers (n, 1 to levels); a prefix predicts the words that its items have in common.
            count: maximum number of words per row, at least 1.

        Raises:
            NotFittedError: before `fit`.
            DataError: if there are no or too many levels, or a code is not below its level's size.
            ConfigError: if `count` is less than 1.
        """
        if count < 1:
            raise ConfigError(f"`count` is invalid: expected an integer >= 1, got {count}.")
        latent = self._decoded_latent(codes)
        scores = self.reader_(latent)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        return [[self.terms_.names[term] for term in row] for row in best.tolist()]

    @checked
    def word_loss(self, codes: npt.ArrayLike, texts: Sequence[str]) -> float:
        """Compute the mean cross-entropy, in nats, of the words of texts as predicted from codes.

        Rare words have larger weights, as in training. Words outside the vocabulary, and texts without
        others, are ignored.

        Args:
            codes: integers (n, 1 to levels).
            texts: n texts of the items with these codes.

        Raises:
            NotFittedError, DataError: as `words`; also DataError if there is not one text per row of codes,
                or no text has a word of the vocabulary.
        """
        latent = self._decoded_latent(codes)
        if len(texts) != len(latent):
            raise DataError(
                f"texts do not fit the codes: expected {len(latent)} texts, one per row, got {len(texts)}."
            )
        bags = self.terms_.bags(texts)
        filled = np.flatnonzero(np.diff(bags.starts))
        if not len(filled):
            raise DataError(
                f"the texts have no known words: expected words of the vocabulary, got none in "
                f"{len(texts)} texts."
            )
        total = 0.0
        for start in range(0, len(filled), _BLOCK):
            rows = filled[start : start + _BLOCK]
            scores = self.reader_(latent[rows]).astype(np.float64)
            scores -= scores.max(axis=1, keepdims=True)
            logarithms = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
            total -= float((bags.dense(rows, len(self.terms_)) * logarithms).sum())
        return total / len(filled)

    def _decoded_latent(self, codes: npt.ArrayLike) -> Vectors:
        if self._dim is None:
            raise NotFittedError("this LMIndexer is not fitted. Call fit(x, texts=...) first.")
        return self._sums(self._checked_codes(codes))

    def _latent(self, x: Vectors) -> Vectors:
        return self.map_(self.standardizer_.apply(x))

    def _decode(self, codes: Codes) -> Vectors:
        """Sums of mean vectors, since the map, trained for words, loses other information."""
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

    def _restore(self, state: State, dim: Count) -> None:
        latent_dim = min(self.latent_dim, dim)
        self.terms_ = Terms.restore(state)
        self.standardizer_ = Standardizer.restore(state, dim)
        self.map_ = Perceptron.restore(state, "map", [dim, latent_dim])
        self.reader_ = Perceptron.restore(state, "reader", [latent_dim, READER_WIDTH, len(self.terms_)])
        self.history_ = []
        self._means = take_levels(state, "means", self.codebook_sizes, dim)
        self._restore_codebooks(state, latent_dim)

    def _settings(self) -> LMIndexerSettings:
        return LMIndexerSettings(
            codebook_sizes=self.codebook_sizes,
            latent_dim=self.latent_dim,
            hint_rate=self.hint_rate,
            contrastive_weight=self.contrastive_weight,
            commitment=self.commitment,
            warmup_epochs=self.warmup_epochs,
            epochs_per_level=self.epochs_per_level,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            kmeans_init=self.kmeans_init,
            revive_dead_codes=self.revive_dead_codes,
            refit=self.refit,
            on_collapse=self.on_collapse,
            seed=self.seed,
            threads=self.threads,
        )
