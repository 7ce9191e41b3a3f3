"""BSARec: self-attention in parallel with a low-pass filter over the items of a history."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import nn

from sidkit._settings import Depth, Fraction, NonNegative, Positive, Width
from sidkit.errors import ConfigError
from sidkit.models import BSARecNetwork
from sidkit.recommenders.neural import ScoringRecommender, check_heads

__all__ = ["BSARec"]


@dataclass(kw_only=True, eq=False, repr=False)
class BSARec(ScoringRecommender):
    """Sequential recommendation with an attentive inductive bias (Shin et al., AAAI 2024, arXiv 2312.10325).

    A SASRec whose layers mix self-attention with a low-pass filter over the history. It needs no Semantic
    IDs.

    Example:
        >>> model = BSARec().fit(split.train, validation=split.validation)
        >>> ids, scores = model.recommend([50, 172, 181], k=10)
    """

    method: ClassVar[str] = "bsarec"
    network_class: ClassVar[type[nn.Module]] = BSARecNetwork

    epochs: Positive = 30.0
    min_steps: Annotated[int, Field(ge=0, le=2**31 - 1)] = 3000
    schedule: Literal["cosine", "constant"] = "constant"
    clip_norm: NonNegative = 0.0
    patience: Annotated[int, Field(ge=0)] = 10

    d_model: Width = 64
    """Width of the item vectors and of the layers."""
    layers: Depth = 2
    """Layers of attention, filter and feed-forward network."""
    heads: Width = 1
    """Attention heads; must divide `d_model`."""
    dropout: Fraction = 0.5
    """Dropout rate."""
    attention_dropout: Fraction = 0.5
    """Dropout rate of the attention weights."""
    filter_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.7
    """Weight of the filter in each layer; that of attention is the rest."""
    frequencies: Width = 3
    """Lowest frequencies of a window of `max_items` that pass the filter, the mean included."""
    max_items: Width = 50
    """Most recent items of a history that are encoded."""

    def check_settings(self) -> None:
        """Check that `heads` divides `d_model`, and the share of the filter."""
        check_heads(self.d_model, self.heads)
        if not 0 <= self.filter_share <= 1:
            raise ConfigError(f"`filter_share` must be between 0 and 1, got {self.filter_share}")

    def _network(self, items: int) -> BSARecNetwork:
        return BSARecNetwork(
            items,
            d_model=self.d_model,
            layers=self.layers,
            heads=self.heads,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            filter_share=self.filter_share,
            frequencies=self.frequencies,
            max_items=self.max_items,
        )
