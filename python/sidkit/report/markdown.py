"""Tables in Markdown."""

from collections.abc import Iterable, Sequence

__all__ = ["markdown_table"]


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, names: int = 1) -> str:
    """Write a table: columns of names on the left, those of figures to the right.

    Args:
        heads: of the columns.
        rows: a cell for every column.
        names: how many columns, from the first on, are not figures.
    """
    rule = ["---"] * names + ["---:"] * (len(heads) - names)
    return "\n".join(map(_row, (heads, rule, *rows)))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
