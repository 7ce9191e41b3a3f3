"""Building blocks of the page: sections with anchors, and tables with captions."""

import re
from collections.abc import Iterable, Sequence

from sidkit.report.markup import Child, Markup, tag

__all__ = ["anchor", "contents", "data_table", "prose", "section"]


def anchor(title: str) -> str:
    """Return the id of a section: `semantic-ids`."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def section(title: str, *children: Child) -> list[Markup]:
    """Create a section with a heading that the table of contents links to; empty without children."""
    return [tag("section", tag("h2", title, id=anchor(title)), children)] if any(children) else []


def contents(titles: Sequence[str]) -> Markup:
    """Create the table of contents of a page."""
    links = [tag("li", tag("a", title, href=f"#{anchor(title)}")) for title in titles]
    return tag("nav", tag("ul", links), class_="contents", aria_label="Contents")


def prose(text: str) -> list[Child]:
    """Convert text with names in backticks to elements."""
    return [tag("code", part) if place % 2 else part for place, part in enumerate(text.split("`"))]


def data_table(titles: Sequence[str], rows: Iterable[Sequence[Child]], *, caption: Child = None) -> Markup:
    """Create a table: the first cell of each row is its heading, other cells are right-aligned.

    Args:
        titles: headings of the columns.
        rows: cells; a cell made by `tag("td", …)` is used as it is.
        caption: text above the table. It is outside of the scrolling area, so it wraps on narrow screens.
    """
    head = tag("tr", [tag("th", title, scope="col") for title in titles])
    body = [tag("tr", tag("th", first, scope="row"), [_cell(cell) for cell in rest]) for first, *rest in rows]
    table = tag("table", tag("thead", head), tag("tbody", body))
    described = None if caption is None else tag("figcaption", caption)
    return tag("figure", described, tag("div", table, class_="scroll"), class_="data")


def _cell(cell: Child) -> Markup:
    return cell if isinstance(cell, Markup) and cell.startswith("<td") else tag("td", cell)
