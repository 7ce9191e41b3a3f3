"""Costs of each training: parameters, steps, time, throughput and memory."""

from sidkit.report.collect import RunData
from sidkit.report.names import baseline_last, model_name
from sidkit.report.numbers import count, duration, memory, operations, share

__all__ = ["cost_rows"]

_TITLES = (
    "model",
    "parameters",
    "steps",
    "best step",
    "time",
    "tokens per second",
    "Tflop",
    "share of matmul speed",
    "peak memory",
)


def cost_rows(run: RunData) -> list[tuple[str, ...]]:
    """Lay out the costs: a row of titles and one row per model; empty without a training."""
    if not run.histories:
        return []
    rows: list[tuple[str, ...]] = [_TITLES]
    for model in baseline_last(list(run.histories)):
        history = run.histories[model]
        steps = history.get("steps", [])
        last = steps[-1] if steps else {}
        rows.append(
            (
                model_name(model),
                count(history.get("parameters")),
                count(last.get("step")),
                count(history.get("best_step")),
                duration(history.get("seconds")),
                count(history.get("tokens_per_second") or last.get("tokens_per_second")),
                operations(history.get("flops")),
                share(history.get("gemm_share")),
                memory(history.get("peak_memory_bytes")),
            )
        )
    return rows
