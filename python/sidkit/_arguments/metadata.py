"""Metadata of annotations, and the expectation that is made of one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from sidkit.errors import ConfigError, DataError

__all__ = [
    "FINITE",
    "Bounds",
    "Column",
    "Count",
    "Expectation",
    "Refused",
    "Seed",
    "Shape",
    "Size",
    "TopK",
    "Width",
    "shown",
]


class Refused(Exception):
    """A value that does not meet an expectation, with what was expected if that is known in detail."""


_LIMITS = (2**31 - 1, 2**32 - 1, 2**63 - 1)


@dataclass(frozen=True)
class Bounds:
    """Bounds of a number, or of every value of an array.

    Attributes:
        ge: least value.
        gt: value below the least.
        le: largest value.
        lt: value above the largest.
    """

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def __str__(self) -> str:
        if self == FINITE:
            return " without NaN and infinity"
        most = self.le if self.le not in _LIMITS else None  # of a type of integers, which goes without saying
        if self.ge is not None and most is not None:
            return f" in {_plain(self.ge)}..{_plain(most)}"
        parts = {">=": self.ge, ">": self.gt, "<=": most, "<": self.lt}
        given = [f"{sign} {_plain(value)}" for sign, value in parts.items() if value is not None]
        return " " + " and ".join(given) if given else ""

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        limits = {name: value for name, value in vars(self).items() if value is not None}
        return {**handler(source), **limits}

    def check(self, value: Any, noun: str) -> None:
        """Raise `Refused`, with the bound that a number violates, if it is not within the bounds."""
        if self.admit(value, value):
            return
        for sign, limit in {">=": self.ge, ">": self.gt, "<=": self.le, "<": self.lt}.items():
            name = {">=": "ge", ">": "gt", "<=": "le", "<": "lt"}[sign]
            if limit is not None and not Bounds(**{name: limit}).admit(value, value):
                raise Refused(f"{noun} {sign} {_plain(limit)}")

    def admit(self, least: Any, most: Any) -> bool:
        """Return whether values from `least` to `most` are within the bounds."""
        return bool(
            (self.ge is None or least >= self.ge)
            and (self.gt is None or least > self.gt)
            and (self.le is None or most <= self.le)
            and (self.lt is None or most < self.lt)
        )


def _plain(limit: float) -> float:
    """Return an equal integer if there is one, which reads better."""
    return int(limit) if abs(limit) < 2**53 and limit == int(limit) else limit


@dataclass(frozen=True, init=False)
class Shape:
    """Shape of an array: the name of each dimension, or its length.

    Arrays of one call whose dimensions have one name must agree on its length.
    """

    dims: tuple[str | int, ...]

    def __init__(self, *dims: str | int) -> None:
        object.__setattr__(self, "dims", dims)

    def __str__(self) -> str:
        inside = ", ".join(str(each) for each in self.dims)
        return f" of shape ({inside}{',' if len(self.dims) == 1 else ''})"


@dataclass(frozen=True)
class Expectation:
    """A check of one value.

    Attributes:
        text: what is expected, for messages.
        convert: returns the value, or an equal one of the expected type; raises `Refused`.
        error: exception of a refused value.
        shape: expected shape of an array.
    """

    text: str
    convert: Callable[[Any], Any]
    error: type[ConfigError] | type[DataError] = ConfigError
    shape: Shape | None = None


def shown(value: Any) -> str:
    """Describe a value in a message: its representation, or the type and shape of an array."""
    if isinstance(value, np.ndarray):
        kind = "a masked array" if isinstance(value, np.ma.MaskedArray) else "an array"
        return f"{kind} of {value.dtype} and shape {value.shape}"
    try:
        text = repr(value)
    except Exception:
        return f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"a {type(value).__name__} {text[:60]}…"


Count = Annotated[int, Bounds(ge=1, le=2**31 - 1)]
Seed = Annotated[int, Bounds(ge=0, le=2**32 - 1)]
Size = Annotated[int, Bounds(ge=0, le=2**31 - 1)]
#: Items of one list, and prefixes of a beam.
TopK = Annotated[int, Bounds(ge=1, le=2**20)]
#: Length of a vector, and size of a codebook.
Width = Annotated[int, Bounds(ge=1, le=65536)]
#: Metadata of arrays without NaN and infinity.
FINITE = Bounds(ge=-1.7976931348623157e308, le=1.7976931348623157e308)
#: One number per row.
Column = Annotated[npt.ArrayLike, Shape("rows")]
