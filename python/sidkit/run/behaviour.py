"""What a run's tokenizer learns from behaviour: the training histories alone."""

from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.data import Sequences
from sidkit.quantize import behaviour_block, collaborative_vectors, joined_vectors
from sidkit.run.quantize_config import QuantizeConfig

__all__ = ["losses", "vectors_to_quantize"]


def vectors_to_quantize(
    config: QuantizeConfig, content: npt.NDArray[np.float32], training: Sequences
) -> npt.NDArray[np.float32]:
    """The vectors that `quantize.vectors` asks for, float32 (items, dim).

    Args:
        config: the section `quantize`.
        content: the vectors of `embed`.
        training: histories without the events of validation and test.
    """
    if config.vectors == "content":
        return content
    behaviour = _collaborative(config, training, len(content))
    if config.vectors == "behaviour":
        return behaviour_block(behaviour)
    return joined_vectors(content, behaviour, weight=config.behaviour_weight)


def losses(config: QuantizeConfig, x: npt.NDArray[np.float32], training: Sequences) -> list[Any]:
    """The losses that `quantize.behaviour` adds to those of an RQ-VAE.

    Args:
        config: the section `quantize`.
        x: the vectors that are quantized.
        training: histories without the events of validation and test.
    """
    from sidkit.quantize.cost import ReconstructionContrast
    from sidkit.quantize.letter import CollaborativeLoss, DiversityLoss

    if config.behaviour == "letter":
        vectors = _collaborative(config, training, len(x))
        return [
            CollaborativeLoss(
                vectors, config.latent, seed=config.seed, **_given(weight=config.collaborative_weight)
            ),
            DiversityLoss(seed=config.seed, **_given(weight=config.diversity_weight)),
        ]
    if config.behaviour == "cost":
        standardize = bool(config.arguments().get("standardize", True))
        return [ReconstructionContrast(x, standardize=standardize, **_given(weight=config.contrast_weight))]
    return []


def _collaborative(config: QuantizeConfig, training: Sequences, items: int) -> npt.NDArray[np.float32]:
    return collaborative_vectors(
        training, items, dim=config.behaviour_dim, window=config.behaviour_window, seed=config.seed
    )


def _given(**arguments: float | None) -> dict[str, Any]:
    """The arguments that are set."""
    return {name: value for name, value in arguments.items() if value is not None}
