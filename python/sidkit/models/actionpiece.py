"""ActionPieceTIGER: TIGER whose histories are pieces, so that an item is read as its neighbours have it.

Hou et al., "ActionPiece: Contextually Tokenizing Action Sequences for Generative Recommendation", ICML 2025
(arXiv 2502.13581). An item is the unordered set of its tokens. Those of a whole history are put in a random
order within each item (set permutation regularization), and what often stands side by side, in one item or in
two that follow each other, is merged into one token: a piece. The same history has other pieces in every
epoch; to recommend, it is read in several ways and their probabilities are averaged (section 3.3 there).

The next item is written as by TIGER: its tokens in the order of their levels, under the trie. The paper
writes it as a set and searches once for every reading; here one search is led by the average, which for a
prefix of tokens d_1 .. d_l is exactly that of the item:

    P(d_l | d_<l) = sum_v P_v(d_1 .. d_l) / sum_v P_v(d_1 .. d_l-1)        over the readings v

Shapes: B users, V views (readings) of each history, n items of history, L tokens an item, S positions of the
longest reading, W beams a user, D = d_model, K_l tokens of level l.
"""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from sidkit.errors import ConfigError, DataError, FormatError
from sidkit.models.tiger import TIGERNetwork, TigerState
from sidkit.tokenizers.actionpiece.vocabulary import MergedVocabulary

__all__ = ["ActionPieceNetwork", "ActionPieceState"]


class ActionPieceNetwork(nn.Module):
    """An encoder of pieces and TIGER's decoder of tokens.

    `ActionPieceTIGER.of_pieces` builds one for a vocabulary; the constructor is for loading.

    Args:
        sizes: how many tokens each level has, collision token included: `(256, 256, 256, 32)`.
        merges: how many pieces there are beside single tokens.
        views: in how many ways a history is read to recommend; more are better and slower (the paper has 5).
        d_model: width of the residual stream.
        heads: attention heads of `d_head` each.
        d_head: width of a head.
        d_ff: width of the feed-forward layers.
        encoder_layers: layers of the encoder.
        decoder_layers: layers of the decoder.
        dropout: rate on embeddings, attention weights, feed-forward activations and block outputs.
        max_items: the most recent items of a history that are read; earlier ones are ignored.
    """

    kind = "actionpiece"
    inputs: Literal["tokens", "items"] = "tokens"
    user_buckets = 0
    merges: Tensor

    def __init__(
        self,
        sizes: Sequence[int],
        merges: int,
        *,
        views: int = 5,
        d_model: int = 128,
        heads: int = 6,
        d_head: int = 64,
        d_ff: int = 1024,
        encoder_layers: int = 4,
        decoder_layers: int = 4,
        dropout: float = 0.1,
        max_items: int = 20,
    ) -> None:
        super().__init__()
        if not isinstance(views, int) or views < 1:
            raise ConfigError(f"a history is read in at least one view, views is {views!r}")
        self.sizes = tuple(int(size) for size in sizes)
        self.views = views
        self.max_items = max_items
        self.register_buffer("merges", torch.zeros(merges, 2, dtype=torch.int64))
        self.padding = sum(self.sizes) + merges  # the token that stands for nothing
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
        del self.settings["user_buckets"]
        self.register_load_state_dict_post_hook(_read_anew)  # type: ignore[no-untyped-call]

    @classmethod
    def of_pieces(cls, pieces: MergedVocabulary, **sizes: int | float) -> "ActionPieceNetwork":
        """A model with its first weights, of the vocabulary that histories are read with."""
        model = cls(pieces.sizes, len(pieces.merges), **sizes)  # type: ignore[arg-type]
        model.merges.copy_(torch.from_numpy(pieces.merges.astype(np.int64)))
        return model

    @cached_property
    def vocabulary(self) -> MergedVocabulary:
        """What turns tokens into pieces."""
        return MergedVocabulary(self.sizes, self.merges.cpu().numpy())

    def forward(
        self, history: Tensor, target: Tensor, *, label_smoothing: float = 0.0, token_masking: float = 0.0
    ) -> Tensor:
        """The cross-entropy of each token of the next item, given the tokens before it (teacher forcing).

        Args:
            history: pieces of histories, int64 (B, S), one reading of each; the shorter are filled up on the
                right with `padding`. None is padding alone.
            target: tokens of the item that came next, int64 (B, L).
            label_smoothing: the share of each target that is spread evenly over the tokens of its level.
            token_masking: the share of pieces whose vectors are zero, a fresh draw at every call.

        Returns:
            Natural-log losses, f32 (L,): the mean over the batch for each level. Their sum is the loss of an
            item.
        """
        hidden = self._hidden(history)
        x = self.pieces(history)  # (B, S, D)
        if token_masking:
            # Drawn where dropout is, so that a training goes on from its checkpoint on any device.
            covered = torch.rand(history.shape) < token_masking
            x = x.masked_fill(covered.to(x.device)[..., None], 0.0)
        return self.tiger.write(self.tiger.read(x, hidden), target, hidden, label_smoothing=label_smoothing)

    def start(self, history: Tensor, users: Tensor | None = None) -> "ActionPieceState":
        """Read histories, each in all views, and prepare to decode: one beam a user, nothing written yet.

        View v of a history puts the tokens of its items in the v-th of `views` orders: which, depends on
        nothing else, so a user has the same recommendations in any batch.

        Args:
            history: tokens of the items, oldest first, int64 (B, n, L), all of equal length.
            users: not used.
        """
        history = history[:, -self.max_items :]
        pieces = self._readings(history).to(history.device)  # (B·V, S)
        hidden = self._hidden(pieces)
        memory = self.tiger.read(self.pieces(pieces), hidden)  # (B·V, S, D)
        return ActionPieceState(self.tiger.start_from(memory, hidden), len(history), self.views)

    def next_log_probs(
        self, state: "ActionPieceState", parents: Tensor | None, tokens: Tensor | None
    ) -> Tensor:
        """Log-probabilities of the next token for every beam, and one more step of the state.

        Args:
            state: from `start`, changed in place.
            parents: which former row each row continues, int64 (B·W,); `None` at the first level.
            tokens: the token each row has just been given, int64 (B·W,); `None` at the first level.

        Returns:
            f32 (B·W, K_level), normalized over the whole level: of the mean of the views' probabilities.
        """
        if parents is None or tokens is None:
            found = self.tiger.next_log_probs(state.tiger, None, None)  # (B·V, K)
        else:
            found = self.tiger.next_log_probs(state.tiger, *state.give(parents, tokens))  # (B·V·W, K)
        return state.mean(found)

    def _readings(self, history: Tensor) -> Tensor:
        """The pieces of every view of histories, int64 (B·V, S), filled up on the right with `padding`."""
        users, items, levels = history.shape
        viewed = history.repeat_interleave(self.views, dim=0).reshape(-1, levels)  # (B·V·n, L)
        offsets = np.arange(users * self.views + 1) * items
        seeds = np.tile(np.arange(self.views, dtype=np.uint64), users)
        vocabulary = self.vocabulary
        read = vocabulary.segment(vocabulary.tokens(viewed.cpu().numpy()), offsets, seeds)
        return torch.from_numpy(read.padded(self.padding))

    def _hidden(self, pieces: Tensor) -> Tensor | None:
        """What is added to the attention to each position, (B, 1, 1, S), so that none goes to padding."""
        nothing = pieces == self.padding  # (B, S)
        if not nothing.any():
            return None
        hidden = torch.zeros(nothing.shape, device=pieces.device).masked_fill(nothing, -math.inf)
        return hidden[:, None, None]


class ActionPieceState:
    """What decoding keeps between tokens.

    Attributes:
        tiger: the state of the decoder, whose users are the views: (user 0, view 0), (user 0, view 1), ..
        users: how many histories are decoded.
        views: how many readings of each.
        written: by how much each view has what a beam has written more likely than all views together, as
            natural logarithms, (B, V, W): how much the view counts in what comes next.
        found: the same with each token behind it, (B, V, W, K).
    """

    def __init__(self, tiger: TigerState, users: int, views: int) -> None:
        self.tiger = tiger
        self.users = users
        self.views = views
        self.written = torch.zeros(users, views, 1)
        self.found = torch.zeros(users, views, 1, 0)

    def give(self, parents: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Let rows (B·W,) continue former ones by a token; parents and tokens of the views, (B·V·W,) each."""
        before = self.found.shape[2]  # beams a user that there were
        user = torch.arange(self.users, device=parents.device)[:, None]  # (B, 1)
        beam = parents.view(self.users, -1) - user * before  # (B, W), of the user's former ones
        view = user[:, None] * self.views + torch.arange(self.views, device=parents.device)[:, None]
        added = tokens.view(self.users, 1, -1).expand(-1, self.views, -1)  # (B, V, W)
        joint = self.found.gather(2, beam[:, None, :, None].expand(-1, self.views, -1, self.found.shape[3]))
        joint = joint.gather(3, added[..., None])[..., 0]  # (B, V, W)
        self.written = joint - joint.logsumexp(1, keepdim=True)
        return (view * before + beam[:, None]).flatten(), added.flatten()

    def mean(self, log_probs: Tensor) -> Tensor:
        """Average the views' log-probabilities (B·V·W, K) of the next token, f32 (B·W, K)."""
        each = log_probs.view(self.users, self.views, -1, log_probs.shape[1])  # (B, V, W, K)
        if self.found.shape[3] == 0:  # nothing is written: all views count alike
            self.written = torch.full_like(each[..., 0], -math.log(self.views))
        self.found = self.written[..., None] + each
        return self.found.logsumexp(1).flatten(0, 1)


def _read_anew(model: ActionPieceNetwork, keys: object) -> None:
    """Check the merges that have been loaded, and forget what was made of former ones."""
    model.__dict__.pop("vocabulary", None)
    try:
        _ = model.vocabulary
    except DataError as error:
        raise FormatError(
            f"the weights hold merges that make no vocabulary ({error}); train the model again"
        ) from error
