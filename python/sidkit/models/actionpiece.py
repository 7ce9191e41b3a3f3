"""ActionPieceTIGER: TIGER over merged tokens, so that an item is encoded in its context.

Hou et al., "ActionPiece: Contextually Tokenizing Action Sequences for Generative Recommendation", ICML 2025
(arXiv 2502.13581). An item is the unordered set of its tokens. The tokens of a history are put in a random
order within each item (set permutation regularization), and frequent pairs of adjacent tokens, within one
item or in two consecutive items, are merged into one token. The same history has other merged tokens in every
epoch; to recommend, it is segmented in several ways, whose probabilities are averaged (section 3.3 of the
paper).

The next item is generated as by TIGER: its tokens in the order of their levels, under the trie. The paper
generates it as a set and searches once per segmentation; here, one search follows the average, which for a
prefix of tokens d_1 .. d_l is exactly that of the item:

    P(d_l | d_<l) = sum_v P_v(d_1 .. d_l) / sum_v P_v(d_1 .. d_l-1)        over the views v

Shapes: B users, V views (segmentations) of each history, n items of history, L tokens an item, S positions of
    the
longest segmentation, W beams a user, D = d_model, K_l tokens of level l.
"""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from sidkit._arguments import Size
from sidkit._settings import Depth, Fraction, Width
from sidkit.errors import ConfigError, DataError, FormatError
from sidkit.models.tiger import TIGERNetwork, TIGERState
from sidkit.tokenizers.actionpiece.vocabulary import MergedVocabulary

__all__ = ["ActionPieceNetwork", "ActionPieceState"]


class ActionPieceNetwork(nn.Module):
    """An encoder of merged tokens, and TIGER's decoder of tokens.

    `ActionPieceNetwork.of_pieces` makes one for a vocabulary; the constructor is for loading.

    Args:
        sizes: number of tokens of each level, collision token included: `(256, 256, 256, 32)`.
        merges: number of merged tokens.
        views: segmentations of a history whose probabilities are averaged; more are better and slower (the
            paper has 5).
        d_model: width of the residual stream.
        heads: attention heads of `d_head` each.
        d_head: width of a head.
        d_ff: width of the feed-forward layers.
        encoder_layers: layers of the encoder.
        decoder_layers: layers of the decoder.
        dropout: dropout rate on embeddings, attention weights, feed-forward activations and block outputs.
        max_items: most recent items of a history that are encoded; earlier ones are ignored.
    """

    inputs: Literal["tokens", "items"] = "tokens"
    user_buckets = 0
    merges: Tensor

    def __init__(
        self,
        sizes: Sequence[int],
        merges: Size,
        *,
        views: Width = 5,
        d_model: Width = 128,
        heads: Width = 6,
        d_head: Width = 64,
        d_ff: Width = 1024,
        encoder_layers: Depth = 4,
        decoder_layers: Depth = 4,
        dropout: Fraction = 0.1,
        max_items: Width = 20,
    ) -> None:
        super().__init__()
        if not isinstance(views, int) or views < 1:
            raise ConfigError(f"`views` must be an integer >= 1, got {views!r}")
        self.sizes = tuple(int(size) for size in sizes)
        self.views = views
        self.max_items = max_items
        self.register_buffer("merges", torch.zeros(merges, 2, dtype=torch.int64))
        self.padding = sum(self.sizes) + merges  # the padding token
        self.pieces = nn.Embedding(self.padding + 1, d_model, padding_idx=self.padding)
        nn.init.normal_(self.pieces.weight[: self.padding], std=0.05)
        self.tiger = TIGERNetwork(
            sizes,
            d_model=d_model,
            heads=heads,
            d_head=d_head,
            d_ff=d_ff,
            encoder_layers=encoder_layers,
            decoder_layers=decoder_layers,
            dropout=dropout,
            max_items=max_items,
        )
        self.settings = {"merges": merges, "views": views, **self.tiger.settings}
        del self.settings["user_buckets"], self.settings["encoder"]
        self.register_load_state_dict_post_hook(_check_merges)  # type: ignore[no-untyped-call]

    @classmethod
    def of_pieces(cls, pieces: MergedVocabulary, **sizes: int | float) -> "ActionPieceNetwork":
        """Make a network with initial weights for the vocabulary of merged tokens."""
        model = cls(pieces.sizes, len(pieces.merges), **sizes)  # type: ignore[arg-type]
        model.merges.copy_(torch.from_numpy(pieces.merges.astype(np.int64)))
        return model

    @cached_property
    def vocabulary(self) -> MergedVocabulary:
        """Vocabulary of merged tokens."""
        return MergedVocabulary(self.sizes, self.merges.cpu().numpy())

    def forward(
        self, history: Tensor, target: Tensor, *, label_smoothing: float = 0.0, token_masking: float = 0.0
    ) -> Tensor:
        """Return the cross-entropy of each token of the next item, given the tokens before it.

        Args:
            history: merged tokens of histories, int64 (B, S), one segmentation of each, padded on the right
                with `padding`. No row is padding only.
            target: tokens of the item that came next, int64 (B, L).
            label_smoothing: share of each target that is spread evenly over the tokens of its level.
            token_masking: share of merged tokens whose vectors are zero, drawn at every call.

        Returns:
            Natural-log losses, f32 (L,): the mean over the batch for each level. Their sum is the loss of an
            item.
        """
        mask = self._mask(history)
        x = self.pieces(history)  # (B, S, D)
        if token_masking:
            # Drawn on the CPU, as dropout is, so that a training continues from its checkpoint on any device.
            masked = torch.rand(history.shape) < token_masking
            x = x.masked_fill(masked.to(x.device)[..., None], 0.0)
        memory = self.tiger.encode_vectors(x, mask)
        return self.tiger.decode(memory, target, mask, label_smoothing=label_smoothing)

    def start(self, history: Tensor, users: Tensor | None = None) -> "ActionPieceState":
        """Encode all views of histories and prepare to decode, with one beam per user.

        View v of a history orders the tokens of its items by the v-th random seed, which depends on nothing
        else, so a user gets the same recommendations in any batch.

        Args:
            history: tokens of the items, oldest first, int64 (B, n, L), all of equal length.
            users: not used.
        """
        history = history[:, -self.max_items :]
        pieces = self._segmented(history).to(history.device)  # (B·V, S)
        mask = self._mask(pieces)
        memory = self.tiger.encode_vectors(self.pieces(pieces), mask)  # (B·V, S, D)
        return ActionPieceState(self.tiger.start_from(memory, mask), len(history), self.views)

    def next_log_probs(
        self, state: "ActionPieceState", parents: Tensor | None, tokens: Tensor | None
    ) -> Tensor:
        """Return log-probabilities of the next token for every beam, and advance the state.

        Args:
            state: from `start`, changed in place.
            parents: former row that each row continues, int64 (B·W,); `None` at the first level.
            tokens: last token of each row, int64 (B·W,); `None` at the first level.

        Returns:
            f32 (B·W, K_level), normalized over the whole level: logarithms of the views' mean probabilities.
        """
        if parents is None or tokens is None:
            found = self.tiger.next_log_probs(state.tiger, None, None)  # (B·V, K)
        else:
            found = self.tiger.next_log_probs(state.tiger, *state.extend(parents, tokens))  # (B·V·W, K)
        return state.mean(found)

    def _segmented(self, history: Tensor) -> Tensor:
        """Return the merged tokens of every view of histories, int64 (B·V, S), padded with `padding`."""
        users, items, levels = history.shape
        viewed = history.repeat_interleave(self.views, dim=0).reshape(-1, levels)  # (B·V·n, L)
        offsets = np.arange(users * self.views + 1) * items
        seeds = np.tile(np.arange(self.views, dtype=np.uint64), users)
        vocabulary = self.vocabulary
        merged = vocabulary.segment(vocabulary.tokens(viewed.cpu().numpy()), offsets, seeds)
        return torch.from_numpy(merged.padded(self.padding))

    def _mask(self, pieces: Tensor) -> Tensor | None:
        """Return the attention mask of padding, (B, 1, 1, S): 0, or -inf where there is padding."""
        padding = pieces == self.padding  # (B, S)
        if not padding.any():
            return None
        mask = torch.zeros(padding.shape, device=pieces.device).masked_fill(padding, -math.inf)
        return mask[:, None, None]


class ActionPieceState:
    """Incremental decoding state.

    Attributes:
        tiger: state of the decoder, whose users are the views: (user 0, view 0), (user 0, view 1), ..
        users: number of histories that are decoded.
        views: number of views of each.
        weights: natural log of each view's posterior weight, given what a beam has generated, (B, V, W).
        joint: `weights` plus the view's log-probability of each next token, (B, V, W, K).
    """

    def __init__(self, tiger: TIGERState, users: int, views: int) -> None:
        self.tiger = tiger
        self.users = users
        self.views = views
        self.weights = torch.zeros(users, views, 1)
        self.joint = torch.zeros(users, views, 1, 0)

    def extend(self, parents: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Let rows (B·W,) continue former rows; return parents and tokens of the views, (B·V·W,) each."""
        before = self.joint.shape[2]  # former beams per user
        user = torch.arange(self.users, device=parents.device)[:, None]  # (B, 1)
        beam = parents.view(self.users, -1) - user * before  # (B, W), among the user's former beams
        view = user[:, None] * self.views + torch.arange(self.views, device=parents.device)[:, None]
        added = tokens.view(self.users, 1, -1).expand(-1, self.views, -1)  # (B, V, W)
        joint = self.joint.gather(2, beam[:, None, :, None].expand(-1, self.views, -1, self.joint.shape[3]))
        joint = joint.gather(3, added[..., None])[..., 0]  # (B, V, W)
        self.weights = joint - joint.logsumexp(1, keepdim=True)
        return (view * before + beam[:, None]).flatten(), added.flatten()

    def mean(self, log_probs: Tensor) -> Tensor:
        """Average the views' probabilities, given as logarithms (B·V·W, K); f32 (B·W, K)."""
        each = log_probs.view(self.users, self.views, -1, log_probs.shape[1])  # (B, V, W, K)
        if self.joint.shape[3] == 0:  # the first token: all views have the same weight
            self.weights = torch.full_like(each[..., 0], -math.log(self.views))
        self.joint = self.weights[..., None] + each
        return self.joint.logsumexp(1).flatten(0, 1)


def _check_merges(model: ActionPieceNetwork, keys: object) -> None:
    """Check the loaded merges, and drop the vocabulary of former ones."""
    model.__dict__.pop("vocabulary", None)
    try:
        _ = model.vocabulary
    except DataError as error:
        raise FormatError(
            f"the weights hold merges that make no vocabulary: {error}. Train the model again."
        ) from error
