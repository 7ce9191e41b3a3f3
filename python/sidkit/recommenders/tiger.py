"""TIGER: an encoder-decoder that generates the Semantic ID of the next item."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from sidkit._settings import Count, Depth, Fraction, NonNegative, Width
from sidkit.errors import ConfigError
from sidkit.models import TIGERNetwork
from sidkit.recommenders.neural import GenerativeRecommender, Plan, padded_tokens
from sidkit.recommenders.training_data import TrainingData
from sidkit.train.batches import NextItemBatches
from sidkit.train.batches.batch import Batch, Batches, mean_by_length
from sidkit.train.options import TokenOptions

__all__ = ["TIGER", "TransformerOptions"]


@dataclass(kw_only=True, eq=False, repr=False)
class TransformerOptions(TokenOptions, GenerativeRecommender):
    """Options of TIGER's transformer and training, shared with `ActionPieceTIGER`."""

    max_steps: Count = 20_000
    batch_size: Count = 256
    weight_decay: NonNegative = 0.035
    warmup_steps: Annotated[int, Field(ge=0)] = 1000
    evaluate_every_steps: Count = 1000

    d_model: Width = 128
    """Width of the transformer."""
    encoder_layers: Depth = 4
    """Blocks of the encoder."""
    decoder_layers: Depth = 4
    """Blocks of the autoregressive decoder."""
    heads: Width = 6
    """Attention heads."""
    d_head: Width = 64
    """Width of a head."""
    d_ff: Width = 1024
    """Width of the feed-forward layers."""
    dropout: Fraction = 0.1
    """Dropout rate."""
    max_items: Width = 20
    """Most recent items of a history that are encoded."""

    def _sizes(self) -> dict[str, Any]:
        """Return the sizes of the transformer, as arguments of its network."""
        widths = {name: getattr(self, name) for name in ("d_model", "heads", "d_head", "d_ff")}
        layers = {"encoder_layers": self.encoder_layers, "decoder_layers": self.decoder_layers}
        return widths | layers | {"dropout": self.dropout, "max_items": self.max_items}


@dataclass(kw_only=True, eq=False, repr=False)
class TIGER(TransformerOptions):
    """Generative retrieval with Semantic IDs (Rajput et al., NeurIPS 2023).

    A bidirectional encoder over the tokens of a history and a decoder that generates those of the next item,
    by beam search under the trie. Every prefix of a training history is an example. With
    `encoder="block_causal"`, the tokens of an item attend only to those of the same and of earlier items, and
    all prefixes of a history are trained in one pass; an example of a batch is then a whole history.

    Example:
        >>> model = TIGER().fit(split.train, sids=sids, validation=split.validation)
        >>> ids, log_probs = model.recommend([50, 172, 181], k=10)
    """

    method: ClassVar[str] = "tiger"
    network_class: ClassVar[type[nn.Module]] = TIGERNetwork

    user_buckets: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Buckets into which users are hashed for a token before the history; 0 for no such token."""

    encoder: Literal["bidirectional", "block_causal"] = "bidirectional"
    """Encoder attention: `bidirectional`, as in the paper, encodes each prefix of a history separately;
    with `block_causal`, items attend to earlier items, and a history is encoded once for all targets."""

    def check_settings(self) -> None:
        """Check the attention of the encoder."""
        if self.encoder not in ("bidirectional", "block_causal"):
            raise ConfigError(f"`encoder` must be `bidirectional` or `block_causal`, got {self.encoder!r}")

    def _plan(self, data: TrainingData) -> Plan:
        sids = data.require_sids()
        one_pass = self.encoder == "block_causal"
        tokens = padded_tokens(sids) if one_pass else None

        def loss(network: TIGERNetwork, batch: Batch) -> Tensor:
            users = batch.users % network.user_buckets if network.user_buckets else None
            levels: Tensor
            if tokens is None:
                levels = network(batch.history, batch.target, users, **self._regularization())
            else:
                of_items = tokens.to(batch.target.device)
                history, target = of_items[batch.history], of_items[batch.target]
                real = batch.target < data.items
                levels = network.sequence_losses(history, target, real, users, **self._regularization())
            return levels.sum()

        def loss_by_length(network: TIGERNetwork, batch: Batch) -> Tensor:
            return mean_by_length(partial(loss, network), batch)

        return Plan(
            network=TIGERNetwork(
                sids.layout.sizes, **self._sizes(), user_buckets=self.user_buckets, encoder=self.encoder
            ),
            batches=self._whole_histories(data) if one_pass else self._prefixes(data),
            loss=loss_by_length if one_pass else loss,
            rank=self._rank_on_validation(sids),
        )

    def _whole_histories(self, data: TrainingData) -> Batches:
        levels = data.require_sids().tokens.shape[1]
        return self._sequence_batches(data, tokens=2 * levels)  # each token is encoded and generated once

    def _prefixes(self, data: TrainingData) -> Batches:
        return NextItemBatches(
            data.require_sequences(),
            data.require_sids().tokens,
            batch_size=self.batch_size,
            max_items=self.max_items,
            seed=self.seed,
            times=self._tie_times(data),
        )
