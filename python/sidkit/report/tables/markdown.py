"""Markdown tables."""

from collections.abc import Iterable, Sequence

__all__ = ["markdown_table"]


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, names: int = 1) -> str:
    """Format a table with left-aligned names and right-aligned figures.

    Args:
        heads: titles of the columns.
        rows: one cell per column.
        names: number of columns, from the left, that hold names.
    """
    rule = ["---"] * names + ["---:"] * (len(heads) - names)
    return "\n".join(map(_row, (heads, rule, *rows)))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
