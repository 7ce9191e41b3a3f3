"""RQTransformer: one causal pass over items, then the Semantic ID of the next item."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sidkit._settings import Depth, Fraction, NonNegative, Width
from sidkit.data import EvaluationSet, Sequences
from sidkit.decode.dense import rank_by_rqtransformer
from sidkit.decode.options import RankOptions
from sidkit.decode.ranking import Ranked
from sidkit.errors import ConfigError
from sidkit.models import RQTransformerNetwork
from sidkit.models.sid_tree import check_normalization
from sidkit.recommenders.filters import Query
from sidkit.recommenders.neural import VALIDATION_K, GenerativeRecommender, Plan, check_heads, rank_options
from sidkit.recommenders.training_data import TrainingData
from sidkit.train.batches import Batch
from sidkit.train.options import EpochOptions, TokenOptions

__all__ = ["RQTransformer"]

_SHARES = (0.25, 0.5, 0.75)  # weights of the Semantic ID in `fused`, of which validation chooses one


@dataclass(kw_only=True, eq=False, repr=False)
class RQTransformer(TokenOptions, EpochOptions, GenerativeRecommender):
    """A transformer over items that generates the next Semantic ID from one vector.

    A history is encoded once, however wide the beam; each token is chosen among the children of the prefix so
    far. It is the fastest generative recommender to train and to use, and the default of `sidkit run`. With
    `dense`, a softmax over all items is trained as well, and `recommend` takes `scoring="dense"` and
    `scoring="fused"`.

    Example:
        >>> model = RQTransformer(epochs=12)
        >>> model.fit(split.train, sids=sids, item_vectors=x, validation=split.validation)
        >>> ids, log_probs = model.recommend([50, 172, 181], k=10)
    """

    method: ClassVar[str] = "rqtransformer"
    network_class: ClassVar[type[nn.Module]] = RQTransformerNetwork

    weight_averaging: Fraction = 0.2
    dense_weight: NonNegative = 1.0
    """Weight of the loss of the softmax over all items, relative to that of the tokens."""

    d_model: Width = 256
    """Width of the transformer."""
    layers: Depth = 2
    """Transformer blocks over the items of a history, or GRUs."""
    heads: Width = 4
    """Attention heads; must divide `d_model`."""
    dropout: Fraction = 0.4
    """Dropout rate."""
    attention_dropout: Fraction = 0.0
    """Dropout rate of the attention weights; not used by GRUs."""
    scale_embeddings: bool = False
    """Multiply the item vectors that attention encodes by the square root of `d_model`; not used by GRUs."""
    max_items: Width = 50
    """Most recent items of a history that are encoded."""
    content: bool = True
    """Use the item vectors in addition to the Semantic IDs, where `fit` is given some."""
    backbone: Literal["attention", "gru"] = "attention"
    """Encoder of a history: causal attention, or GRUs."""
    dense: bool = False
    """Train a softmax over all items in addition to the tokens."""
    normalization: Literal["level", "tree"] = "level"
    """Normalize tokens among the children of a prefix, or Semantic IDs over the whole tree; `tree` excludes
    `dense`."""

    @property
    def uses_item_vectors(self) -> bool:
        """True if `fit` uses item vectors."""
        return self.content

    @property
    def scorings(self) -> tuple[str, ...]:
        """Rankings that the recommender offers: `sid` by beam search; with `dense`, two more."""
        return ("sid", "dense", "fused") if self.dense else ("sid",)

    def check_settings(self) -> None:
        """Check the backbone and the normalization, and that `heads` divides `d_model`."""
        check_heads(self.d_model, self.heads)
        if self.backbone not in ("attention", "gru"):
            raise ConfigError(f"`backbone` must be `attention` or `gru`, got {self.backbone!r}")
        check_normalization(self.normalization, self.dense)

    def _plan(self, data: TrainingData) -> Plan:
        sids = data.require_sids()

        def loss(network: RQTransformerNetwork, batch: Batch) -> Tensor:
            losses: Tensor = network(batch.history, batch.target, **self._regularization())
            levels = len(network.sizes)
            return losses[:levels].sum() + self.dense_weight * losses[levels:].sum()

        def rank(network: RQTransformerNetwork, examples: EvaluationSet, exclude: Sequences | None) -> Ranked:
            by: Literal["fused", "sid"] = "fused" if network.dense else "sid"
            options = RankOptions(exclude=exclude)
            return rank_by_rqtransformer(network, examples.histories, VALIDATION_K, by=by, options=options)

        return Plan(
            network=RQTransformerNetwork.for_items(
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
                dense=self.dense,
                normalization=self.normalization,
            ),
            batches=self._sequence_batches(data),
            loss=loss,
            rank=rank,
            select=_select_share if self.dense else None,
        )

    def _rank_rows(self, histories: Sequences, k: int, query: Query) -> Ranked:
        if query.scoring == "sid":
            return super()._rank_rows(histories, k, query)
        by: Any = query.scoring
        return rank_by_rqtransformer(self.network_, histories, k, by=by, options=rank_options(query))

    @torch.inference_mode()
    def _item_vectors(self) -> npt.NDArray[np.float32]:
        vectors: npt.NDArray[np.float32] = self.network_.vectors()[1].float().numpy().copy()
        return vectors


def _select_share(network: RQTransformerNetwork, ndcg: Callable[[], float]) -> None:
    """Set the weight of the Semantic ID in the mixture to the best one on validation."""
    found = {}
    for network.sid_share in _SHARES:
        found[network.sid_share] = ndcg()
    network.sid_share = max(_SHARES, key=found.__getitem__)
    network.settings["sid_share"] = network.sid_share
