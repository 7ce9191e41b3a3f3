"""Checks of arguments by their annotations: the one policy for public functions, methods and constructors.

    @checked
    def gini(items: Annotated[NDArray[np.integer], Shape("lists", "k")], n_items: Count) -> float: ...

A wrong type, shape or number is a ConfigError or a DataError that names the argument, what was expected and
what was given. Bounds and shapes are metadata of `typing.Annotated`:

    k: Count                                                     an integer in 1..2**31 - 1
    users: Size                                                  an integer in 0..2**31 - 1
    share: Annotated[float, Bounds(ge=0, le=1)]                  a number in 0..1
    items: Annotated[NDArray[np.integer], Shape("m", "k")]       a two-dimensional array
"""

from sidkit._arguments.checks import check_argument, checked
from sidkit._arguments.metadata import FINITE, Bounds, Column, Count, Seed, Shape, Size, TopK, Width, shown

__all__ = [
    "FINITE",
    "Bounds",
    "Column",
    "Count",
    "Seed",
    "Shape",
    "Size",
    "TopK",
    "Width",
    "check_argument",
    "checked",
    "shown",
]
