"""Formatting of metrics, counts, durations and sizes."""

from typing import Any

__all__ = ["count", "duration", "memory", "number", "operations", "share", "short"]


def number(value: float, decimals: int = 4) -> str:
    """Format a metric: `0.0384`."""
    return f"{value:.{decimals}f}"


def short(value: float) -> str:
    """Format a tick or a count in few characters: `0.05`, `12k`, `3M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.4g}{unit}"
    return f"{value:.4g}"


def count(value: Any) -> str:
    """Format a count: `12,345`; a dash if it is unknown."""
    return f"{value:,.0f}" if isinstance(value, int | float) and value else "–"


def operations(flops: Any) -> str:
    """Format a number of operations in units of 10¹²: `1,234` or `0.56`."""
    if not isinstance(flops, int | float) or not flops:
        return "–"
    units = flops / 1e12
    return f"{units:,.0f}" if units >= 1000 else f"{units:.3g}"


def share(value: Any) -> str:
    """Format a share from 0 to 1 in percent: `41 %`."""
    return f"{value:.0%}".replace("%", " %") if isinstance(value, int | float) and value else "–"


def duration(seconds: Any) -> str:
    """Format a duration in seconds: `42 s`, `6.5 min`, `1.2 h`."""
    if not isinstance(seconds, int | float):
        return "–"
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def memory(size: Any) -> str:
    """Format a number of bytes: `1.4 GB`."""
    return f"{size / 1e9:.1f} GB" if isinstance(size, int | float) and size else "–"
