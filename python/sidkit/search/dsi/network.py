"""DSI's network: token vectors of a text to the tokens of a Semantic ID.

TIGER's encoder-decoder behind a linear layer. Shapes: B texts, S tokens of a text, E width of the token
vectors, D = d_model, L levels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sidkit.models.tiger import TIGERNetwork, TIGERState

__all__ = ["TextToSid"]


class TextToSid(nn.Module):
    """A TIGER that encodes texts instead of histories.

    Args:
        sizes: number of tokens of each level, collision token included.
        width: width of the token vectors of texts.
        max_tokens: largest number of tokens of a text.
        d_model: width of the network.
        layers: layers of the encoder, and of the decoder.
        dropout: dropout rate.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        width: int,
        *,
        max_tokens: int = 32,
        d_model: int = 128,
        layers: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.sizes = tuple(int(size) for size in sizes)
        self.front = nn.Linear(width, d_model)
        self.core = TIGERNetwork(
            sizes,
            d_model=d_model,
            heads=4,
            d_head=d_model // 4,
            d_ff=4 * d_model,
            encoder_layers=layers,
            decoder_layers=layers,
            dropout=dropout,
            max_items=max_tokens,
        )

    def encode(self, vectors: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode texts.

        Args:
            vectors: token vectors, (B, S, E).
            lengths: tokens of each text, int64 (B,).

        Returns:
            Memory (B, S, D), and the mask that is added to attention logits, (B, 1, 1, S).
        """
        absent = torch.arange(vectors.shape[1]) >= lengths[:, None]  # (B, S)
        mask = torch.zeros(absent.shape).masked_fill(absent, -torch.inf)[:, None, None]  # (B, 1, 1, S)
        return self.core.encode_vectors(self.front(vectors.float()), mask), mask

    def forward(self, vectors: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy of each token of the targets, int64 (B, L), as natural-log losses (L,)."""
        memory, mask = self.encode(vectors, lengths)
        return self.core.decode(memory, target, mask)

    def start(self, vectors: Tensor, lengths: Tensor) -> TIGERState:
        """Encode texts and prepare to decode, with one beam per text."""
        memory, mask = self.encode(vectors, lengths)
        return self.core.start_from(memory, mask)

    def next_log_probs(self, state: TIGERState, parents: Tensor | None, tokens: Tensor | None) -> Tensor:
        """Return log-probabilities of the next token, see `TIGERNetwork.next_log_probs`."""
        return self.core.next_log_probs(state, parents, tokens)
