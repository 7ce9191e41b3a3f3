"""GRU4Rec: a recurrent network over items."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import nn

from sidkit._settings import Depth, Fraction, NonNegative, Positive, Width
from sidkit.models import GRU4RecNetwork
from sidkit.recommenders.neural import ScoringRecommender

__all__ = ["GRU4Rec"]


@dataclass(kw_only=True, eq=False, repr=False)
class GRU4Rec(ScoringRecommender):
    """Recurrent recommendation (Hidasi et al., ICLR 2016), with a softmax over the catalogue.

    It needs no Semantic IDs.

    Example:
        >>> model = GRU4Rec().fit(split.train, validation=split.validation)
        >>> ids, scores = model.recommend([50, 172, 181], k=10)
    """

    method: ClassVar[str] = "gru4rec"
    network_class: ClassVar[type[nn.Module]] = GRU4RecNetwork

    epochs: Positive = 20.0
    min_steps: Annotated[int, Field(ge=0, le=2**31 - 1)] = 3000
    schedule: Literal["cosine", "constant"] = "constant"
    clip_norm: NonNegative = 0.0
    patience: Annotated[int, Field(ge=0)] = 10

    d_model: Width = 128
    """Width of the item vectors and of the recurrent state."""
    layers: Depth = 1
    """Recurrent layers."""
    dropout: Fraction = 0.3
    """Dropout rate."""
    max_items: Width = 50
    """Most recent items of a history that are encoded."""

    def _network(self, items: int) -> GRU4RecNetwork:
        return GRU4RecNetwork(
            items, d_model=self.d_model, layers=self.layers, dropout=self.dropout, max_items=self.max_items
        )
