"""Watching a training for codebooks that collapse."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sidkit.tokenizers.quality.report import (
    COLLAPSED,
    CodebookCollapseWarning,
    perplexity,
    random_unique_rate,
    unique_rate,
)

__all__ = ["ON_COLLAPSE", "CollapseCheck", "Health", "distinct_rows"]

#: What a training may do about a collapse.
ON_COLLAPSE = ("repair", "stop", "warn")
#: Epochs in a row that a collapse must last, since the first ones after a start are unsettled.
_PATIENCE = 3
#: Repairs after which there will not be another.
_REPAIRS = 3
#: A unique rate below this part of that of random codes is a collapse.
_FEW_DISTINCT = 0.1


@dataclass(frozen=True)
class Health:
    """How the codes of one epoch were used.

    Attributes:
        sizes: codes of each level.
        perplexities, dead: of each level: 2 to the entropy of its codes; codes that nothing chose.
        unique_rate: distinct tuples of codes per vector.
        expected: what that would be if every distinct vector drew its codes at random.
    """

    sizes: tuple[int, ...]
    perplexities: tuple[float, ...]
    dead: tuple[int, ...]
    unique_rate: float
    expected: float

    @classmethod
    def of(cls, codes: npt.NDArray[np.uint16], sizes: Sequence[int], distinct: int) -> "Health":
        """Measure codes, uint16 (n, levels), of n vectors of which `distinct` are distinct."""
        counts = [np.bincount(codes[:, level], minlength=size) for level, size in enumerate(sizes)]
        return cls(
            tuple(sizes),
            tuple(perplexity(count) for count in counts),
            tuple(int((count == 0).sum()) for count in counts),
            unique_rate(codes),
            random_unique_rate(distinct, sizes) * distinct / max(1, len(codes)),
        )

    def complaint(self) -> str | None:
        """What is wrong, or None."""
        found = [
            f"level {level} has perplexity {value:.1f} of {size} codes, {dead} of them dead"
            for level, (size, value, dead) in enumerate(
                zip(self.sizes, self.perplexities, self.dead, strict=True)
            )
            if value < 1 + COLLAPSED * (size - 1)
        ]
        if self.unique_rate < _FEW_DISTINCT * self.expected:
            found.append(
                f"the unique rate is {self.unique_rate:.4f} where random codes have {self.expected:.4f}"
            )
        return "; ".join(found) or None


class CollapseCheck:
    """Decides, epoch by epoch, whether codebooks have collapsed and what is done about it.

    Args:
        on_collapse: `repair`, at most three times, `stop`, or `warn`, once.
        notes: of a training that goes on; new ones are appended.
    """

    def __init__(self, on_collapse: str, notes: list[str]) -> None:
        self.on_collapse = on_collapse
        self.notes = notes
        self.bad_epochs = 0

    def look(self, epoch: int, health: Health) -> str | None:
        """What the training must do now, `repair`, `stop` or None; warns and takes a note of it."""
        complaint = health.complaint()
        self.bad_epochs = self.bad_epochs + 1 if complaint else 0
        if complaint is None or self.bad_epochs < _PATIENCE:
            return None
        self.bad_epochs = 0
        action = self.on_collapse
        if (action == "repair" and len(self.notes) > _REPAIRS) or (action == "warn" and self.notes):
            return None
        did = {
            "repair": "codebooks were started anew from k-means of the latents",
            "stop": "training was stopped",
            "warn": "nothing was done",
        }[action]
        if action == "repair" and len(self.notes) == _REPAIRS:
            action, did = "warn", f"nothing was done after {_REPAIRS} repairs"
        self.notes.append(f"collapse in epoch {epoch}: {complaint}; {did}")
        warnings.warn(
            f"{self.notes[-1]}; hint: look for repeated vectors, keep standardize=True, take fewer codes or "
            "a lower learning rate",
            CodebookCollapseWarning,
            stacklevel=2,
        )
        return None if action == "warn" else action


def distinct_rows(x: npt.NDArray[np.float32]) -> int:
    """How many distinct vectors, float32 (n, dim), there are."""
    return len(np.unique(x.view(f"V{x.itemsize * x.shape[1]}")))
