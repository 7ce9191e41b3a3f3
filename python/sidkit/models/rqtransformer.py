"""RQTransformer: one causal pass over items, then the Semantic ID of the next item, token by token.

After Lee et al., "Autoregressive Image Generation using Residual Quantization", CVPR 2022 (arXiv 2203.01941):
a network over positions, each position the sum of its code vectors, and a small model over the codes of one
position. All positions of a history are trained in one pass, and a history is encoded once for any beam
width.

The small model is not a transformer here. The score of a prefix is the inner product of the position's vector
with the vector of the prefix (`NodeVectors`), and the probability of a Semantic ID is its softmax over the
whole tree. The probability of a token is then the mass of the Semantic IDs under the child, divided by that
under the prefix: a distribution that is normalized once and not at every level, which avoids the label bias
of locally normalized models (Lafferty et al., ICML 2001). Items are encoded by the same vectors, so input and
output share parameters.

In a large catalogue (`sample_above`), there is a softmax over the children of each prefix instead, estimated
from a sample of the children with log-q correction (Bengio and Senécal, IEEE Transactions on Neural Networks
2008). Children of one prefix compete closely, so a few of them tell more than many of the whole catalogue. A
training step then costs the same for any size of the catalogue.

Shapes: B users, T positions, P real positions, N items, L levels, M nodes of the tree, D = d_model.
"""

from collections.abc import Sequence
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sidkit._arguments import Size
from sidkit._settings import Count, Depth, Fraction, Width
from sidkit.errors import ConfigError
from sidkit.models.layers.blocks import CausalBlock, recur
from sidkit.models.layers.dropout import ByteDropout
from sidkit.models.layers.lengths import length_groups
from sidkit.models.layers.softmax import softmax_loss
from sidkit.models.tree.decoding import TreeState, TreeVectors, advance, leaf_log_probs
from sidkit.models.tree.growth import grow
from sidkit.models.tree.node_sampler import NodeSampler
from sidkit.models.tree.node_vectors import NodeVectors, node_counts
from sidkit.models.tree.sibling_sample import SiblingSample
from sidkit.models.tree.sid_tree import SidTree

__all__ = ["RQTransformerNetwork"]


class RQTransformerNetwork(nn.Module):
    """A generative network that knows the tree of existing Semantic IDs.

    `RQTransformerNetwork.for_items` makes one for a table; the constructor is for loading.

    Args:
        sizes: number of tokens of each level, collision token included.
        level_nodes: number of prefixes of each length.
        items: number of items.
        content: dimensions of the items' content vectors, 0 for none.
        shared_content: see `NodeVectors`.
        half: whether content is stored in float16.
        d_model: width of the vectors.
        layers: GRUs, or transformer blocks.
        heads: attention heads; must divide `d_model`.
        dropout: dropout rate on item vectors and in the layers.
        attention_dropout: dropout rate on attention weights; not used by GRUs.
        scale_embeddings: multiply the item vectors that attention encodes by the square root of `d_model`,
            see `SASRecNetwork`; not used by GRUs.
        max_items: most recent items of a history that are encoded.
        backbone: encoder of a history: GRUs as in GRU4Rec (Hidasi et al., ICLR 2016), or causal attention.
        prefix_rows: rows of the table of prefixes; with more prefixes than rows, these are hashed.
        sample_above: number of Semantic IDs up to which there is one softmax over all of them.
        owned: see `NodeVectors`.
        added: see `NodeVectors`.
        imputed: see `NodeVectors`.

    Raises:
        ConfigError: if `heads` does not divide `d_model`.
    """

    inputs: Literal["tokens", "items"] = "items"
    user_buckets = 0
    #: Added to the scores of Semantic IDs without a vector of their own in evaluation, see `NodeVectors`.
    new_item_bias: float = 0.0

    def __init__(
        self,
        sizes: Sequence[int],
        level_nodes: Sequence[int],
        items: Count,
        *,
        content: Size = 0,
        shared_content: Size = 0,
        half: bool = False,
        d_model: Width = 256,
        layers: Depth = 1,
        heads: Width = 4,
        dropout: Fraction = 0.4,
        attention_dropout: Fraction = 0.0,
        scale_embeddings: bool = True,
        max_items: Width = 50,
        backbone: Literal["gru", "attention"] = "gru",
        prefix_rows: Count = 2**18,
        sample_above: Size = 2**15,
        owned: Size | None = None,
        added: Size = 0,
        imputed: Size = 0,
    ) -> None:
        super().__init__()
        if d_model % heads:
            raise ConfigError(f"`d_model` must be a multiple of `heads`, got {d_model} with {heads} heads")
        if backbone not in ("attention", "gru"):
            raise ConfigError(f"`backbone` must be `attention` or `gru`, got {backbone!r}")
        self.settings: dict[str, Any] = {
            "sizes": [int(size) for size in sizes],
            "level_nodes": [int(count) for count in level_nodes],
            "items": items,
            "content": content,
            "shared_content": shared_content,
            "half": half,
            "d_model": d_model,
            "layers": layers,
            "heads": heads,
            "dropout": dropout,
            "attention_dropout": attention_dropout,
            "scale_embeddings": scale_embeddings,
            "max_items": max_items,
            "backbone": backbone,
            "prefix_rows": prefix_rows,
            "sample_above": sample_above,
            "owned": owned,
            "added": added,
            "imputed": imputed,
        }
        self.sizes = tuple(int(size) for size in sizes)
        self.items = items
        self.max_items = max_items
        self.sample_above = sample_above
        self.vectors = NodeVectors(
            self.sizes,
            level_nodes,
            items,
            content=content,
            shared_content=shared_content,
            half=half,
            d_model=d_model,
            rows=prefix_rows,
            owned=owned,
            added=added,
            imputed=imputed,
        )
        self.backbone = backbone
        self.norm = nn.LayerNorm(d_model)
        self.dropout = ByteDropout(dropout)
        if backbone == "gru":
            self.recurrent = nn.ModuleList(nn.GRU(d_model, d_model, batch_first=True) for _ in range(layers))
        else:
            self.scale = d_model**0.5 if scale_embeddings else 1.0
            self.position = nn.Embedding(max_items, d_model)
            nn.init.normal_(self.position.weight, std=0.02)
            blocks = [CausalBlock(d_model, heads, dropout, attention_dropout) for _ in range(layers)]
            self.blocks = cast("list[CausalBlock]", nn.ModuleList(blocks))

    @classmethod
    def for_items(
        cls,
        sizes: Sequence[int],
        tokens: npt.NDArray[np.integer],
        vectors: npt.NDArray[np.floating] | None = None,
        **settings: Any,
    ) -> "RQTransformerNetwork":
        """Make a network with initial weights for a table of Semantic IDs.

        Args:
            sizes: number of tokens of each level.
            tokens: Semantic ID of every item, (N, L).
            vectors: content vector of every item, f16 or f32 (N, F), possibly memory-mapped.
            settings: see the class.

        Raises:
            ConfigError: if `vectors` has not one row per item, or the tokens do not fit the sizes.
            DataError: if there is no item or no level.
        """
        if tokens.ndim == 2 and tokens.size:
            least, most = tokens.min(0).tolist(), tokens.max(0).tolist()
            fits = len(sizes) == len(most) and all(top < size for top, size in zip(most, sizes, strict=True))
            if not fits or min(least) < 0:
                raise ConfigError(
                    f"`tokens` must have one column for each of the `sizes` {[int(size) for size in sizes]} "
                    f"and be below them, got columns from {least} to {most}"
                )
        if vectors is not None and (vectors.ndim != 2 or len(vectors) != len(tokens)):
            raise ConfigError(
                f"`vectors` must be one row for each of the {len(tokens)} items, got {vectors.shape}"
            )
        tree = SidTree.of(tokens)
        if vectors is not None:
            settings["content"] = vectors.shape[1]
            settings["shared_content"] = int((node_counts(tree) > 1).sum())
            settings["half"] = vectors.dtype == np.float16
        model = cls(sizes, tree.level_nodes, len(tokens), **settings)
        model.vectors.fill(tokens, tree, vectors)
        return model

    def with_state(self, settings: dict[str, Any], state: dict[str, Any]) -> "RQTransformerNetwork":
        """Return a network with other settings and weights, in evaluation mode."""
        with torch.device("meta"):
            other = type(self)(**settings)
        other.load_state_dict(state, assign=True)
        return other.eval()

    @torch.inference_mode()
    def with_items(
        self, tokens: npt.NDArray[np.integer], vectors: npt.NDArray[np.floating] | None = None
    ) -> "RQTransformerNetwork":
        """Return a network for a catalogue with new items, in evaluation mode; the weights are shared.

        Args:
            tokens: Semantic ID of every item, the new ones last, (N + A, L).
            vectors: content vectors of the new items, f16 or f32 (A, F), if the network uses content.
        """
        growth = grow(self.vectors, tokens, vectors)
        leaves = growth.settings["level_nodes"][-1]
        settings = self.settings | growth.settings
        settings["added"] = self.settings["added"] + len(tokens) - self.items
        if self.exact:
            settings["sample_above"] = max(self.sample_above, leaves)
        state = self.state_dict() | {f"vectors.{name}": value for name, value in growth.state.items()}
        other = self.with_state(settings, state)
        if self._ready is not None:
            other._ready = self._ready.grown(other.vectors, other.sample_above, growth)
        return other

    @property
    def tree(self) -> SidTree:
        """The Semantic IDs."""
        return self.vectors.tree

    @property
    def exact(self) -> bool:
        """True if there is one softmax over all Semantic IDs, False if there is one for each prefix."""
        return self.tree.level_nodes[-1] <= self.sample_above

    def sampler(self, counts: npt.NDArray[np.integer], negatives: int) -> NodeSampler | None:
        """Return the sampler that a training of a large catalogue needs, None if the softmax is exact.

        Args:
            counts: training events of each item, int64 (N,).
            negatives: nodes drawn at each level for each target.
        """
        return None if self.exact else NodeSampler(self.tree, counts, negatives)

    def encode(self, history: Tensor, inputs: Tensor) -> Tensor:
        """Encode histories, padded on the right with any number of `items` or above.

        Args:
            history: item indices, oldest first, int64 (B, T) with T <= `max_items`.
            inputs: vector of the item at each position, (B, T, D).

        Returns:
            (B, T, D). A position depends on itself and those before it, so padding on the right does not
            affect a real one.
        """
        x = inputs.masked_fill((history >= self.items)[..., None], 0.0)
        if self.backbone == "gru":
            x = recur(self.recurrent, self.dropout, x)  # (B, T, D)
        else:
            places = self.position(torch.arange(history.shape[1], device=history.device))
            x = self.dropout(x * self.scale + places)
            for block in self.blocks:
                x = block(x)  # (B, T, D)
        out: Tensor = self.norm(x)
        return out

    def forward(
        self,
        history: Tensor,
        target: Tensor,
        *,
        sampler: NodeSampler | None = None,
        label_smoothing: float = 0.0,
        token_masking: float = 0.0,
    ) -> Tensor:
        """Return the mean cross-entropy of the next item over all real positions.

        Args:
            history: int64 (B, T), padded on the right with `items`.
            target: the item that followed each position, int64 (B, T), padded likewise.
            sampler: sampler of nodes in a large catalogue, from `sampler`.
            label_smoothing: share of each target that is spread evenly over all Semantic IDs; not used where
                they are sampled.
            token_masking: share of the tokens read that are hidden, with those after them, a fresh draw at
                every call.

        Returns:
            Natural-log losses, f32: of the Semantic ID among all, (1,); with a sampler, of each token among
            those that continue the prefix before it, (L,), whose sum is that of the Semantic ID.
        """
        real = target < self.items  # (B, T)
        leaf = self.tree.leaf
        read = torch.where(history < self.items, leaf[history.clamp(max=self.items - 1)], -1).long()  # (B, T)
        if token_masking:
            read = self._masked(read, token_masking)
        goals = self.tree.paths(leaf[target[real]].long()).flip(-1)  # (P, L)
        if sampler is None:
            leaves = self.tree.leaves
            every = torch.arange(leaves.start, leaves.stop, device=leaf.device)
            h, vectors, (place,) = self._encoded(history, real, read, [every])
            candidates = nn.functional.embedding(place, vectors)
            goal = goals[:, -1] - leaves.start
            return softmax_loss(h, candidates, goal, label_smoothing=label_smoothing)[None] / len(h)
        sample = SiblingSample.draw(sampler, goals)
        h, vectors, places = self._encoded(history, real, read, sample.nodes)
        return sample.losses(h, vectors, places) / len(h)

    def _encoded(
        self, history: Tensor, real: Tensor, read: Tensor, needed: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Encode histories, and compute the vectors of the nodes that a step needs, each once.

        Args:
            history: int64 (B, T).
            real: positions with a target, bool (B, T).
            read: node of each position, int64 (B, T).
            needed: nodes, int64 of any shapes; -1 has a vector of zeros.

        Returns:
            Vectors of the positions with a target, f32 (P, D), those of distinct nodes, (n, D), and the
            places of `needed` among the latter.
        """
        flat = torch.cat([read.flatten(), *(part.flatten() for part in needed)])
        flat = torch.where(flat >= 0, self.vectors.lone_leaves[flat.clamp(min=0)], -1)
        nodes, place = torch.unique(flat, return_inverse=True)
        vectors = self.vectors(nodes)  # (n, D)
        places = torch.split(place, [read.numel(), *(part.numel() for part in needed)])
        inputs = places[0].view(read.shape)  # (B, T)
        h = torch.cat(
            [
                self.encode(history[rows, :width], nn.functional.embedding(inputs[rows, :width], vectors))[
                    real[rows, :width]
                ]
                for rows, width in length_groups(real.sum(1))
            ]
        ).float()  # (P, D)
        return h, vectors, [at.view(part.shape) for at, part in zip(places[1:], needed, strict=True)]

    def _masked(self, read: Tensor, masking: float) -> Tensor:
        """Replace nodes by the prefix in front of their first masked token, -1 if that is the first."""
        path = self.tree.paths(read)  # (..., L), the whole Semantic ID first
        hidden = torch.rand(path.shape, device=path.device) < masking
        # Tokens counted from the first; the longest prefix without a hidden one.
        kept = (~hidden.flip(-1)).cumprod(-1).sum(-1)  # (...)
        longer = torch.cat([path, path.new_full((*path.shape[:-1], 1), -1)], -1)
        return longer.gather(-1, (self.tree.levels - kept)[..., None])[..., 0]

    def hidden(self, history: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the vector at the end of each history, which predicts the next item, f32 (B, D).

        Args:
            history: item indices, int64 (B, T), padded on the right with `items` where `lengths` are given.
            lengths: length of each history, int64 (B,); T if None. An empty history has a vector, too.
        """
        if history.shape[1] == 0:
            history = history.new_full((len(history), 1), self.items)
        ready = self._frozen()
        read = self.tree.leaf[history.clamp(max=self.items - 1)].long()  # (B, T)
        hidden = self.encode(history, ready.of_leaves(read.flatten()).view(*read.shape, -1))
        if lengths is None:
            return hidden[:, -1].float()
        ends = (lengths - 1).clamp(min=0)
        return hidden[torch.arange(len(history), device=ends.device), ends].float()

    def item_vectors(self) -> Tensor:
        """Return the vectors of all items, f32 (N, D)."""
        return self._frozen().of_leaves(self.tree.leaf.long())

    def item_log_probs(self, hidden: Tensor) -> Tensor:
        """Return natural-log probabilities of all items' Semantic IDs, (B, N), scoring every one of them.

        Args:
            hidden: vector at the end of each history, f32 (B, D).

        Raises:
            ConfigError: if there are too many Semantic IDs.
        """
        scores = leaf_log_probs(self._frozen(), hidden, self.exact)  # (B, M_last)
        if scores is None:
            raise ConfigError(f"{self.items} items are too many to score all of them: use beam search")
        return scores.index_select(1, self.tree.leaf.long() - self.tree.leaves.start)

    def item_scores(self, history: Tensor, lengths: Tensor) -> Tensor:
        """Return `item_log_probs` after histories of some lengths, int64 (B,), padded on the right."""
        return self.item_log_probs(self.hidden(history, lengths))

    def start(self, history: Tensor, users: Tensor | None = None) -> TreeState:
        """Encode histories and prepare to decode, with one beam per user.

        Args:
            history: item indices, int64 (B, n), all of equal length.
            users: not used.
        """
        return TreeState.of(self._frozen(), self.hidden(history[:, -self.max_items :]), self.exact)

    def next_log_probs(self, state: TreeState, parents: Tensor | None, tokens: Tensor | None) -> Tensor:
        """Return log-probabilities of the next token for every beam, and advance the state.

        Args:
            state: from `start`, changed in place.
            parents: former row that each row continues, int64 (B·W,); `None` at the first level.
            tokens: last token of each row, int64 (B·W,); `None` at the first level.

        Returns:
            f32 (B·W, K_level), normalized over the tokens that continue the prefix; -inf for others.
        """
        return advance(state, self.sizes, parents, tokens)

    def train(self, mode: bool = True) -> "RQTransformerNetwork":
        """Set the mode, and drop the vectors computed for decoding, which training changes."""
        self._forget()
        return super().train(mode)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        """Load weights, and drop what was computed from the former ones."""
        self._forget()
        super()._load_from_state_dict(*args, **kwargs)

    def _forget(self) -> None:
        self._ready: TreeVectors | None = None

    def _frozen(self) -> TreeVectors:
        """Return the vectors for decoding, computed once in evaluation mode."""
        if self._ready is None or self.training:
            self._ready = TreeVectors(self.vectors, self.sample_above)
        self._ready.new_item_bias = self.new_item_bias
        return self._ready
