"""Differentiable Search Index: an encoder-decoder that maps text to the Semantic ID of a document."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from sidkit._settings import Count, Depth, Fraction, Positive, Seed, Width
from sidkit._stored import load_arrays, write_stored
from sidkit.decode.incremental import IncrementalDecoder
from sidkit.decode.ranking import Ranked, concatenated
from sidkit.errors import FormatError
from sidkit.ids import SidTable
from sidkit.search import storage
from sidkit.search.base import FitData, Retriever
from sidkit.search.dsi import Examples, TextToSid, TextVectors, token_vectors, train_text_to_sid
from sidkit.search.dsi.training import TrainingPlan
from sidkit.search.encoder import encode
from sidkit.search.evaluation import query_metrics
from sidkit.tokenizers import HierarchicalKMeans

__all__ = ["DSI"]

_SIDS = "sids.parquet"
_QUERIES_AT_ONCE = 64


@dataclass(kw_only=True, eq=False, repr=False)
class DSI(Retriever):
    """Differentiable Search Index (Tay et al., NeurIPS 2022, arXiv 2202.06991).

    One network learns two tasks together: the text of a document to its Semantic ID (indexing), and a query
    to the Semantic ID of a relevant document (retrieval). Semantic IDs are paths of hierarchical k-means. A
    beam search under the trie generates the Semantic IDs of existing documents only.

    The network is TIGER's encoder-decoder. Where the paper fine-tunes T5, its encoder reads the token vectors
    of a frozen sentence encoder, so that a CPU can train it. The network memorizes the documents and needs
    many queries for each of them; on small collections its results are far below those of `SidRetriever`.
    New documents need a new training.

    Attributes:
        sids_: Semantic ID of every document, a `SidTable`.
        network_: the trained network, a torch module.
        curve_: of each evaluation, the epoch, the training loss and NDCG@10 of the validation queries,
            float64 (evaluations, 3).

    Example:
        >>> ids, scores = DSI(epochs=20).fit(collection).search("statins and breast cancer", k=10)
    """

    method: ClassVar[str] = "dsi"

    encoder: str = "minilm"
    """Sentence encoder, whose token vectors the network reads."""
    cache: str | None = None
    """Directory of cached sentence vectors, from which Semantic IDs are made."""
    levels: Depth = 3
    """Codes per document; a collision token follows."""
    codebook_size: Width = 10
    """Children of a prefix; the paper has 10."""
    max_tokens: Width = 32
    """Tokens of a text that are read; the paper has 32."""
    d_model: Width = 128
    """Width of the network, a multiple of 4."""
    layers: Depth = 2
    """Layers of the encoder, and of the decoder."""
    dropout: Fraction = 0.1
    """Dropout rate."""
    epochs: Count = 20
    """Passes over all documents."""
    batch_size: Count = 128
    """Texts of a training step."""
    learning_rate: Positive = 1e-3
    """Peak learning rate of AdamW."""
    documents_per_query: Positive = 1.0
    """Indexing examples per retrieval example; the best ratio in the paper is 32."""
    beam: Width = 50
    """Prefixes that the search keeps at each level."""
    evaluate_every: Count = 5
    """Epochs between two evaluations on the validation queries; the best weights are kept."""
    seed: Seed = 0
    """Seed of clustering, initial weights, examples and held-out queries."""

    def _fit(self, data: FitData) -> None:
        vectors = encode(data.texts, self.encoder, self.cache)
        size = min(self.codebook_size, len(vectors))
        tokenizer = HierarchicalKMeans(self.levels, size, standardize=False, seed=self.seed, threads=1)
        codes = tokenizer.fit(vectors).encode(vectors)
        self.sids_ = SidTable.from_codes(codes, data.collection.doc_ids, tokenizer.codebook_sizes)
        documents = self._read(data.texts)
        examples = Examples(documents, self._read(data.train.texts), self.sids_.tokens, data.train.relevant())
        torch.manual_seed(self.seed)
        self.network_ = self._network(documents.width)
        plan = TrainingPlan(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            documents_per_query=self.documents_per_query,
            evaluate_every=self.evaluate_every,
            seed=self.seed,
        )
        asked = self._read(data.validation.texts)

        def quality() -> float:
            if not len(data.validation):
                return float("nan")
            rows, _ = self._generate(asked, 10)
            return float(query_metrics(rows, data.validation, ["ndcg@10"])["ndcg@10"].mean())

        self.curve_ = train_text_to_sid(self.network_, examples, plan, quality)

    def _read(self, texts: list[str]) -> TextVectors:
        if not texts:
            return TextVectors(np.empty((0, self.max_tokens, 1), np.float16), np.empty(0, np.int64))
        return token_vectors(texts, self.encoder, self.max_tokens)

    def _network(self, width: int) -> TextToSid:
        return TextToSid(
            self.sids_.sizes,
            width,
            max_tokens=self.max_tokens,
            d_model=self.d_model,
            layers=self.layers,
            dropout=self.dropout,
        )

    def _search(self, texts: list[str], k: int) -> Ranked:
        return self._generate(self._read(texts), k)

    @torch.no_grad()
    def _generate(self, texts: TextVectors, k: int) -> Ranked:
        """Generate Semantic IDs by beam search under the trie."""
        trie, beam, parts = self.sids_.trie, max(self.beam, k), []
        for start in range(0, len(texts), _QUERIES_AT_ONCE):
            some = slice(start, start + _QUERIES_AT_ONCE)
            lengths = torch.from_numpy(texts.lengths[some])
            vectors = torch.from_numpy(texts.values[some, : int(lengths.max())])
            decoder = IncrementalDecoder(self.network_, self.network_.start(vectors, lengths))  # type: ignore[arg-type]
            nodes, scores, width = trie.start(len(vectors)), np.zeros(len(vectors), np.float32), 1
            for _ in self.sids_.sizes:
                scores, parents, tokens, nodes = trie.beam_step(
                    decoder.log_probs(1.0), nodes, scores, rows_per_group=width, beam=beam
                )
                decoder.extend(parents, tokens)
                width = beam
            parts.append(trie.top_items(nodes, scores, rows_per_group=width, k=k))
        return concatenated(parts, k)

    def _save_state(self, path: Path) -> None:
        weights = {f"network.{name}": value.numpy() for name, value in self.network_.state_dict().items()}
        write_stored(path / storage.ARRAYS, weights | {"curve_": self.curve_})
        self.sids_.save(path / _SIDS)

    def _load_state(self, path: Path) -> None:
        arrays = load_arrays(path / storage.ARRAYS)
        self.sids_ = SidTable.load(path / _SIDS)
        try:
            self.curve_ = arrays.pop("curve_")
            weights = {
                name.removeprefix("network."): torch.from_numpy(value) for name, value in arrays.items()
            }
            self.network_ = self._network(weights["front.weight"].shape[1]).eval()
            self.network_.load_state_dict(weights)
        except (KeyError, RuntimeError) as error:
            raise FormatError(f"`{path}` is damaged: {error}. Fit the retriever again.") from error
