"""Retrieval by Semantic IDs: a search for the best prefixes, whose vectors learn from queries."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sidkit._extras import require
from sidkit._settings import Count, Depth, NonNegative, Positive, Seed, Width
from sidkit._stored import Stored
from sidkit.decode.ranking import Ranked, top_k
from sidkit.errors import FormatError
from sidkit.ids import SidTable
from sidkit.ids.append import append_items
from sidkit.search.base import FitData, Retriever
from sidkit.search.collection import QuerySet
from sidkit.search.encoder import encode
from sidkit.search.evaluation import query_metrics
from sidkit.search.prefixes import (
    PrefixTraining,
    PrefixTree,
    TrainedVectors,
    Trial,
    balanced_bias,
    train_vectors,
)
from sidkit.tokenizers import HierarchicalKMeans, Tokenizer, load_tokenizer

__all__ = ["SidRetriever"]

Float32 = npt.NDArray[np.float32]

#: Documents below a whole code path that the automatic codebook size aims at.
_DOCUMENTS_PER_PATH = 16
#: Shares of the learned offsets that the validation queries choose from, besides 0.
_SHARES = (0.25, 0.5, 0.75, 1.0)
_EVALUATE_EVERY = 2  # epochs
_LEAST_COLLISION_TOKENS = 4096
_NEIGHBOURS = 16  # whose offsets a new document gets
#: Biases of new documents that `fit` chooses from, in units of the temperature.
_BIASES = np.arange(0, 5.01, 0.1)
_RECALL_DEPTH = 100
_SCORES_AT_ONCE = 8_000_000
_SIDS, _TOKENIZER = "sids.parquet", "tokenizer.safetensors"


@dataclass(kw_only=True, eq=False, repr=False)
class SidRetriever(Retriever):
    """Generative retrieval with a sentence encoder, prefix vectors and a beam search, on the CPU.

    Documents get Semantic IDs by hierarchical k-means over their text vectors. A query generates a Semantic
    ID token by token: the children of a prefix are scored by the inner product of the query's vector with
    theirs, and the documents below the best `beam` prefixes by their own vectors. The vector of a prefix is
    the direction of the mean of its documents, so that without training this is a tree search over text
    vectors.

    Training on pairs of queries and relevant documents adds offsets to the vectors of documents, prefixes and
    queries, see `sidkit.search.prefixes.learning`. The validation queries choose the number of epochs and the
    share of the offsets that is added: 0 where the gain is less than its standard error. If they are a part
    of the training queries, the training is then repeated with all of them.

    A new document gets the mean offset of similar documents, and a bias, since the training raises the scores
    of the documents that it knows. `fit` chooses the bias: it replaces the offsets of one half of the
    documents as if they were new, and takes the smallest bias with which the validation queries find
    `added_recall` times as many of their relevant documents there as in the other half.

    Attributes:
        sids_: Semantic ID of every document, a `SidTable`.
        vectors_: vector of every document, float32 (documents, d), offsets included.
        content_: vector of every document without offsets, float32 (documents, d).
        query_map_: linear map that is added to query vectors, float32 (d, d).
        chosen_: share of the offsets and number of epochs that were chosen, 0 without queries, and NDCG@10 of
            the validation queries without training and as chosen, float64 (4,).
        biases_: number that is added to the scores of every document, float32 (documents,): 0 for those of
            `fit`.
        added_bias_: bias of new documents, float64 (1,).

    Example:
        >>> retriever = SidRetriever().fit(collection)
        >>> ids, scores = retriever.search("statins and breast cancer", k=10)
        >>> retriever.sids_[ids[0]]
    """

    method: ClassVar[str] = "sid"
    _stored: ClassVar[dict[str, Stored]] = {
        "content_": Stored(np.floating, ("documents", "d")),
        "vectors_": Stored(np.floating, ("documents", "d")),
        "query_map_": Stored(np.floating, ("d", "d")),
        "biases_": Stored(np.floating, ("documents",)),
        "added_bias_": Stored(np.floating, ("one",)),
        "chosen_": Stored(np.floating, ("four",)),
    }

    encoder: str = "minilm"
    """Sentence encoder, as in `sidkit.embed.embed_texts`."""
    cache: str | None = None
    """Directory of cached vectors."""
    levels: Depth = 2
    """Codes per document."""
    codebook_size: Width | None = None
    """Children of a prefix; None for the square root of the number of documents at the first level, whose
    errors the search cannot repair, and as many below as leave about 16 documents per code path."""
    beam: Width = 128
    """Prefixes that the search keeps at each level."""
    epochs: Count = 10
    """Largest number of passes over the training queries."""
    batch_size: Count = 256
    """Queries of a training step."""
    learning_rate: Positive = 0.003
    """Learning rate of the offsets."""
    weight_decay: NonNegative = 1.0
    """Decay of the offsets towards zero."""
    temperature: Positive = 0.05
    """Divisor of the inner products in the softmax."""
    negatives: Count = 100
    """Hard negatives per query from the beam search, in collections of more than 32,768 documents."""
    added_recall: NonNegative = 1.0
    """Target of the bias: Recall@100 of added documents relative to that of the others; 0 for no bias, which
    ranks all documents better on the whole, since less is known about added ones."""
    seed: Seed = 0
    """Seed of clustering, training order and held-out queries."""

    def _fit(self, data: FitData) -> None:
        self.content_ = encode(data.texts, self.encoder, self.cache)
        sizes = self.codebook_size or self._automatic_sizes(len(self.content_))
        self.tokenizer_: Tokenizer = HierarchicalKMeans(
            self.levels, sizes, standardize=False, seed=self.seed, threads=1
        ).fit(self.content_)
        codes = self.tokenizer_.encode(self.content_)
        largest = int(np.unique(codes, axis=0, return_counts=True)[1].max())
        room = min(2**16, max(_LEAST_COLLISION_TOKENS, 2 * largest))
        self.sids_ = SidTable.from_codes(
            codes, data.collection.doc_ids, self.tokenizer_.codebook_sizes, collision_size=room
        )
        self.chosen_, self.added_bias_ = np.zeros(4), np.zeros(1)
        self.biases_ = np.zeros(len(codes), np.float32)
        dim = self.content_.shape[1]
        self._set(TrainedVectors(np.zeros_like(self.content_), np.zeros((dim, dim), np.float32)), 0.0)
        if len(data.train) and len(data.validation):
            self._learn(data)

    def _automatic_sizes(self, documents: int) -> list[int]:
        """Return the number of children of a prefix at each level."""
        paths = max(1.0, documents / _DOCUMENTS_PER_PATH)
        first = documents**0.5 if self.levels > 1 else paths
        others = max(1.0, paths / first) ** (1 / max(1, self.levels - 1))
        return [max(2, min(documents, round(each))) for each in (first, *[others] * (self.levels - 1))]

    def _learn(self, data: FitData) -> None:
        """Train, choose epochs and share by the validation queries, and train again if some were held out."""
        asked = encode(data.validation.texts, self.encoder, self.cache)
        baseline = self._quality(asked, data.validation)
        best, chosen = baseline, TrainedVectors(np.zeros_like(self.content_), self.query_map_)
        share, epochs = 0.0, 0

        def choose(epoch: int, loss: float, offsets: Callable[[], TrainedVectors]) -> None:
            nonlocal best, chosen, share, epochs
            if epoch % _EVALUATE_EVERY and epoch != self.epochs:
                return
            learned = offsets()
            for each in _SHARES:
                self._set(learned, each)
                quality = self._quality(asked, data.validation)
                if quality.mean() > best.mean():
                    best, chosen, share, epochs = quality, learned, each, epoch

        self._train(data.train, choose)
        if not _exceeds_its_error(best - baseline):
            best, share, epochs = baseline, 0.0, 0
        self._set(chosen, share)
        if share and self.added_recall:  # before the queries that choose are trained on
            self.added_bias_ = np.array([self._bias_of_new_documents(asked, data.validation)])
        if data.held_out and share:

            def keep(epoch: int, loss: float, offsets: Callable[[], TrainedVectors]) -> None:
                nonlocal chosen
                if epoch == epochs:
                    chosen = offsets()

            self._train(data.everything(), keep)
            self._set(chosen, share)
        self.chosen_ = np.array([share, epochs, baseline.mean(), best.mean()])

    def _bias_of_new_documents(self, asked: Float32, queries: QuerySet) -> float:
        """Choose a bias by the validation queries, with each half of the documents as new ones."""
        mapped, codes = self._mapped(asked), self.sids_.codes

        def ranked(rows: npt.NDArray[np.int64], vectors: Float32) -> Ranked:
            found, scores = PrefixTree.build(codes[rows], vectors).search(mapped, _RECALL_DEPTH, self.beam)
            return np.where(found >= 0, rows[found], -1).astype(np.int32), scores

        count, trials = len(self.content_), []
        is_new = np.ones(count, bool)
        is_new[np.random.default_rng(self.seed).permutation(count)[: -(-count // 2)]] = False
        for added in (is_new, ~is_new):
            old, new = np.flatnonzero(~added), np.flatnonzero(added)
            fresh = self.content_[new] + self._nearby_offsets(self.content_[new], old)
            trials.append(Trial(ranked(old, self.vectors_[old]), ranked(new, fresh), added))
        biases = _BIASES * self.temperature
        return balanced_bias(
            trials, queries.relevant(), biases.tolist(), target=self.added_recall, depth=_RECALL_DEPTH
        )

    def _train(
        self, queries: QuerySet, on_epoch: Callable[[int, float, Callable[[], TrainedVectors]], None]
    ) -> None:
        require("torch", extra="train")
        training = PrefixTraining(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            temperature=self.temperature,
            negatives=self.negatives,
            beam=self.beam,
            seed=self.seed,
        )
        vectors = encode(queries.texts, self.encoder, self.cache)
        train_vectors(self.content_, self.sids_.codes, vectors, queries.relevant(), training, on_epoch)

    def _set(self, learned: TrainedVectors, share: float) -> None:
        """Add a share of learned offsets to the content vectors."""
        self.vectors_ = self.content_ + np.float32(share) * learned.documents
        self.query_map_ = np.float32(share) * learned.queries
        self._build_tree()

    def _build_tree(self) -> None:
        """Build the tree; biases, if there are any, are one more dimension, which is 1 in queries."""
        vectors = self.vectors_
        if self.biases_.any():
            vectors = np.concatenate([vectors, self.biases_[:, None]], axis=1)
        self._tree = PrefixTree.build(self.sids_.codes, vectors)

    def _quality(self, vectors: Float32, queries: QuerySet) -> npt.NDArray[np.float64]:
        """Compute NDCG@10 of every query, float64 (m,)."""
        rows, _ = self._tree.search(self._mapped(vectors), 10, self.beam)
        return query_metrics(rows, queries, ["ndcg@10"])["ndcg@10"]

    def _mapped(self, queries: Float32) -> Float32:
        mapped = queries + queries @ self.query_map_
        if self.biases_.any():
            mapped = np.concatenate([mapped, np.ones((len(mapped), 1), np.float32)], axis=1)
        return mapped

    def _search(self, texts: list[str], k: int) -> Ranked:
        queries = self._mapped(encode(texts, self.encoder, self.cache))
        beam = max(self.beam, -(-k // _DOCUMENTS_PER_PATH) * 2)
        rows, scores = self._tree.search(queries, k, beam)
        last = min(k, len(self._tree)) - 1
        while len(short := np.flatnonzero(rows[:, last] < 0)):  # the best prefixes have fewer documents
            beam *= 2
            rows[short], scores[short] = self._tree.search(queries[short], k, beam)
        return rows, scores

    def work(self, texts: list[str]) -> float:
        """Compute the mean number of inner products that the search for these queries computes."""
        self._check_fitted()
        return self._tree.work(self._mapped(encode(texts, self.encoder, self.cache)), self.beam)

    def _add(self, texts: list[str]) -> None:
        content = encode(texts, self.encoder, self.cache)
        codes = self.tokenizer_.encode(content)
        offsets = self._nearby_offsets(content, np.arange(len(self.content_)))
        self.sids_ = append_items(
            self.sids_,
            codes,
            self.doc_ids_[len(self.content_) :],
            alternatives=lambda rows: self.tokenizer_.alternatives(content[rows]),
        )
        self.content_ = np.concatenate([self.content_, content])
        self.vectors_ = np.concatenate([self.vectors_, content + offsets])
        fresh = np.full(len(content), self.added_bias_[0], np.float32)
        self.biases_ = np.concatenate([self.biases_, fresh])
        self._build_tree()

    def _nearby_offsets(self, content: Float32, known: npt.NDArray[np.int64]) -> Float32:
        """Compute the mean offset of those known documents with the most similar content, float32 (m, d)."""
        offsets = np.empty_like(content)
        like = self.content_[known]
        learned = self.vectors_[known] - like
        step = max(1, _SCORES_AT_ONCE // len(like))
        for start in range(0, len(content), step):
            block = slice(start, start + step)
            rows, similarity = top_k(content[block] @ like.T, min(_NEIGHBOURS, len(learned)))
            weights = np.exp((similarity - similarity[:, :1]) / self.temperature)
            weights /= weights.sum(axis=1, keepdims=True)
            offsets[block] = np.einsum("mk,mkd->md", weights, learned[rows])
        return offsets

    def _save_state(self, path: Path) -> None:
        super()._save_state(path)
        self.sids_.save(path / _SIDS)
        self.tokenizer_.save(path / _TOKENIZER)

    def _load_state(self, path: Path) -> None:
        super()._load_state(path)
        self.tokenizer_ = load_tokenizer(path / _TOKENIZER)
        self.sids_ = SidTable.load(path / _SIDS)
        if len(self.sids_) != len(self.documents_) or self.vectors_.shape != self.content_.shape:
            raise FormatError(
                f"`{path}` is damaged: expected {len(self.documents_)} documents, got {len(self.sids_)} "
                f"Semantic IDs and vectors {self.vectors_.shape}. Fit the retriever again."
            )
        self._build_tree()


def _exceeds_its_error(gains: npt.NDArray[np.float64]) -> bool:
    """Return True if the mean of paired gains is more than its standard error."""
    if len(gains) < 2 or not gains.any():
        return False
    return bool(gains.mean() > gains.std(ddof=1) / np.sqrt(len(gains)))
