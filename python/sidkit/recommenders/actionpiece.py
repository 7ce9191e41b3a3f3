"""ActionPieceTIGER: TIGER over merged tokens, so that an item is encoded in its context."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor, nn

from sidkit._settings import Count
from sidkit.models import ActionPieceNetwork
from sidkit.recommenders.neural import Plan
from sidkit.recommenders.tiger import TransformerOptions
from sidkit.recommenders.training_data import TrainingData
from sidkit.tokenizers import ActionPiece
from sidkit.train.batches.batch import Batch
from sidkit.train.batches.pieces import PieceBatches

__all__ = ["ActionPieceTIGER"]


@dataclass(kw_only=True, eq=False, repr=False)
class ActionPieceTIGER(TransformerOptions):
    """TIGER over merged tokens (ActionPiece, Hou et al., ICML 2025).

    Frequent adjacent tokens of the training histories are merged, within an item and between neighbours.
    Every epoch segments the histories differently; a recommendation averages several segmentations.

    Example:
        >>> model = ActionPieceTIGER().fit(split.train, sids=sids, validation=split.validation)
        >>> ids, log_probs = model.recommend([50, 172, 181], k=10)
    """

    method: ClassVar[str] = "actionpiece"
    network_class: ClassVar[type[nn.Module]] = ActionPieceNetwork

    vocabulary_size: Count = 10_000
    """Size of the vocabulary, at most: the tokens of all levels and the merged tokens."""
    views: Annotated[int, Field(ge=1, le=5)] = 5
    """Segmentations of a history whose probabilities are averaged in a recommendation."""

    def _plan(self, data: TrainingData) -> Plan:
        sids = data.require_sids()
        sizes = tuple(sids.layout.sizes)
        # Items beyond `max_items` are not encoded, and learning takes long on long histories.
        learned_from = data.require_sequences().parts(self.max_items)
        pieces = ActionPiece(self.vocabulary_size).fit(learned_from, sids.tokens, sizes).vocabulary_

        def loss(network: ActionPieceNetwork, batch: Batch) -> Tensor:
            levels: Tensor = network(batch.history, batch.target, **self._regularization())
            return levels.sum()

        return Plan(
            network=ActionPieceNetwork.of_pieces(pieces, **self._sizes(), views=self.views),
            batches=PieceBatches(
                data.require_sequences(),
                sids.tokens,
                pieces,
                batch_size=self.batch_size,
                max_items=self.max_items,
                seed=self.seed,
                times=self._tie_times(data),
            ),
            loss=loss,
            rank=self._rank_on_validation(sids),
        )
