"""HTML that cannot be injected into: text is escaped when it enters, and only tags come out unescaped."""

import html
import unicodedata
from collections.abc import Iterable

__all__ = ["Child", "Markup", "clean", "tag"]

# These have no end tag in HTML.
_VOID = frozenset({"br", "hr", "meta"})

# Controls, formats (which hold the marks that turn the direction of text) and lone surrogates.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs"})
_JOINERS = frozenset("\u200c\u200d")


class Markup(str):
    """Text that is HTML already, because `tag` made it."""

    __slots__ = ()


Child = str | int | None | Iterable["Child"]


def tag(name: str, /, *children: Child, **attributes: str | int | float | None) -> Markup:
    """Make an element.

    Args:
        name: of the element.
        children: elements made by `tag`, and text, which is escaped; lists are joined, None is nothing.
        attributes: escaped too; None leaves one out, a last underscore is dropped, others become hyphens.

    Example:
        >>> tag("b", "a < b", class_="x")
        '<b class="x">a &lt; b</b>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(clean(str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    end = "" if name in _VOID else f"{_join(children)}</{name}>"
    return Markup(f"<{name}{written}>{end}")


def clean(text: str) -> str:
    """Drop characters that are not seen but change what is, and make every white space a blank."""
    seen = "".join(
        c for c in text if c.isspace() or c in _JOINERS or unicodedata.category(c) not in _INVISIBLE
    )
    return " ".join(seen.split())


def _join(children: Iterable[Child]) -> str:
    parts: list[str] = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, str | int):
            text = str(child)
            # Blanks at the ends separate a text from its neighbours.
            head, tail = " " * text[:1].isspace(), " " * text[-1:].isspace()
            parts.append(head + html.escape(clean(text), quote=False) + tail * bool(text.strip()))
        elif child is not None:
            parts.append(_join(child))
    return "".join(parts)
