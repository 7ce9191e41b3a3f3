"""HTML elements with escaped text: only elements made by `tag` are inserted unescaped."""

import html
import unicodedata
from collections.abc import Iterable

__all__ = ["Child", "Markup", "clean", "tag"]

# Elements without an end tag.
_VOID = frozenset({"br", "hr", "meta"})

# Control characters, format characters such as direction marks, and lone surrogates.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs"})
_JOINERS = frozenset("\u200c\u200d")


class Markup(str):
    """HTML made by `tag`."""

    __slots__ = ()


Child = str | int | None | Iterable["Child"]


def tag(name: str, /, *children: Child, **attributes: str | int | float | None) -> Markup:
    """Create an element.

    Args:
        name: name of the element.
        children: elements made by `tag`, text (escaped), or iterables of these; None is ignored.
        attributes: escaped values; None omits an attribute. A trailing underscore is removed from names,
            other underscores become hyphens.

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
    """Remove invisible characters, and replace every run of white space by one space."""
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
            # Spaces at the ends separate text from neighbouring elements.
            head, tail = " " * text[:1].isspace(), " " * text[-1:].isspace()
            parts.append(head + html.escape(clean(text), quote=False) + tail * bool(text.strip()))
        elif child is not None:
            parts.append(_join(child))
    return "".join(parts)
