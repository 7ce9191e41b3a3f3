"""Collaborative embeddings of a run: item vectors from the training histories alone."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from sidkit._progress import Progress
from sidkit.embed.collaborative import collaborative_embeddings
from sidkit.embed.factorization import factorization_embeddings
from sidkit.embed.vectors import load_vectors
from sidkit.run.assistants import call_assistants
from sidkit.run.engine import Task
from sidkit.run.stages.context import Context
from sidkit.run.stages.files import save_vectors
from sidkit.run.stages.train import training_callbacks

__all__ = ["learn_embeddings", "make_embeddings", "sasrec_settings"]

# Settings of SASRec without effect on the embeddings: its width is that of the embeddings, its seed that of
# the tokenizer, and without validation it is trained to the end.
_WITHOUT_EFFECT = (
    "d_model",
    "seed",
    "patience",
    "evaluate_every_steps",
    "validate_users",
    "validate_exclude_seen",
)


def sasrec_settings(context: Context) -> dict[str, object]:
    """Return the settings of the SASRec whose item vectors are used, `{"recommenders.sasrec.key": value}`."""
    settings = context.config.recommenders["sasrec"].model_dump(mode="json")
    return {f"recommenders.sasrec.{key}": settings[key] for key in settings if key not in _WITHOUT_EFFECT}


def make_embeddings(context: Context, task: Task) -> npt.NDArray[np.float32]:
    """Learn collaborative embeddings, or read them if an interrupted stage left them.

    Returns:
        float32 (items, `tokenize.collaborative_dim`); zeros for an item without training events.
    """
    made = task.workspace() / "collaborative.safetensors"
    if not made.is_file():
        if context.config.tokenize.collaborative_method == "sasrec":
            call_assistants("tokenize", task.workspace(), task.fingerprint)
        save_vectors(made, learn_embeddings(context, task))
    return load_vectors(made, context.dataset.item_ids)


def learn_embeddings(context: Context, task: Task) -> npt.NDArray[np.float32]:
    """Learn collaborative embeddings by `tokenize.collaborative_method`."""
    tokenize, histories = context.config.tokenize, context.split.train
    items, seed = len(context.dataset.items), int(getattr(tokenize, "seed", 0))
    if tokenize.collaborative_method == "sasrec":
        return _from_sasrec(context, task.workspace() / "sasrec", seed, task.fingerprint, task.progress)
    if tokenize.collaborative_method == "als":
        return factorization_embeddings(histories, items, dim=tokenize.collaborative_dim, seed=seed)
    return collaborative_embeddings(
        histories, items, dim=tokenize.collaborative_dim, window=tokenize.collaborative_window, seed=seed
    )


def _from_sasrec(
    context: Context, directory: Path, seed: int, fingerprint: str, progress: Progress
) -> npt.NDArray[np.float32]:
    """Return the item vectors of a SASRec, as LETTER does (Wang et al., CIKM 2024, section 3.2).

    An item that is in no history of two events has the zero vector, since nothing is learned of it.

    Validation events, by which the models of a run are chosen, must not decide the Semantic IDs: the training
    runs to its end, and its last weights are taken.
    """
    sasrec = context.config.recommenders["sasrec"].build()
    sasrec.set_params(d_model=context.config.tokenize.collaborative_dim, seed=seed)
    histories = context.split.train.take(context.split.train.lengths >= 2)
    sasrec.fit(histories, callbacks=training_callbacks(directory, fingerprint, progress))
    vectors: npt.NDArray[np.float32] = sasrec.item_vectors_
    vectors[np.bincount(histories.values, minlength=len(vectors)) == 0] = 0
    return vectors
