"""The transformer block that models over sequences of items share."""

from torch import Tensor, nn
from torch.nn import functional as F

from sidkit.models.dropout import ByteDropout

__all__ = ["CausalBlock"]


class CausalBlock(nn.Module):
    """Causal self-attention and a GELU feed-forward layer, both pre-normalized: (B, T, D) to (B, T, D).

    Args:
        d_model: width of the residual stream.
        heads: attention heads; must divide `d_model`.
        dropout: rate on the block's outputs and inside the feed-forward layer.
    """

    def __init__(self, d_model: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(d_model)
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(d_model),
            nn.Linear(d_model, 4 * d_model),
            nn.GELU(),
            ByteDropout(dropout),
            nn.Linear(4 * d_model, d_model),
            ByteDropout(dropout),
        )
        self.dropout = ByteDropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Let every position read itself and those before it."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, H, T, D/H)
            for part in self.qkv(self.attention_norm(x)).chunk(3, dim=-1)
        )
        mixed = (
            F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        )  # (B, T, D)
        x = x + self.dropout(self.out(mixed))
        out: Tensor = x + self.feed_forward(x)
        return out
