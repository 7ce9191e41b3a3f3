"""Codebook-collapse check of trainings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from sidkit._warnings import warn
from sidkit.tokenizers.quality.usage import (
    COLLAPSED,
    CodebookCollapseWarning,
    perplexity,
    random_unique_rate,
    unique_rate,
)

__all__ = ["ON_COLLAPSE", "CollapseCheck", "Health", "OnCollapse", "distinct_rows"]

#: Actions after a collapse.
OnCollapse: TypeAlias = Literal["repair", "stop", "warn"]
ON_COLLAPSE = ("repair", "stop", "warn")
#: Consecutive epochs that a collapse must last; the first epochs after an initialization vary.
_PATIENCE = 3
#: Maximum number of repairs.
_REPAIRS = 3
#: A unique rate below this share of that of random codes is a collapse.
_FEW_DISTINCT = 0.1


@dataclass(frozen=True)
class Health:
    """Use of the codes in one epoch.

    Attributes:
        sizes: number of codes of each level.
        perplexities: 2 to the entropy of the codes of each level.
        dead: number of unused codes of each level.
        unique_rate: distinct tuples of codes per vector.
        expected: unique rate if every distinct vector drew its codes at random.
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
        """Describe the collapse, or return None."""
        found = [
            f"level {level} has perplexity {value:.1f} of {size} codes, {dead} of them unused"
            for level, (size, value, dead) in enumerate(
                zip(self.sizes, self.perplexities, self.dead, strict=True)
            )
            if value < 1 + COLLAPSED * (size - 1)
        ]
        if self.unique_rate < _FEW_DISTINCT * self.expected:
            found.append(
                f"the unique rate is {self.unique_rate:.4f}, that of random codes {self.expected:.4f}"
            )
        return "; ".join(found) or None


class CollapseCheck:
    """Detects collapsed codebooks after each epoch and chooses an action.

    Args:
        on_collapse: `repair`, at most three times, `stop`, or `warn`, once.
        notes: notes of a resumed training; new ones are appended.
    """

    def __init__(self, on_collapse: OnCollapse, notes: list[str]) -> None:
        self.on_collapse = on_collapse
        self.notes = notes
        self.bad_epochs = 0

    def update(self, epoch: int, health: Health) -> str | None:
        """Return the action after an epoch, `repair`, `stop` or None; if any, warn and add a note."""
        complaint = health.complaint()
        self.bad_epochs = self.bad_epochs + 1 if complaint else 0
        if complaint is None or self.bad_epochs < _PATIENCE:
            return None
        self.bad_epochs = 0
        action: OnCollapse = self.on_collapse
        if (action == "repair" and len(self.notes) > _REPAIRS) or (action == "warn" and self.notes):
            return None
        did = {
            "repair": "codebooks were reinitialized by k-means of the latent vectors",
            "stop": "training was stopped",
            "warn": "nothing was done",
        }[action]
        if action == "repair" and len(self.notes) == _REPAIRS:
            action, did = "warn", f"nothing was done after {_REPAIRS} repairs"
        self.notes.append(f"collapse in epoch {epoch}: {complaint}; {did}")
        warn(
            f"{self.notes[-1]}. Look for repeated vectors, keep standardize=True, use a smaller "
            "codebook_size or a lower learning rate.",
            CodebookCollapseWarning,
        )
        return None if action == "warn" else action


def distinct_rows(x: npt.NDArray[np.float32]) -> int:
    """Count the distinct rows of vectors, float32 (n, dim)."""
    return len(np.unique(x.view(f"V{x.itemsize * x.shape[1]}")))
