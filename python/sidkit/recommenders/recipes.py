"""How each model is trained: what it is built of, its batches, its loss, and how it ranks on validation.

One function a model, and one entry in `RECIPES`. The loop knows none of this, and the models know nothing of
batches and validation; here they meet.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sidkit import Trie
from sidkit.data import EvaluationSet, Split
from sidkit.decode import beam_search, rank_by_rqtransformer, rank_by_scores
from sidkit.decode.ranking import Ranked
from sidkit.errors import ConfigError
from sidkit.ids import SidTable
from sidkit.models import (
    ActionPieceNetwork,
    DecoderOnlyNetwork,
    GRU4RecNetwork,
    RQTransformerNetwork,
    SASRecNetwork,
    TIGERNetwork,
    Trained,
)
from sidkit.run.config import (
    ActionPieceConfig,
    ActionPieceTrainingConfig,
    DecoderOnlyConfig,
    DecoderOnlyTrainingConfig,
    GeneratorTrainingConfig,
    Gru4recConfig,
    RqTransformerConfig,
    RqTransformerTrainingConfig,
    SasrecConfig,
    SoftmaxTrainingConfig,
    TigerConfig,
    TigerTrainingConfig,
    TrainingConfig,
)
from sidkit.tokenizers import ActionPiece
from sidkit.train import NextItemBatches, PieceBatches, SampledSoftmax, SequenceBatches, step_flops
from sidkit.train.batches import Batch, Batches

__all__ = ["RECIPES", "K", "Material", "Plan", "Ranked", "Recipe"]

K = 10  # items ranked on validation
_BEAM = 10  # enough to choose by; test items are decoded with the beam of the run
_SHARES = (0.25, 0.5, 0.75)  # of the tokens where RQTransformer's both rank together; validation chooses

Model = TypeVar("Model", bound=Trained)
Scoring = TypeVar("Scoring", SASRecNetwork, GRU4RecNetwork)


@dataclass(frozen=True)
class Material:
    """What models are trained on.

    Attributes:
        split: training histories and validation questions.
        items: size of the catalogue.
        table: its Semantic IDs, for generators.
        trie: the trie over them, for generators that search by beam.
        vectors: content of every item, f32 (items, dimensions), for models that read it.
    """

    split: Split
    items: int
    table: SidTable | None = None
    trie: Trie | None = None
    vectors: npt.NDArray[np.float32] | None = None

    def sids(self) -> SidTable:
        """The table.

        Raises:
            ConfigError: if there is none.
        """
        if self.table is None:
            raise ConfigError("a generator is trained on Semantic IDs: pass their `table`")
        return self.table

    def index(self) -> Trie:
        """The trie, built of the table if none was given.

        Raises:
            ConfigError: if there is neither.
        """
        return Trie.build(self.sids()) if self.trie is None else self.trie


@dataclass(frozen=True)
class Plan(Generic[Model]):
    """One training, laid out.

    Attributes:
        model: with its first weights.
        batches: the examples.
        loss: the mean loss of a batch, a scalar.
        rank: the `K` best items after each history of validation questions.
        settle: what else is chosen once the weights are, given a way to measure NDCG on validation.
        flops: operations of a step, see `step_flops`.
    """

    model: Model
    batches: Batches
    loss: Callable[[Model, Batch], Tensor]
    rank: Callable[[Model, EvaluationSet], Ranked]
    settle: Callable[[Model, Callable[[], float]], None] | None = None
    flops: Callable[[Model, Batch], int] = step_flops


@dataclass(frozen=True)
class Recipe:
    """One model's entry.

    Attributes:
        plan: from material, sizes and settings to a plan; what it draws, it draws from torch's generator.
        sizes: the default sizes of the model.
        training: the default settings of its training.
    """

    plan: Callable[[Material, Any, Any], Plan[Any]]
    sizes: Any
    training: TrainingConfig


def _sequences(
    material: Material, sizes: Any, training: TrainingConfig, *, from_nothing: bool = False, tokens: int = 1
) -> SequenceBatches:
    return SequenceBatches(
        material.split.train,
        batch_size=training.batch_size,
        max_items=sizes.max_items,
        padding=material.items,
        seed=training.seed,
        from_nothing=from_nothing,
        tokens=tokens,
        times=_times(material, training),
    )


def _times(material: Material, training: TrainingConfig) -> npt.NDArray[Any] | None:
    """The times of the training events, if those of one time are to be shuffled."""
    if training.shuffle_ties and material.split.train.times is None:
        raise ConfigError(
            "`shuffle_ties` needs the times of the training events: pass a split with `train_times`, such as "
            "`split_dataset` makes"
        )
    return material.split.train.times if training.shuffle_ties else None


def _of_tokens(training: GeneratorTrainingConfig) -> dict[str, float]:
    """What a generator's loss is told beside the batch."""
    return {"label_smoothing": training.label_smoothing, "token_masking": training.token_masking}


def _scoring(kind: type[Scoring]) -> Callable[[Material, Any, TrainingConfig], Plan[Scoring]]:
    """The recipe of a model with a score for every item."""

    def plan(material: Material, sizes: Any, training: TrainingConfig) -> Plan[Scoring]:
        softmax = None
        if isinstance(training, SoftmaxTrainingConfig) and training.loss == "sampled":
            by_count = training.negatives_by == "popularity"
            counts = np.bincount(material.split.train.values, minlength=material.items) if by_count else None
            softmax = SampledSoftmax(material.items, training.negatives, counts)
        scored = material.items if softmax is None else min(material.items, softmax.negatives) + 1

        def loss(model: Scoring, batch: Batch) -> Tensor:
            if softmax is None:
                full: Tensor = model(batch.history, batch.target)
                return full
            real = batch.target < model.items
            return softmax(model.hidden(batch.history)[real], batch.target[real], model.item.weight)

        return Plan(
            kind(material.items, **sizes.model_dump()),
            _sequences(material, sizes, training),
            loss,
            rank=lambda model, valid: rank_by_scores(model, valid.histories, K),
            flops=lambda model, batch: step_flops(model, batch, scored),
        )

    return plan


def _tiger(material: Material, sizes: TigerConfig, training: TigerTrainingConfig) -> Plan[TIGERNetwork]:
    table, trie = material.sids(), material.index()

    def loss(model: TIGERNetwork, batch: Batch) -> Tensor:
        users = batch.users % model.user_buckets if model.user_buckets else None
        levels: Tensor = model(batch.history, batch.target, users, **_of_tokens(training))
        return levels.sum()

    return Plan(
        TIGERNetwork(table.sizes, **sizes.model_dump()),
        NextItemBatches(
            material.split.train,
            table.tokens,
            batch_size=training.batch_size,
            max_items=sizes.max_items,
            seed=training.seed,
            times=_times(material, training),
        ),
        loss,
        rank=lambda model, valid: beam_search(
            model, trie, table.tokens, valid.histories, beam=_BEAM, k=K, users=valid.users
        ),
    )


def _actionpiece(
    material: Material, sizes: ActionPieceConfig, training: ActionPieceTrainingConfig
) -> Plan[ActionPieceNetwork]:
    table, trie = material.sids(), material.index()
    # Nothing is read beyond `max_items`, and learning takes long where histories are.
    learned_from = material.split.train.parts(sizes.max_items)
    pieces = ActionPiece(sizes.vocabulary).fit(learned_from, table.tokens, table.sizes).vocabulary_

    def loss(model: ActionPieceNetwork, batch: Batch) -> Tensor:
        levels: Tensor = model(batch.history, batch.target, **_of_tokens(training))
        return levels.sum()

    return Plan(
        ActionPieceNetwork.of_pieces(pieces, **sizes.model_dump(exclude={"vocabulary"})),
        PieceBatches(
            material.split.train,
            table.tokens,
            pieces,
            batch_size=training.batch_size,
            max_items=sizes.max_items,
            seed=training.seed,
            times=_times(material, training),
        ),
        loss,
        rank=lambda model, valid: beam_search(model, trie, table.tokens, valid.histories, beam=_BEAM, k=K),
    )


def _decoderonly(
    material: Material, sizes: DecoderOnlyConfig, training: DecoderOnlyTrainingConfig
) -> Plan[DecoderOnlyNetwork]:
    table, trie = material.sids(), material.index()
    spelled = torch.zeros(material.items + 1, len(table.sizes), dtype=torch.int64)  # the last row is padding
    spelled[:-1] = torch.from_numpy(table.tokens.astype(np.int64))

    def loss(model: DecoderOnlyNetwork, batch: Batch) -> Tensor:
        events = spelled.to(batch.target.device)[batch.target]
        levels: Tensor = model(events, batch.target < material.items, **_of_tokens(training))
        return levels.sum()

    return Plan(
        DecoderOnlyNetwork(table.sizes, **sizes.model_dump()),
        _sequences(material, sizes, training, from_nothing=True, tokens=len(table.sizes)),
        loss,
        rank=lambda model, valid: beam_search(model, trie, table.tokens, valid.histories, beam=_BEAM, k=K),
    )


def _rqtransformer(
    material: Material, sizes: RqTransformerConfig, training: RqTransformerTrainingConfig
) -> Plan[RQTransformerNetwork]:
    table = material.sids()
    vectors = material.vectors if sizes.content else None

    def loss(model: RQTransformerNetwork, batch: Batch) -> Tensor:
        losses: Tensor = model(batch.history, batch.target, **_of_tokens(training))
        levels = len(model.sizes)
        return losses[:levels].sum() + training.dense_weight * losses[levels:].sum()

    def rank(model: RQTransformerNetwork, valid: EvaluationSet) -> Ranked:
        return rank_by_rqtransformer(model, valid.histories, K, by="fused" if model.dense else "sid")

    return Plan(
        RQTransformerNetwork.for_items(
            table.sizes, table.tokens, vectors, **sizes.model_dump(exclude={"content"})
        ),
        _sequences(material, sizes, training),
        loss,
        rank,
        settle=_choose_share if sizes.dense else None,
    )


def _choose_share(model: RQTransformerNetwork, quality: Callable[[], float]) -> None:
    """Give the tokens the weight in the mixture that is best on validation."""
    found = {}
    for model.sid_share in _SHARES:
        found[model.sid_share] = quality()
    model.sid_share = max(_SHARES, key=found.__getitem__)
    model.settings["sid_share"] = model.sid_share


RECIPES: Mapping[str, Recipe] = {
    "sasrec": Recipe(_scoring(SASRecNetwork), SasrecConfig(), SoftmaxTrainingConfig()),
    "gru4rec": Recipe(_scoring(GRU4RecNetwork), Gru4recConfig(), SoftmaxTrainingConfig()),
    "tiger": Recipe(_tiger, TigerConfig(), TigerTrainingConfig()),
    "actionpiece": Recipe(_actionpiece, ActionPieceConfig(), ActionPieceTrainingConfig()),
    "decoderonly": Recipe(_decoderonly, DecoderOnlyConfig(), DecoderOnlyTrainingConfig()),
    "rqtransformer": Recipe(_rqtransformer, RqTransformerConfig(), RqTransformerTrainingConfig()),
}
