"""RQTransformer: one causal pass over items, then the Semantic ID of the next item, token by token.

After Lee et al., "Autoregressive Image Generation using Residual Quantization", CVPR 2022 (arXiv 2203.01941):
a transformer over positions, each position the sum of its code vectors, and a small model over the codes of
one position. All positions of a history are trained in one pass, and a history is encoded once for any beam
width.

The small model is not a transformer here. A token is chosen among the children of the prefix so far, by the
inner product of the position's vector with a vector of each child (a hierarchical softmax, Morin and Bengio,
AISTATS 2005). The vector of a prefix is

    code vector of its last token + a vector of the prefix + the mean content of its items, projected

The second corresponds to a prefix n-gram in a ranking model (Zheng et al., arXiv 2504.02137) and fits
prefixes with much data; the first and third generalize to those with little. An item is encoded as the sum of
the vectors of all its prefixes, so input and output share parameters. Probabilities are distributed over
prefixes that exist and sum to one over the catalogue.

The inner product with an item's whole vector is a score, too: with `dense`, a softmax over all items is
trained together with the tokens (the idea of LIGER, Yang et al., arXiv 2411.18814).

Since an item's vector is the sum of the vectors of its prefixes, that softmax is a model of Semantic IDs as
well: its scores are normalized once over the whole tree instead of at every level, which avoids the label
bias of locally normalized models (Lafferty et al., ICML 2001). `normalization="tree"` trains and decodes it:
the probability of a token is the mass of the items under the child, divided by that under the prefix.

Shapes: B users, T positions, P real positions, N items, L levels, M nodes of the tree, D = d_model.
"""

from collections.abc import Sequence
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from sidkit.errors import ConfigError
from sidkit.models.blocks import CausalBlock, recur
from sidkit.models.dropout import ByteDropout
from sidkit.models.reductions import group_log_sums, group_means, smoothed_cross_entropy, standardized
from sidkit.models.sid_tree import RQState, SidTree, check_normalization

__all__ = ["RQTransformerNetwork"]

# Positions whose losses are computed at once: their scores of a catalogue of 10,000 items take 100 MB.
_POSITIONS = 2048

# A matrix product reads a prefix's vector once for all users, pairs read it for each user and beam. The
# product is used if it computes at most so many times as many scores.
_PRODUCT = 16


class RQTransformerNetwork(nn.Module):
    """A generative network that knows the tree of existing Semantic IDs.

    `RQTransformerNetwork.for_items` makes one for a table; the constructor is for loading.

    Args:
        sizes: number of tokens of each level, collision token included.
        level_nodes: number of prefixes of each length.
        items: number of items.
        content: dimensions of the items' content vectors, 0 for none.
        d_model: width of the residual stream.
        layers: transformer blocks, or GRUs.
        heads: attention heads; must divide `d_model`.
        dropout: dropout rate on item vectors and in the layers.
        attention_dropout: dropout rate on attention weights; not used by GRUs.
        scale_embeddings: multiply the item vectors that attention encodes by the square root of `d_model`,
            see `SASRecNetwork`; not used by GRUs.
        max_items: most recent items of a history that are encoded.
        backbone: encoder of a history: causal attention, or GRUs as in GRU4Rec (Hidasi et al., ICLR 2016).
        dense: whether a softmax over all items is trained together with the tokens.
        sid_share: weight of the Semantic ID where both rank together; chosen on validation.
        normalization: `level` normalizes tokens among the children of a prefix; `tree` normalizes Semantic
            IDs over the whole tree, without a bias per prefix and without `dense`.

    Raises:
        ConfigError: if `heads` does not divide `d_model`, or `dense` is combined with `tree`.
    """

    inputs: Literal["tokens", "items"] = "items"
    user_buckets = 0
    content: Tensor

    def __init__(
        self,
        sizes: Sequence[int],
        level_nodes: Sequence[int],
        items: int,
        *,
        content: int = 0,
        d_model: int = 128,
        layers: int = 2,
        heads: int = 2,
        dropout: float = 0.3,
        attention_dropout: float = 0.0,
        scale_embeddings: bool = False,
        max_items: int = 50,
        backbone: Literal["attention", "gru"] = "attention",
        dense: bool = True,
        sid_share: float = 0.5,
        normalization: Literal["level", "tree"] = "level",
    ) -> None:
        super().__init__()
        if d_model % heads:
            raise ConfigError(f"`d_model` must be a multiple of `heads`, got {d_model} with {heads} heads")
        if backbone not in ("attention", "gru"):
            raise ConfigError(f"`backbone` must be `attention` or `gru`, got {backbone!r}")
        check_normalization(normalization, dense)
        self.settings = {
            "sizes": [int(size) for size in sizes],
            "level_nodes": [int(count) for count in level_nodes],
            "items": items,
            "content": content,
            "d_model": d_model,
            "layers": layers,
            "heads": heads,
            "dropout": dropout,
            "attention_dropout": attention_dropout,
            "scale_embeddings": scale_embeddings,
            "max_items": max_items,
            "backbone": backbone,
            "dense": dense,
            "sid_share": sid_share,
            "normalization": normalization,
        }
        self.sizes = tuple(int(size) for size in sizes)
        self.items = items
        self.max_items = max_items
        self.dense = dense
        self.sid_share = sid_share
        self.normalization = normalization
        self.tree = SidTree(level_nodes, items)
        self.register_buffer("content", torch.zeros(items, content))
        self.offsets = [0, *np.cumsum(self.sizes)[:-1].tolist()]  # first row of each level in the code table
        self.code = nn.Embedding(sum(self.sizes), d_model)
        self.prefix = nn.Embedding(sum(level_nodes), d_model)
        if normalization == "level":
            self.bias: Tensor = nn.Parameter(torch.zeros(sum(level_nodes)))
        self.project = nn.Linear(content, d_model, bias=False) if content else None
        self.backbone = backbone
        self.norm = nn.LayerNorm(d_model)
        self.dropout = ByteDropout(dropout)
        tables = [self.code, self.prefix]
        if backbone == "gru":
            self.recurrent = nn.ModuleList(nn.GRU(d_model, d_model, batch_first=True) for _ in range(layers))
        else:
            self.scale = d_model**0.5 if scale_embeddings else 1.0
            self.position = nn.Embedding(max_items, d_model)
            blocks = [CausalBlock(d_model, heads, dropout, attention_dropout) for _ in range(layers)]
            self.blocks = cast("list[CausalBlock]", nn.ModuleList(blocks))
            tables.append(self.position)
        for table in tables:
            nn.init.normal_(table.weight, std=0.02)
        if self.project is not None:
            nn.init.normal_(self.project.weight, std=0.02)

    @classmethod
    def for_items(
        cls,
        sizes: Sequence[int],
        tokens: npt.NDArray[np.integer],
        vectors: npt.NDArray[np.float32] | None = None,
        **settings: Any,
    ) -> "RQTransformerNetwork":
        """Make a network with initial weights for a table of Semantic IDs.

        Args:
            sizes: number of tokens of each level.
            tokens: Semantic ID of every item, (N, L).
            vectors: content vector of every item, f32 (N, F); standardized here.
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
        width = 0 if vectors is None else vectors.shape[1]
        model = cls(sizes, tree.level_nodes, len(tokens), content=width, **settings)
        model.tree = tree
        if vectors is not None:
            model.content.copy_(standardized(torch.from_numpy(vectors).float()))
        return model

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of all prefixes, (M, D), and of all items, (N, D)."""
        tree = self.tree
        levels = []
        projected = self.project(self.content).float() if self.project else None  # (N, D)
        above = None  # mean content of each item's prefix one token shorter
        for level, offset in enumerate(self.offsets):
            nodes = tree.level(level)
            vector = self.code.weight[tree.token[nodes] + offset] + self.prefix.weight[nodes]
            if projected is not None:
                # The difference to the mean content of the parent, so that the sum over an item is its own
                # content.
                mean = group_means(projected, tree.path[:, level] - nodes.start, nodes.stop - nodes.start)
                vector = vector + (mean if above is None else mean - above[tree.parent[nodes]])
                above = torch.cat([mean.new_zeros(nodes.start, mean.shape[1]), mean])  # by node
            levels.append(vector)
        prefixes = torch.cat(levels)
        return prefixes, F.embedding_bag(tree.path, prefixes, mode="sum")

    def hidden(self, history: Tensor, items: Tensor, inputs: Tensor | None = None) -> Tensor:
        """Encode histories, padded on the right with any number of `items` or above.

        Args:
            history: item indices, oldest first, int64 (B, T) with T <= `max_items`.
            items: vectors of all items, (N, D).
            inputs: input of each position, (B, T, D), if it is not the vector of the item.

        Returns:
            (B, T, D). A position depends on itself and those before it, so padding on the right does not
            affect a real one.
        """
        x = F.embedding(history.clamp(max=self.items - 1), items) if inputs is None else inputs  # (B, T, D)
        x = x.masked_fill((history >= self.items)[..., None], 0.0)
        if self.backbone == "gru":
            x = recur(self.recurrent, self.dropout, x)  # (B, T, D)
        else:
            places = self.position(torch.arange(history.shape[1], device=history.device))
            x = self.dropout(x * self.scale + places)
            for block in self.blocks:
                x = block(x)  # (B, T, D)
        out: Tensor = self.norm(x)
        return out

    def _masked(self, history: Tensor, prefixes: Tensor, masking: float) -> Tensor:
        """Return the vectors of items, (B, T, D), with each token masked with probability `masking`.

        A masked token masks all prefixes that contain it.
        """
        path = self.tree.path[history.clamp(max=self.items - 1)].flatten(0, 1)  # (B·T, L)
        shown = (torch.rand(path.shape) >= masking).cumprod(-1).to(prefixes)
        vectors = F.embedding_bag(path, prefixes, per_sample_weights=shown, mode="sum")
        return vectors.view(*history.shape, -1)

    def forward(
        self,
        history: Tensor,
        target: Tensor,
        *,
        label_smoothing: float = 0.0,
        token_masking: float = 0.0,
    ) -> Tensor:
        """Return the mean cross-entropy of the next item over all real positions, by token and as a whole.

        Args:
            history: int64 (B, T), padded on the right with `items`.
            target: the item that followed each position, int64 (B, T), padded likewise.
            label_smoothing: share of each target that is spread evenly over the tokens that exist after the
                tokens before it, and over all items.
            token_masking: the share of the tokens read that are hidden, with those after them, a fresh draw
                at every call.

        Returns:
            Natural-log losses, f32 (L,) or, with `dense`, (L + 1,): of each token among those that exist
            after the tokens before it, and last of the item among all items. With `tree` normalization, f32
            (1,): of the Semantic ID among all.
        """
        prefixes, items = self.vectors()
        real = target < self.items  # (B, T)
        inputs = self._masked(history, prefixes, token_masking) if token_masking else None
        h, following = self.hidden(history, items, inputs)[real].float(), target[real]  # (P, D), (P,)
        if len(h) <= _POSITIONS:
            return self._losses(h, following, prefixes, items, label_smoothing) / len(h)
        # Part by part, recomputed in the backward pass: memory of one part.
        total = h.new_zeros(1 if self.normalization == "tree" else len(self.sizes) + self.dense)
        for part, goal in zip(torch.split(h, _POSITIONS), torch.split(following, _POSITIONS), strict=True):
            total = total + checkpoint(
                self._losses,
                part,
                goal,
                prefixes,
                items,
                label_smoothing,
                use_reentrant=False,
                preserve_rng_state=False,
            )
        return total / len(h)

    def _losses(self, h: Tensor, target: Tensor, prefixes: Tensor, items: Tensor, smoothing: float) -> Tensor:
        """Return the losses of `forward`, summed over positions."""
        tree = self.tree
        if self.normalization == "tree":
            leaf = tree.path[:, -1] - tree.starts[-2]  # (N,)
            # Items that share a Semantic ID have the same vector, which is the mean.
            leaves = group_means(items, leaf, tree.level_nodes[-1])  # (M_last, D)
            scores = F.linear(h, leaves).float()  # (P, M_last)
            return F.cross_entropy(scores, leaf[target], reduction="sum", label_smoothing=smoothing)[None]
        path = tree.path[target]  # (P, L)
        first = F.linear(h, prefixes[tree.level(0)]).float() + self.bias[tree.level(0)]  # (P, M_0)
        losses = [F.cross_entropy(first, path[:, 0], reduction="sum", label_smoothing=smoothing)]
        for level in range(1, len(self.sizes)):
            open_ = (tree.branches[path[:, level - 1]] > 1).nonzero()[:, 0]  # where there is a choice
            if len(open_) == 0:
                losses.append(h.new_zeros(()))
                continue
            parents = path[open_, level - 1]
            row, place, node = tree.siblings(parents)
            logits = self._pairs(h[open_], prefixes, row, node)  # (R,)
            width = int(tree.branches[parents].max())
            padded = logits.new_full((len(open_), width), -torch.inf).index_put((row, place), logits)
            goal = path[open_, level] - tree.first_child[parents]
            losses.append(smoothed_cross_entropy(padded, goal, smoothing))
        if self.dense:
            scores = F.linear(h, items).float()
            losses.append(F.cross_entropy(scores, target, reduction="sum", label_smoothing=smoothing))
        return torch.stack(losses)

    def _pairs(self, h: Tensor, prefixes: Tensor, row: Tensor, node: Tensor) -> Tensor:
        """Return scores (R,) of nodes with the vectors of the rows that they belong to."""
        return (h.index_select(0, row) * prefixes.index_select(0, node)).sum(-1) + self.bias[node]

    def item_log_probs(self, hidden: Tensor, prefixes: Tensor) -> Tensor:
        """Return natural-log probabilities of all items' Semantic IDs, (B, N), scoring every prefix once.

        Args:
            hidden: vector at the end of each history, f32 (B, D).
            prefixes: vectors of all prefixes, f32 (M, D).
        """
        tree = self.tree
        if self.normalization == "tree":
            leaves = tree.log_masses(prefixes @ hidden.T)[tree.level(len(self.sizes) - 1)]  # (M_last, B)
            return leaves.log_softmax(0).index_select(0, tree.path[:, -1] - tree.starts[-2]).T.contiguous()
        # Nodes as rows: siblings are contiguous.
        logits = (prefixes @ hidden.T).float() + self.bias[:, None]  # (M, B)
        reached = logits[tree.level(0)].log_softmax(0)  # (M_0, B)
        for level in range(1, len(self.sizes)):
            nodes, above = tree.level(level), tree.level(level - 1)
            scores, siblings = logits[nodes], tree.branches[above]
            spare = reached - group_log_sums(scores, siblings)  # (M_above, B)
            reached = spare.index_select(0, tree.parent[nodes] - above.start) + scores
        return reached.index_select(0, tree.path[:, -1] - tree.starts[-2]).T.contiguous()

    def last_hidden(self, history: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return the vector at the end of each history, which predicts the next item.

        Args:
            history: item indices, int64 (B, T), padded on the right with `items` where `lengths` are given.
            lengths: length of each history, int64 (B,); T if None. An empty history has a vector, too.

        Returns:
            f32 (B, D); vectors of all prefixes, f32 (M, D); vectors of all items, f32 (N, D).
        """
        prefixes, items = self._frozen()
        if history.shape[1] == 0:
            history = history.new_full((len(history), 1), self.items)
        hidden = self.hidden(history, items)
        if lengths is None:
            return hidden[:, -1].float(), prefixes, items
        ends = (lengths - 1).clamp(min=0)
        return hidden[torch.arange(len(history), device=ends.device), ends].float(), prefixes, items

    def start(self, history: Tensor, users: Tensor | None = None) -> "RQState":
        """Encode histories and prepare to decode, with one beam per user.

        Args:
            history: item indices, int64 (B, n), all of equal length.
            users: not used.
        """
        hidden, prefixes, _ = self.last_hidden(history[:, -self.max_items :])
        masses = self.tree.log_masses(prefixes @ hidden.T) if self.normalization == "tree" else None
        return RQState(hidden, prefixes, masses)

    def next_log_probs(self, state: "RQState", parents: Tensor | None, tokens: Tensor | None) -> Tensor:
        """Return log-probabilities of the next token for every beam, and advance the state.

        Args:
            state: from `start`, changed in place.
            parents: former row that each row continues, int64 (B·W,); `None` at the first level.
            tokens: last token of each row, int64 (B·W,); `None` at the first level.

        Returns:
            f32 (B·W, K_level): -inf where no item is, normalized over the others.
        """
        tree, level = self.tree, state.level
        users, device = len(state.hidden), state.hidden.device
        if parents is None or tokens is None:
            count = tree.starts[1]
            row = torch.arange(users, device=device).repeat_interleave(count)
            node = torch.arange(count, device=device).repeat(users)
            rows, user = users, torch.arange(users, device=device)
        else:
            # A row without a prefix (the beam was wider than there are prefixes) has no children.
            at = state.child[parents, tokens]
            rows = len(at)
            user = torch.arange(users, device=device).repeat_interleave(rows // users)
            alive = (at >= 0).nonzero()[:, 0]
            row, _, node = tree.siblings(at[alive])
            row = alive[row]
        logits = self._scores(state, user, row, node, level)
        token = tree.token[node]
        table = logits.new_full((rows, self.sizes[level]), -torch.inf)
        table[row, token] = logits
        state.child = torch.full((rows, self.sizes[level]), -1, dtype=torch.int64, device=device)
        state.child[row, token] = node
        state.level += 1
        # A row of -inf only stays as it is.
        sums = table.logsumexp(-1, keepdim=True)
        return torch.where(sums.isneginf(), table, table - sums)

    def _scores(self, state: "RQState", user: Tensor, row: Tensor, node: Tensor, level: int) -> Tensor:
        if state.masses is not None:
            return state.masses[node, user[row]]
        nodes = self.tree.level(level)
        count = nodes.stop - nodes.start
        if count * len(state.hidden) <= _PRODUCT * len(row):
            scores = F.linear(state.hidden, state.prefixes[nodes]) + self.bias[nodes]  # (B, M_level)
            return scores[user[row], node - nodes.start]
        return self._pairs(state.hidden, state.prefixes, user[row], node)

    def train(self, mode: bool = True) -> "RQTransformerNetwork":
        """Set the mode, and drop the vectors computed for decoding, which training changes."""
        self._ready: tuple[Tensor, Tensor] | None = None
        return super().train(mode)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        """Load weights, and drop the vectors computed for decoding."""
        self._ready = None
        super()._load_from_state_dict(*args, **kwargs)

    def _frozen(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of prefixes and items, computed once in evaluation mode."""
        if self.training:
            return self.vectors()
        if self._ready is None:
            self._ready = self.vectors()
        return self._ready
