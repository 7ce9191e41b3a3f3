"""GRU4Rec: a recurrent network over items, the first neural baseline of sequential recommendation.

Hidasi et al., "Session-based Recommendations with Recurrent Neural Networks", ICLR 2016 (arXiv 1511.06939).
One vector per item for input and output, and a softmax loss, make it a strong baseline (Hidasi and
Karatzoglou, CIKM 2018, arXiv 1706.03847).

Shapes: B users, T positions, P real positions, D = d_model, N items.
"""

from torch import Tensor, nn

from sidkit._settings import Count, Depth, Fraction, Width
from sidkit.models.layers.blocks import recur
from sidkit.models.layers.dropout import ByteDropout
from sidkit.models.next_item import NextItemModel

__all__ = ["GRU4RecNetwork"]


class GRU4RecNetwork(NextItemModel):
    """A GRU whose output at each position is scored against the vectors of all items.

    Args:
        items: number of items of the catalogue.
        d_model: width of the item vectors and of the recurrent state.
        layers: recurrent layers.
        dropout: dropout rate on item vectors and on the output of every layer.
        max_items: most recent items of a history that are encoded.
    """

    def __init__(
        self,
        items: Count,
        *,
        d_model: Width = 128,
        layers: Depth = 1,
        dropout: Fraction = 0.3,
        max_items: Width = 50,
    ) -> None:
        super().__init__()
        self.settings = {
            "items": items,
            "d_model": d_model,
            "layers": layers,
            "dropout": dropout,
            "max_items": max_items,
        }
        self.max_items = max_items
        self._add_items(items, d_model)
        self.layers = nn.ModuleList(nn.GRU(d_model, d_model, batch_first=True) for _ in range(layers))
        self.norm = nn.LayerNorm(d_model)
        self.dropout = ByteDropout(dropout)
        self._initialize_items()

    def hidden(self, history: Tensor) -> Tensor:
        """Encode histories, int64 (B, T), padded on the right with `items`, as (B, T, D)."""
        out: Tensor = self.norm(recur(self.layers, self.dropout, self.item(history)))  # (B, T, D)
        return out
