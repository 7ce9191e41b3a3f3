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
            `lr`, `tokens_per_second` (real positions since the last entry), `flops` (of the steps since then,
            see `step_flops`), `gemm_share` (of these in a second, of `gemm_peak`; left out if that was not
            measured), `seconds` (of training so far, evaluation and pauses left out).
        evaluations: `step`, `epoch`, `metrics` on validation, `seconds` that the evaluation took, and
            `cpu_seconds` of the training up to its end.
        best_step: the step whose weights were kept.
        seconds: of training, evaluation included, over all resumed parts.
        cpu_seconds: of the process in that time, over all its threads, user and system; on a machine that
            does other work too this is the cost, where `seconds` tell the queue. 0 if it was not measured.
        peak_memory_bytes: the largest resident set of the process so far.
        tokens_per_second: real positions in a second of training steps, over the whole training.
        flops: operations of the model in all steps, forward and backward.
        gemm_share: the share of the speed of a plain matrix product that the model reached, from 0 to 1; None
            if that was not measured.
    """

    model: str
    parameters: int
    steps: list[dict[str, float]] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    best_step: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    tokens_per_second: float = 0.0
    flops: int = 0
    gemm_share: float | None = None

    def best(self, metric: str) -> float:
        """The highest value of a validation metric so far, or minus infinity."""
        return max((entry["metrics"][metric] for entry in self.evaluations), default=-float("inf"))

    def sum_up(self) -> None:
        """Set the figures of throughput from `steps`; entries of versions that did not count are left out."""
        seconds = tokens = timed = shared = 0.0
        self.flops = 0
        for entry, before in zip(self.steps, [{"seconds": 0.0}, *self.steps], strict=False):
            spent = entry["seconds"] - before["seconds"]
            seconds, tokens = seconds + spent, tokens + entry["tokens_per_second"] * spent
            self.flops += int(entry.get("flops", 0))
            if "gemm_share" in entry:
                timed, shared = timed + spent, shared + entry["gemm_share"] * spent
        self.tokens_per_second = tokens / seconds if seconds else 0.0
        self.gemm_share = shared / timed if timed else None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def save(self, path: Path) -> None:
        """Write as JSON, whole or not at all."""
        write_text(path, json.dumps(self.as_dict(), indent=1) + "\n")
