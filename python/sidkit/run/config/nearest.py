"""The hint at the end of an error about a misspelt name."""

import difflib
from collections.abc import Iterable

__all__ = ["nearest"]


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return `; did you mean ...?` with the valid name that is most like `name`, or nothing if none is."""
    close = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else ""
