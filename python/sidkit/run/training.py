"""What a run trains: each model with its batches, its loss, and the validation that chooses its weights.

The loop knows none of these, and the models know nothing of validation; here they meet.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sidkit import Trie
from sidkit._progress import Progress, silent
from sidkit.data import EvalSet, Split
from sidkit.decode import beam_search, rank_by_rqtransformer, rank_by_sasrec
from sidkit.evaluate import Predictions, user_metrics
from sidkit.ids import SidTable
from sidkit.models import TIGER, RQTransformer, SASRec, save_model
from sidkit.run.config import (
    RqTransformerConfig,
    RqTransformerTrainingConfig,
    SasrecConfig,
    TigerConfig,
    TigerTrainingConfig,
    TrainingConfig,
)
from sidkit.train import (
    History,
    NextItemBatches,
    SequenceBatches,
    TrainProgress,
    TrainSettings,
    fit,
)
from sidkit.train.batches import Batch

__all__ = ["train_rqtransformer", "train_sasrec", "train_tiger"]

_K = 10  # the metrics that choose between weights are at 10
_BEAM = 10  # enough to choose by; test items are decoded with the beam of the run

_SASREC, _TRAINING = SasrecConfig(), TrainingConfig()
_TIGER, _TIGER_TRAINING = TigerConfig(), TigerTrainingConfig()
_RQ, _RQ_TRAINING = RqTransformerConfig(), RqTransformerTrainingConfig()
_COMMON = {field.name for field in dataclasses.fields(TrainSettings)}
_SHARES = (0.25, 0.5, 0.75)  # of the digits where both rank together; validation chooses

Ranked = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]


def train_sasrec(
    split: Split,
    n_items: int,
    sizes: SasrecConfig = _SASREC,
    training: TrainingConfig = _TRAINING,
    folder: str | Path | None = None,
    *,
    data: str = "",
    progress: Progress = silent,
) -> tuple[SASRec, History]:
    """Train SASRec with full softmax cross-entropy at every position.

    Args:
        split: training histories and validation questions.
        n_items: size of the catalogue.
        sizes: of the model.
        training: settings of the training.
        folder: gets `model.safetensors`, `model.json` and `history.json`; a checkpoint in it is continued.
            Without one, only what is returned is left.
        data: fingerprint of what is trained on, so that no checkpoint is continued on other data.
        progress: told after every step.

    Returns:
        The model with the weights that were best on validation, and the course of the training.
    """
    torch.manual_seed(training.seed)
    model = SASRec(n_items, **sizes.model_dump())
    batches = SequenceBatches(
        split.train,
        batch_size=training.batch_size,
        max_items=sizes.max_items,
        padding=n_items,
        seed=training.seed,
    )
    valid = _sample(split.valid, training)

    def loss(model: SASRec, batch: Batch) -> Tensor:
        value: Tensor = model(batch.history, batch.target)
        return value

    def validate(model: SASRec) -> Mapping[str, float]:
        return _metrics("sasrec", valid, n_items, rank_by_sasrec(model, valid.histories, _K))

    settings, told = _settings(training), _told(progress)
    with _kept(folder) as place:
        history = fit(model, batches, loss, validate, settings, place, data=data, on_progress=told)
    return model, history


def train_tiger(
    split: Split,
    table: SidTable,
    trie: Trie,
    sizes: TigerConfig = _TIGER,
    training: TrainingConfig = _TIGER_TRAINING,
    folder: str | Path | None = None,
    *,
    data: str = "",
    progress: Progress = silent,
) -> tuple[TIGER, History]:
    """Train TIGER on every prefix of every history; as `train_sasrec`, but for the items' Semantic IDs.

    Args:
        split: training histories and validation questions.
        table: the Semantic IDs of the catalogue.
        trie: the trie over them, for the beam search on validation.
        sizes: of the model.
        training: settings of the training.
        folder: gets `model.safetensors`, `model.json` and `history.json`; a checkpoint in it is continued.
            Without one, only what is returned is left.
        data: fingerprint of what is trained on, so that no checkpoint is continued on other data.
        progress: told after every step.

    Returns:
        The model with the weights that were best on validation, and the course of the training.
    """
    torch.manual_seed(training.seed)
    model = TIGER(table.sizes, **sizes.model_dump())
    batches = NextItemBatches(
        split.train,
        table.digits,
        batch_size=training.batch_size,
        max_items=sizes.max_items,
        seed=training.seed,
    )
    valid = _sample(split.valid, training)

    def loss(model: TIGER, batch: Batch) -> Tensor:
        users = batch.users % sizes.user_buckets if sizes.user_buckets else None
        levels: Tensor = model(batch.history, batch.target, users)
        return levels.sum()

    def validate(model: TIGER) -> Mapping[str, float]:
        ranked = beam_search(model, trie, table.digits, valid.histories, beam=_BEAM, k=_K, users=valid.users)
        return _metrics("tiger", valid, len(table), ranked)

    settings, told = _settings(training), _told(progress)
    with _kept(folder) as place:
        history = fit(model, batches, loss, validate, settings, place, data=data, on_progress=told)
    return model, history


def train_rqtransformer(
    split: Split,
    table: SidTable,
    vectors: npt.NDArray[np.float32] | None,
    sizes: RqTransformerConfig = _RQ,
    training: RqTransformerTrainingConfig = _RQ_TRAINING,
    folder: str | Path | None = None,
    *,
    data: str = "",
    progress: Progress = silent,
) -> tuple[RQTransformer, History]:
    """Train an RQTransformer on every position of every history.

    Args:
        split: training histories and validation questions.
        table: the Semantic IDs of the catalogue.
        vectors: content of every item, f32 (items, dimensions); not used if `sizes.content` is false.
        sizes: of the model.
        training: settings of the training.
        folder: gets `model.safetensors`, `model.json` and `history.json`; a checkpoint in it is continued.
            Without one, only what is returned is left.
        data: fingerprint of what is trained on, so that no checkpoint is continued on other data.
        progress: told after every step.

    Returns:
        The model with the weights that were best on validation, ranking by its digits or, if it has the dense
        head, by both; and the course of the training.
    """
    torch.manual_seed(training.seed)
    settings = sizes.model_dump(exclude={"content"})
    model = RQTransformer.for_items(table.sizes, table.digits, vectors if sizes.content else None, **settings)
    batches = SequenceBatches(
        split.train,
        batch_size=training.batch_size,
        max_items=sizes.max_items,
        padding=len(table),
        seed=training.seed,
    )
    valid = _sample(split.valid, training)

    def loss(model: RQTransformer, batch: Batch) -> Tensor:
        losses: Tensor = model(batch.history, batch.target)
        levels = len(model.sizes)
        return losses[:levels].sum() + training.dense_weight * losses[levels:].sum()

    def validate(model: RQTransformer) -> Mapping[str, float]:
        ranked = rank_by_rqtransformer(model, valid.histories, _K, by="fused" if model.dense else "sid")
        return _metrics("rqtransformer", valid, len(table), ranked)

    told = _told(progress)
    plan = dataclasses.replace(
        _settings(training.model_copy(update={"max_steps": 1, "evaluate_every_steps": 1})),
        max_steps=training.max_steps or max(1, round(training.epochs * batches.steps)),
        evaluate_every_steps=training.evaluate_every_steps or max(1, batches.steps),
    )
    with _kept(folder) as place:
        history = fit(model, batches, loss, validate, plan, place, data=data, on_progress=told)
        if model.dense:
            _choose_share(model, valid)
            save_model(model, place)
    return model, history


def _choose_share(model: RQTransformer, valid: EvalSet) -> None:
    """Give the digits the weight in the mixture that is best on validation."""

    def quality(share: float) -> float:
        ranked = rank_by_rqtransformer(model, valid.histories, _K, by="fused", sid_share=share)
        return _metrics("rqtransformer", valid, model.items, ranked)["ndcg@10"]

    model.sid_share = max(_SHARES, key=quality)
    model.settings["sid_share"] = model.sid_share


@contextmanager
def _kept(folder: str | Path | None) -> Iterator[Path]:
    if folder is not None:
        yield Path(folder)
        return
    with TemporaryDirectory() as temporary:
        yield Path(temporary)


def _settings(training: TrainingConfig) -> TrainSettings:
    return TrainSettings(**training.model_dump(include=_COMMON))


def _sample(valid: EvalSet, training: TrainingConfig) -> EvalSet:
    """Draw the users whose validation items choose the weights; those without a history can teach nothing."""
    able = np.flatnonzero(valid.histories.lengths > 0)
    if len(able) > training.validate_users:
        able = np.sort(
            np.random.default_rng(training.seed).choice(able, training.validate_users, replace=False)
        )
    return valid.take(able)


def _metrics(model: str, valid: EvalSet, n_items: int, ranked: Ranked) -> dict[str, float]:
    predictions = Predictions(model, valid.users, *ranked, valid.targets)
    return {name: float(values.mean()) for name, values in user_metrics(predictions, n_items, (_K,)).items()}


def _told(progress: Progress) -> Callable[[TrainProgress], None]:
    def on_progress(state: TrainProgress) -> None:
        figures = {"loss": state.loss}
        if "ndcg@10" in state.metrics:
            figures["ndcg@10"] = state.metrics["ndcg@10"]
        progress(state.step, state.total, **figures)

    return on_progress
