"""SASRec: a causal transformer over items, the strong baseline of sequential recommendation."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import nn

from sidkit._settings import Depth, Fraction, NonNegative, Positive, Width
from sidkit.models import SASRecNetwork
from sidkit.recommenders.neural import ScoringRecommender, check_heads

__all__ = ["SASRec"]


@dataclass(kw_only=True, eq=False, repr=False)
class SASRec(ScoringRecommender):
    """Self-attentive sequential recommendation (Kang and McAuley, ICDM 2018).

    A causal transformer over the items of a history whose output is scored against the vectors of all items,
    trained with the softmax over the catalogue. It needs no Semantic IDs.

    Example:
        >>> model = SASRec(epochs=20).fit(split.train, validation=split.validation)
        >>> ids, scores = model.recommend([50, 172, 181], k=10)
    """

    method: ClassVar[str] = "sasrec"
    network_class: ClassVar[type[nn.Module]] = SASRecNetwork

    epochs: Positive = 16.0
    min_steps: Annotated[int, Field(ge=0, le=2**31 - 1)] = 1500
    schedule: Literal["cosine", "constant"] = "constant"
    clip_norm: NonNegative = 0.0
    patience: Annotated[int, Field(ge=0)] = 10

    d_model: Width = 128
    """Width of the item vectors and of the transformer."""
    layers: Depth = 2
    """Transformer blocks."""
    heads: Width = 2
    """Attention heads; must divide `d_model`."""
    dropout: Fraction = 0.5
    """Dropout rate."""
    attention_dropout: Fraction = 0.5
    """Dropout rate of the attention weights."""
    scale_embeddings: bool = True
    """Multiply the item vectors that are encoded by the square root of `d_model`."""
    max_items: Width = 50
    """Most recent items of a history that are encoded."""

    def check_settings(self) -> None:
        """Check that `heads` divides `d_model`."""
        check_heads(self.d_model, self.heads)

    def _network(self, items: int) -> SASRecNetwork:
        return SASRecNetwork(
            items,
            d_model=self.d_model,
            layers=self.layers,
            heads=self.heads,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            scale_embeddings=self.scale_embeddings,
            max_items=self.max_items,
        )
