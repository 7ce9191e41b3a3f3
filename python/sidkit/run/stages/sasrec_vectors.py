"""Item vectors from behaviour: those that a SASRec of the training histories learns."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._progress import Progress, silent
from sidkit.data import EvaluationSet, Sequences, Split
from sidkit.errors import DataError
from sidkit.run.config import SasrecConfig, SoftmaxTrainingConfig

__all__ = ["sasrec_vectors"]

_NEVER = 2**31 - 1


def sasrec_vectors(
    histories: Sequences,
    n_items: int,
    sizes: SasrecConfig | None = None,
    training: SoftmaxTrainingConfig | None = None,
    folder: str | Path | None = None,
    *,
    times: npt.NDArray[Any] | None = None,
    data: str = "",
    progress: Progress = silent,
) -> npt.NDArray[np.float32]:
    """The item vectors of a SASRec, float32 (n_items, `sizes.d_model`): LETTER's choice.

    Items are near each other that follow, and are followed by, the same (Wang et al., CIKM 2024, arXiv
    2405.07314, section 3.2). The training runs to its end and its last weights are taken: events of
    validation, by which a model of a run is chosen, must not decide what Semantic IDs are.

    An item that is in no history of two events has the zero vector: nothing was learned of it.

    Args:
        histories: rows of item indices, oldest first: `split.train`, never events of validation or test.
        n_items: items of the catalogue.
        sizes: of the model; those of `models.sasrec` if not given.
        training: settings of the training, those of `train.sasrec` if not given; `patience` and
            `evaluate_every_steps` have no effect.
        folder: gets the trained model; a checkpoint in it is continued.
        times: of the events in `histories`, `split.train_times`; only `shuffle_ties` needs them.
        data: fingerprint of the histories, so that no checkpoint is continued on others.
        progress: told after every step.

    Raises:
        DataError: if an item index is not below `n_items`, or no history has two events.
        RunDirectoryError: if the folder holds a checkpoint of another training.
    """
    from sidkit.recommenders.training import Material, train_model

    if len(histories.values) and histories.values.max() >= n_items:
        raise DataError(
            f"histories must hold item indices below n_items, {n_items}, "
            f"but one holds {histories.values.max()}"
        )
    able = histories.lengths >= 2
    learned = histories.take(able)
    if not len(learned):
        raise DataError(
            f"none of {len(histories)} histories has two events, so SASRec has nothing to learn; "
            "hint: quantize content, or give longer histories"
        )
    settings = (training or SoftmaxTrainingConfig()).model_copy(
        update={"patience": 0, "evaluate_every_steps": _NEVER}
    )
    split = _without_questions(learned)
    if times is not None:
        split = dataclasses.replace(split, train_times=times[np.repeat(able, histories.lengths)])
    material = Material(split, n_items)
    model, _ = train_model("sasrec", material, sizes, settings, folder, data=data, progress=progress)
    vectors: npt.NDArray[np.float32] = model.item.weight[:n_items].detach().float().numpy().copy()
    vectors[np.bincount(learned.values, minlength=n_items) == 0] = 0
    return vectors


def _without_questions(histories: Sequences) -> Split:
    """Training histories alone; what is asked at the end of the training is their own last items."""
    rows = np.arange(len(histories), dtype=np.int32)
    last = histories.values[histories.offsets[1:] - 1]
    own = EvaluationSet(rows, histories.head(histories.lengths - 1), last)
    return Split("leave_last_out", "source", 0, histories, own, own)
