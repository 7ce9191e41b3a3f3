"""RQTransformer: one causal pass over items, then the Semantic ID of the next item."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from pydantic import Field
from torch import Tensor, nn

from sidkit._arguments import Bounds, TopK, checked
from sidkit._settings import Count, Depth, Fraction, Positive, Width
from sidkit.data import EvaluationSet, Sequences
from sidkit.decode.dense import rank_by_scores, score_items
from sidkit.decode.options import RankOptions
from sidkit.decode.ranking import Ranked
from sidkit.errors import ConfigError, DataError, FormatError
from sidkit.models import RQTransformerNetwork
from sidkit.models.tree.explanation import score_parts
from sidkit.models.tree.unseen import with_similar_means, without_unseen
from sidkit.recommenders.filters import Query
from sidkit.recommenders.histories import id_rows
from sidkit.recommenders.item_to_item.graph_prior import GraphPrior
from sidkit.recommenders.neural import VALIDATION_K, GenerativeRecommender, Plan, check_heads, rank_options
from sidkit.recommenders.new_items import NewItems
from sidkit.recommenders.training_data import TrainingData
from sidkit.train.batches.batch import Batch
from sidkit.train.options import EpochOptions, TokenOptions
from sidkit.train.throughput import step_flops

__all__ = ["RQTransformer"]

_GRAPH = "graph"


@dataclass(kw_only=True, eq=False, repr=False)
class RQTransformer(TokenOptions, EpochOptions, GenerativeRecommender):
    """A network over items that generates the next Semantic ID from one vector.

    A history is encoded once, however wide the beam, and the probability of a Semantic ID is a softmax over
    the tree of all of them. It is the fastest generative recommender to train and to use, and the default of
    `sidkit run`. In a large catalogue, there is a softmax over the children of each prefix instead, estimated
    from a sample, so that the cost of a training step does not grow with the number of items.

    Example:
        >>> model = RQTransformer(epochs=12)
        >>> model.fit(split.train, sids=sids, item_vectors=x, validation=split.validation)
        >>> ids, log_probs = model.recommend([50, 172, 181], k=10)
    """

    method: ClassVar[str] = "rqtransformer"
    network_class: ClassVar[type[nn.Module]] = RQTransformerNetwork
    not_in_identity: ClassVar[frozenset[str]] = GenerativeRecommender.not_in_identity | {"new_item_bias"}

    epochs: Positive = 10.0
    min_steps: Annotated[int, Field(ge=0, le=2**31 - 1)] = 800
    weight_averaging: Fraction = 0.2
    validate_users: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Validation users of an evaluation, drawn at random where there are more; 0 for all."""

    d_model: Width = 256
    """Width of the vectors and of the encoder of histories."""
    backbone: Literal["gru", "attention"] = "gru"
    """Encoder of a history: GRUs, or causal attention."""
    layers: Depth = 1
    """GRUs or transformer blocks over the items of a history."""
    heads: Width = 4
    """Attention heads; must divide `d_model`; not used by GRUs."""
    dropout: Fraction = 0.4
    """Dropout rate."""
    attention_dropout: Fraction = 0.0
    """Dropout rate of the attention weights; not used by GRUs."""
    scale_embeddings: bool = True
    """Multiply the item vectors that attention encodes by the square root of `d_model`; not used by GRUs."""
    max_items: Width = 50
    """Most recent items of a history that are encoded."""
    content: bool = True
    """Use the item vectors in addition to the Semantic IDs, where `fit` is given some."""
    sample_above: Count = 2**15
    """Number of Semantic IDs up to which there is one softmax over all of them; above, there is one over the
    children of each prefix, estimated from a sample."""
    negatives: Count = 6
    """Nodes drawn at each level for each target, to estimate the softmax over the children of its prefix.
    Targets with the same prefix share their draws; a prefix has four times as many at most."""
    graph: bool = True
    """Fit a `TransitionGraph` as well, and mix it with the probabilities where `scoring` is `fused`; for
    catalogues up to `sample_above`."""
    unseen_as_new: bool = False
    """Score items of the catalogue without a training event as new items: by the mean vector of the ten items
    with the most similar content, or without item vectors by their codes and the prefixes that they share
    with other items. Otherwise they have vectors of their own, which the training has pushed away from all
    histories, so that they are hardly ever recommended."""
    new_item_bias: Annotated[float, Bounds(ge=-100.0, le=100.0)] = 0.0
    """Added to the natural-log scores of new items in recommendations: those that were added, and with
    `unseen_as_new` those without a training event. Larger values recommend more of them, negative ones fewer;
    it can be changed after `fit`."""
    prefix_rows: Count = 2**18
    """Trained vectors of prefixes; where there are more prefixes, these are hashed."""

    @property
    def uses_item_vectors(self) -> bool:
        """True if `fit` uses item vectors."""
        return self.content

    @property
    def scorings(self) -> tuple[str, ...]:
        """Rankings that the recommender offers.

        `sid` is beam search, `exact` scores every item, and `fused` mixes that with the transition graph. A
        large catalogue has `sid` only.
        """
        fitted = "network_" in vars(self)
        if fitted and not self.network_.exact:
            return ("sid",)
        fused = "prior_" in vars(self) if fitted else self.graph
        return ("sid", "exact", "fused") if fused else ("sid", "exact")

    def check_settings(self) -> None:
        """Check the backbone, and that `heads` divides `d_model`."""
        check_heads(self.d_model, self.heads)
        if self.backbone not in ("attention", "gru"):
            raise ConfigError(f"`backbone` must be `attention` or `gru`, got {self.backbone!r}")

    def _plan(self, data: TrainingData) -> Plan:
        sids = data.require_sids()
        counts = data.item_counts
        network = RQTransformerNetwork.for_items(
            sids.layout.sizes,
            sids.tokens,
            data.item_vectors,
            d_model=self.d_model,
            layers=self.layers,
            heads=self.heads,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            scale_embeddings=self.scale_embeddings,
            max_items=self.max_items,
            backbone=self.backbone,
            prefix_rows=self.prefix_rows,
            sample_above=self.sample_above,
        )
        sampler = network.sampler(counts, self.negatives)

        def loss(network: RQTransformerNetwork, batch: Batch) -> Tensor:
            losses = network(batch.history, batch.target, sampler=sampler, **self._regularization())
            total: Tensor = losses.sum()
            return total

        def rank(network: RQTransformerNetwork, examples: EvaluationSet, exclude: Sequences | None) -> Ranked:
            options = RankOptions(exclude=exclude)
            return rank_by_scores(network, examples.histories, VALIDATION_K, options=options)

        scored = None if sampler is None else sampler.compared
        return Plan(
            network=network,
            batches=self._sequence_batches(data),
            loss=loss,
            flops=lambda network, batch: step_flops(network, batch, scored),
            rank=rank if network.exact else self._rank_on_validation(sids),
        )

    def _fit(self, data: TrainingData) -> None:
        super()._fit(data)
        if self.unseen_as_new:
            self.network_ = with_similar_means(without_unseen(self.network_, data.item_counts))
        if self.graph and self.network_.exact:
            self.prior_: GraphPrior = GraphPrior.fit(data, self._log_probs, self.validate_exclude_seen)

    def _add(self, new: NewItems) -> None:
        network, vectors = self.network_, None
        if network.vectors.project is not None:
            vectors = new.require_vectors(self.method, network.settings["content"])
        assert new.sids is not None
        prior = self.prior_.with_items(new) if "prior_" in vars(self) else None
        self.network_ = network.with_items(new.sids.tokens, vectors)
        if prior is not None:
            self.prior_ = prior

    def _log_probs(self, histories: Sequences) -> npt.NDArray[np.float32]:
        self.network_.new_item_bias = self.new_item_bias
        return score_items(self.network_, histories)

    def _rank_rows(self, histories: Sequences, k: TopK, query: Query) -> Ranked:
        self.network_.new_item_bias = self.new_item_bias
        if query.scoring == "sid":
            return super()._rank_rows(histories, k, query)
        if query.scoring == "exact":
            return rank_by_scores(self.network_, histories, k, options=rank_options(query))
        return self.prior_.rank(self._log_probs, histories, k, query)

    @checked
    def explain(self, history: Any, item_ids: Any) -> pl.DataFrame:
        """Show what the scores of items after a history consist of.

        Args:
            history: item ids, oldest first; one of them at least is known.
            item_ids: ids of the items.

        Returns:
            One row per item: `item_id`; `sid`, its Semantic ID; `known_prefix`, the longest prefix of it that
            the model has a vector for, which the item shares with others if it is new; and the parts of the
            score, whose sum `score` is the natural-log probability up to a constant of the history: `codes`,
            `prefixes`, `content` and `new_item_bias`.

        Raises:
            NotFittedError: before `fit`.
            DataError: if an item is unknown, or the history has no known item.
        """
        self._check_fitted()
        rows = id_rows(self._index, item_ids, "item")
        read = self._index.parse(history).rows.values
        if not len(read):
            raise DataError(
                "the history has no known item: expected one at least, got none. Scores of an empty history "
                "are those of popularity."
            )
        self.network_.new_item_bias = self.new_item_bias
        parts = score_parts(self.network_, torch.from_numpy(read.astype(np.int64)), torch.from_numpy(rows))
        assert self.sids_ is not None
        sids = ["-".join(map(str, tokens)) for tokens in self.sids_.tokens[rows].tolist()]
        known = zip(sids, parts.depth.tolist(), strict=True)
        columns = {name: getattr(parts, name).numpy() for name in ("codes", "prefixes", "content", "bias")}
        frame = pl.DataFrame({"item_id": self.item_ids_.gather(rows), "sid": sids})
        return frame.with_columns(
            known_prefix=pl.Series(["-".join(sid.split("-")[:depth]) for sid, depth in known]),
            score=sum(columns.values()),
            **columns,
        ).rename({"bias": "new_item_bias"})

    def _save_state(self, path: Path) -> None:
        super()._save_state(path)
        if "prior_" in vars(self):
            self.prior_.save(path / _GRAPH)

    def _load_state(self, path: Path) -> None:
        super()._load_state(path)
        if (path / _GRAPH).exists():
            self.prior_ = GraphPrior.load(path / _GRAPH)
            if not self.prior_.graph.item_ids_.equals(self.item_ids_):
                raise FormatError(
                    f"the files in `{path}` do not belong together: expected a graph of its "
                    f"{len(self.item_ids_)} items, got one of {len(self.prior_.graph.item_ids_)}. Save the "
                    "recommender again."
                )

    @torch.inference_mode()
    def _item_vectors(self) -> npt.NDArray[np.float32]:
        vectors: npt.NDArray[np.float32] = self.network_.item_vectors().numpy().copy()
        return vectors
