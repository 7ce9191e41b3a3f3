"""Course of a training, as kept in `history.json`."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sidkit._arguments import checked
from sidkit._files import write_text
from sidkit.errors import FormatError

__all__ = ["History"]


@dataclass
class History:
    """Course of one training.

    Attributes:
        model: method of the model.
        parameters: number of trained parameters.
        steps: one entry every few steps: `step`, `epoch` (fractional), `loss` (mean since the last entry,
            natural log), `lr`, `tokens_per_second` (real positions), `flops` (of the steps since the last
            entry, see `step_flops`), `gemm_share` (their speed as a share of `gemm_peak`; absent if that was
            not measured), `seconds` (of training so far, without evaluations and pauses).
        evaluations: `step`, `epoch`, `metrics` on validation, `seconds` of the evaluation, and `cpu_seconds`
            of the training up to its end.
        best_step: step whose weights were kept.
        seconds: wall time of training and evaluation, over all resumed parts.
        cpu_seconds: processor time of the process in that time, over all threads. On a machine that does
            other work, this is the cost of the training. 0 if it was not measured.
        peak_memory_bytes: largest resident set of the process so far.
        tokens_per_second: real positions per second of training steps, over the whole training.
        flops: floating-point operations of the model in all steps, forward and backward.
        gemm_share: share of the speed of a plain matrix product that the model reached, from 0 to 1; None if
            that was not measured.
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

    def summarize(self) -> None:
        """Compute the throughput of the whole training from `steps`."""
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
        """Return plain values, for JSON."""
        return asdict(self)

    @checked
    def save(self, path: Path) -> None:
        """Write JSON, whole or not at all."""
        write_text(path, json.dumps(self.as_dict(), indent=1) + "\n")

    @classmethod
    @checked
    def load(cls, path: Path) -> "History":
        """Read what `save` wrote.

        Raises:
            FormatError: if the file is missing or is not a history.
        """
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise FormatError(f"`{path}` is not the history of a training: {error}. Train again.") from error
