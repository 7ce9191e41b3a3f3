"""DecoderOnly: a language model of Semantic IDs."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from sidkit._settings import Depth, Fraction, NonNegative, Positive, Width
from sidkit.errors import ConfigError
from sidkit.models import DecoderOnlyNetwork
from sidkit.recommenders.neural import GenerativeRecommender, Plan, padded_tokens
from sidkit.recommenders.training_data import TrainingData
from sidkit.train.batches.batch import Batch, mean_by_length
from sidkit.train.options import EpochOptions, TokenOptions

__all__ = ["DecoderOnly"]


@dataclass(kw_only=True, eq=False, repr=False)
class DecoderOnly(TokenOptions, EpochOptions, GenerativeRecommender):
    """A causal transformer over the tokens of a history, which generates those of the next item.

    A history is one sequence of tokens, as in HSTU (Zhai et al., ICML 2024) and OneRec (Deng et al., 2025),
    so all of its positions are trained in one pass.

    Example:
        >>> model = DecoderOnly(epochs=40).fit(split.train, sids=sids, validation=split.validation)
        >>> ids, log_probs = model.recommend([50, 172, 181], k=10)
    """

    method: ClassVar[str] = "decoderonly"
    network_class: ClassVar[type[nn.Module]] = DecoderOnlyNetwork

    epochs: Positive = 40.0
    weight_decay: NonNegative = 0.035
    weight_averaging: Fraction = 0.2

    d_model: Width = 128
    """Width of the transformer."""
    layers: Depth = 4
    """Transformer blocks."""
    heads: Width = 4
    """Attention heads; must divide `d_model` into even parts."""
    dropout: Fraction = 0.1
    """Dropout rate."""
    max_items: Width = 50
    """Most recent items of a history that are encoded."""

    def check_settings(self) -> None:
        """Check that `heads` divides `d_model` into even parts."""
        if self.d_model % (2 * self.heads):
            raise ConfigError(
                f"`d_model` must be an even multiple of `heads`, got {self.d_model} with {self.heads} heads"
            )

    def _plan(self, data: TrainingData) -> Plan:
        sids = data.require_sids()
        tokens = padded_tokens(sids)

        def loss(network: DecoderOnlyNetwork, batch: Batch) -> Tensor:
            def of_group(part: Batch) -> Tensor:
                events = tokens.to(part.target.device)[part.target]
                levels: Tensor = network(events, part.target < data.items, **self._regularization())
                return levels.sum()

            return mean_by_length(of_group, batch)

        return Plan(
            network=DecoderOnlyNetwork(
                sids.layout.sizes,
                d_model=self.d_model,
                layers=self.layers,
                heads=self.heads,
                dropout=self.dropout,
                max_items=self.max_items,
            ),
            batches=self._sequence_batches(data, from_nothing=True, tokens=tokens.shape[1]),
            loss=loss,
            rank=self._rank_on_validation(sids),
        )
