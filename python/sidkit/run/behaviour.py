"""What a run's tokenizer learns from behaviour: the training histories alone."""

import numpy as np
import numpy.typing as npt

from sidkit.data import Sequences
from sidkit.quantize import behaviour_block, collaborative_vectors, joined_vectors
from sidkit.run.config import QuantizeConfig

__all__ = ["vectors_to_quantize"]


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
    behaviour = collaborative_vectors(
        training, len(content), dim=config.behaviour_dim, window=config.behaviour_window, seed=config.seed
    )
    if config.vectors == "behaviour":
        return behaviour_block(behaviour)
    return joined_vectors(content, behaviour, weight=config.behaviour_weight)
