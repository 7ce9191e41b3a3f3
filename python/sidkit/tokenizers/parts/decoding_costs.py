"""What it costs an item to have a code: the distance to what the code stands for."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sidkit.tokenizers.base import Tokenizer

__all__ = ["decoding_costs"]

_BLOCK = 8192


def decoding_costs(
    tokenizer: "Tokenizer", x: npt.NDArray[np.floating]
) -> Callable[[npt.NDArray[np.int64], npt.NDArray[np.uint16]], npt.NDArray[np.float64]]:
    """Make the `costs` of `sidkit.ids.reassign` from a tokenizer: squared distances to decoded codes.

    Args:
        tokenizer: fitted.
        x: float (n, dim), the vectors of all items.

    Returns:
        A function of row numbers int64 (m,) and codes uint16 (m, choices, levels) to costs float64
        (m, choices).
    """

    def costs(rows: npt.NDArray[np.int64], codes: npt.NDArray[np.uint16]) -> npt.NDArray[np.float64]:
        choices = codes.shape[1]
        items = np.repeat(rows, choices)
        flat = codes.reshape(len(items), -1)
        found = np.empty(len(items))
        for start in range(0, len(items), _BLOCK):
            block = slice(start, start + _BLOCK)
            away = tokenizer.decode(flat[block]).astype(np.float64) - x[items[block]]
            found[block] = np.einsum("ij,ij->i", away, away)
        return found.reshape(-1, choices)

    return costs
