"""What a run's tokenizer learns from behaviour: the training histories alone."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._progress import Progress, silent
from sidkit.data import Sequences
from sidkit.embed.collaborative import collaborative_embeddings
from sidkit.embed.factorization import factorization_embeddings
from sidkit.run.config import RunConfig
from sidkit.run.config.tokenize import TokenizeConfig
from sidkit.tokenizers import collaborative_block, hybrid_embeddings

__all__ = ["behaviour_vectors", "losses", "vectors_to_quantize"]


def behaviour_vectors(
    config: RunConfig,
    training: Sequences,
    items: int,
    folder: Path | None = None,
    *,
    times: npt.NDArray[Any] | None = None,
    data: str = "",
    progress: Progress = silent,
) -> npt.NDArray[np.float32]:
    """The vectors of `tokenize.behaviour_from`, float32 (items, `tokenize.behaviour_dim`).

    Args:
        config: of the run.
        training: histories without the events of validation and test.
        items: of the catalogue.
        folder: for what a training leaves while it is not finished.
        times: of the events in `training`; only a training with `shuffle_ties` needs them.
        data: fingerprint of what is trained on.
        progress: told how far a training is.
    """
    tokenize = config.tokenize
    if tokenize.behaviour_from == "sasrec":
        from sidkit.run.stages.sasrec_vectors import sasrec_vectors

        return sasrec_vectors(
            training,
            items,
            config.models.sasrec.model_copy(update={"d_model": tokenize.behaviour_dim}),
            config.train.sasrec.model_copy(update={"seed": tokenize.seed}),
            folder,
            times=times,
            data=data,
            progress=progress,
        )
    if tokenize.behaviour_from == "als":
        return factorization_embeddings(training, items, dim=tokenize.behaviour_dim, seed=tokenize.seed)
    return collaborative_embeddings(
        training, items, dim=tokenize.behaviour_dim, window=tokenize.behaviour_window, seed=tokenize.seed
    )


def vectors_to_quantize(
    config: TokenizeConfig, content: npt.NDArray[np.float32], behaviour: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """The vectors that `tokenize.vectors` asks for, float32 (items, dim).

    Args:
        config: the section `tokenize`; its `vectors` are not `content`.
        content: the vectors of `embed`.
        behaviour: those of `behaviour_vectors`.
    """
    if config.vectors == "behaviour":
        return collaborative_block(behaviour)
    return hybrid_embeddings(content, behaviour, weight=config.behaviour_weight)


def losses(
    config: TokenizeConfig, x: npt.NDArray[np.float32], behaviour: npt.NDArray[np.float32] | None
) -> list[Any]:
    """The losses that `tokenize.behaviour` adds to those of an RQ-VAE.

    Args:
        config: the section `tokenize`.
        x: the vectors that are quantized.
        behaviour: those of `behaviour_vectors`, for `letter`.
    """
    from sidkit.tokenizers.rqvae.cost import ReconstructionContrast
    from sidkit.tokenizers.rqvae.letter import CollaborativeLoss, DiversityLoss

    if behaviour is not None and config.behaviour == "letter":
        return [
            CollaborativeLoss(
                behaviour, config.latent, seed=config.seed, **_given(weight=config.collaborative_weight)
            ),
            DiversityLoss(seed=config.seed, **_given(weight=config.diversity_weight)),
        ]
    if config.behaviour == "cost":
        standardize = bool(config.arguments().get("standardize", True))
        return [ReconstructionContrast(x, standardize=standardize, **_given(weight=config.contrast_weight))]
    return []


def _given(**arguments: float | None) -> dict[str, Any]:
    """The arguments that are set."""
    return {name: value for name, value in arguments.items() if value is not None}
