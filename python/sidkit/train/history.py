"""What happened during a training, as kept in `history.json`."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sidkit._files import write_text

__all__ = ["History"]


@dataclass
class History:
    """The course of one training.

    Attributes:
        model: the kind of model.
        parameters: how many numbers were trained.
        steps: every few steps: `step`, `epoch` (fractional), `loss` (mean since the last entry, natural log),
            `lr`, `tokens_per_second`, `seconds` (of training so far, evaluation and pauses left out).
        evaluations: `step`, `epoch`, `metrics` on validation, `seconds` that the evaluation took, and
            `cpu_seconds` of the training up to its end.
        best_step: the step whose weights were kept.
        seconds: of training, evaluation included, over all resumed parts.
        cpu_seconds: of the process in that time, over all its threads, user and system; on a machine that
            does other work too this is the cost, where `seconds` tell the queue. 0 if it was not measured.
        peak_memory_bytes: the largest resident set of the process so far.
    """

    model: str
    parameters: int
    steps: list[dict[str, float]] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    best_step: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0

    def best(self, metric: str) -> float:
        """The highest value of a validation metric so far, or minus infinity."""
        return max((entry["metrics"][metric] for entry in self.evaluations), default=-float("inf"))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def save(self, path: Path) -> None:
        """Write as JSON, whole or not at all."""
        write_text(path, json.dumps(self.as_dict(), indent=1) + "\n")
