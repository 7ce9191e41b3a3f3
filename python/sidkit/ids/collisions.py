"""What to do with items whose codes are equal.

    token      a further token counts the items under one code (TIGER, Rajput et al. 2023, section 3.1)
    reassign   all but the first, or the nearest, items of a code move to a near code that is free
    share      nothing: several items have one Semantic ID, and whoever reads it gets them all

All three are deterministic: they depend on the codes and on the order of the items only. Ranks and places are
computed in Rust, in the sorted order of packed codes and in one table of those taken.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sidkit._core import SidLayout, code_ranks, place_codes
from sidkit.errors import CollisionError, ConfigError, DataError

__all__ = [
    "METHODS",
    "POLICIES",
    "add_collision_token",
    "check_codes",
    "group_sizes",
    "reassign",
    "resolve_collisions",
]

POLICIES = ("suffix", "reassign", "share")
#: Ways to choose who moves where under `reassign`.
METHODS = ("first", "nearest", "sinkhorn")

Codes: TypeAlias = npt.NDArray[np.uint16]
#: Gives, for m row numbers, their codes in the order of preference, uint16 (m, choices, levels);
#: or that array for all rows.
Alternatives: TypeAlias = Callable[[npt.NDArray[np.int64]], Codes] | Codes

#: Gives, for m row numbers and their codes uint16 (m, choices, levels), what each costs, float (m, choices).
Costs: TypeAlias = Callable[[npt.NDArray[np.int64], Codes], npt.NDArray[np.floating]]

_MOST_DIGITS = 1 << 16
_NONE = (1 << 32) - 1


def resolve_collisions(
    codes: npt.ArrayLike,
    sizes: Sequence[int],
    *,
    policy: str = "suffix",
    collision_size: int | None = None,
    alternatives: Alternatives | None = None,
    capacity: int = 1,
    method: str = "first",
    costs: Costs | None = None,
) -> tuple[Codes, tuple[int, ...]]:
    """Turn codes into the tokens of Semantic IDs.

    Args:
        codes: integers (n, levels), `codes[:, l]` in `0..sizes[l]`.
        sizes: number of codes of each level.
        policy: `suffix`, `reassign` or `share`.
        collision_size: `suffix` only: size of the further token; without it, that of the largest group.
        alternatives: `reassign` only: see `reassign`.
        capacity: `reassign` only: how many items may keep one code.
        method: `reassign` only: who moves where: `first`, `nearest` or `sinkhorn`.
        costs: `reassign` only: see `reassign`.

    Returns:
        The tokens, uint16 (n, levels) or for `suffix` (n, levels + 1), and their sizes.

    Raises:
        ConfigError: if the policy is unknown, its arguments are missing or senseless, or there are arguments
            of another one (`alternatives` alone may be given to any).
        DataError: if the codes do not fit the sizes.
        CollisionError: if the policy cannot tell all items apart.
    """
    codes = check_codes(codes, sizes)
    if policy not in POLICIES:
        raise ConfigError(f"unknown collision policy `{policy}`; hint: one of {', '.join(POLICIES)}")
    if collision_size is not None and policy != "suffix":
        raise ConfigError(
            f"`collision_size` is of the policy `suffix`, but the policy is `{policy}`; leave one of them out"
        )
    if policy != "reassign" and (capacity != 1 or method != "first" or costs is not None):
        raise ConfigError(
            f"`capacity`, `method` and `costs` are of the policy `reassign`, but the policy is `{policy}`; "
            'leave them out, or set the policy to "reassign"'
        )
    if costs is not None and method == "first":
        raise ConfigError(
            "`costs` are of the methods `nearest` and `sinkhorn`, but the method is `first`; leave them out, "
            'or set method="nearest"'
        )
    if policy == "suffix":
        tokens, size = add_collision_token(codes, sizes, size=collision_size)
        return tokens, (*sizes, size)
    if policy == "reassign":
        if alternatives is None:
            raise ConfigError(
                "`reassign` needs the next-nearest codes of an item, but `alternatives` is None; "
                "hint: alternatives=lambda rows: tokenizer.alternatives(x[rows])"
            )
        moved = reassign(codes, sizes, alternatives, capacity=capacity, method=method, costs=costs)
        return moved, tuple(sizes)
    return codes, tuple(sizes)


def group_sizes(codes: Codes, sizes: Sequence[int]) -> npt.NDArray[np.int64]:
    """Count the items of each code that occurs, int64 (distinct codes,), in the order of the codes."""
    counts: npt.NDArray[np.int64] = np.unique(_keys(codes, sizes), return_counts=True)[1]
    return counts


def add_collision_token(codes: Codes, sizes: Sequence[int], *, size: int | None = None) -> tuple[Codes, int]:
    """Append a token that counts the items under one code, in the order of the items, from 0 on.

    Args:
        codes: uint16 (n, levels).
        sizes: number of codes of each level.
        size: of the new token; without it, the number of items of the largest group (at least 1).

    Returns:
        The tokens, uint16 (n, levels + 1), and the size of the last one.

    Raises:
        CollisionError: if more than `size` items have one code; the message says which and how many.
        ConfigError: if `size` is not in 1..65536, or the tokens take more than 128 bits together.
    """
    if size is not None and not 1 <= size <= _MOST_DIGITS:
        raise ConfigError(f"the collision token's size must be in 1..{_MOST_DIGITS}, not {size}")
    ranks = code_ranks(_words(_layout(sizes), codes))
    largest = int(ranks.max(initial=0)) + 1
    limit = _MOST_DIGITS if size is None else size
    if largest > limit:
        worst = int(ranks.argmax())
        raise CollisionError(
            f"{largest} items have the code `{_written(codes[worst])}`, "
            f"but the collision token tells only {limit} apart; "
            f"hint: a collision size of at least {largest}, more or larger levels, "
            "or the policy `reassign` or `share`"
        )
    size = largest if size is None else size
    _layout((*sizes, size))
    return np.column_stack([codes, ranks.astype(np.uint16)]), size


def reassign(
    codes: Codes,
    sizes: Sequence[int],
    alternatives: Alternatives,
    *,
    capacity: int = 1,
    method: str = "first",
    costs: Costs | None = None,
    settled: Codes | None = None,
) -> Codes:
    """Move surplus items of a code to a near code with room. Who is not surplus stays.

    `first`: the first `capacity` items of each code keep it. The others ask, round by round, for their 1st,
    2nd, … alternative; a code with room takes those who ask in the order of the items.

    `nearest`: all items of a code with too many compete, and a code keeps those to whom it costs the least
    (deferred acceptance, Gale and Shapley 1962, College admissions and the stability of marriage).

    `sinkhorn`: likewise, but all wishes are weighed at once by entropic transport, as LC-Rec does for its
    last level (Zheng et al., arXiv 2311.09049), and granted by weight, which makes the sum of the costs
    small. Its weights go through `exp`, so machines may differ in the last bit, and with it in ties.

    Args:
        codes: uint16 (n, levels).
        sizes: number of codes of each level.
        alternatives: codes in the order of preference, uint16 (m, choices, levels), for the m rows asked for,
            or an array for all n rows. An item's own code may be among them.
        capacity: how many items may have one code.
        method: `first`, `nearest` or `sinkhorn`.
        costs: not of `first`: what codes cost items, float (m, choices), of m row numbers and their codes
            uint16 (m, choices, levels), such as the squared distance to what they decode to. Without
            it, the place of a code in the order of preference.
        settled: uint16 (k, levels), codes of further items, which stay and take room.

    Returns:
        New codes, uint16 (n, levels), none of them more often than `capacity`.

    Raises:
        CollisionError: if an item finds no room among its alternatives.
        ConfigError: if `capacity` is less than 1, or there is no such method.
        DataError: if the alternatives have another shape or do not fit the sizes, or the costs do not fit
            them.
    """
    if capacity < 1:
        raise ConfigError(f"capacity must be at least 1, not {capacity}")
    if method not in METHODS:
        raise ConfigError(f"unknown method of `reassign`: `{method}`; hint: one of {', '.join(METHODS)}")
    layout = _layout(sizes)
    keys = _words(layout, codes)
    others = np.empty((0, keys.shape[1]), np.uint64) if settled is None else _words(layout, settled)
    before = code_ranks(np.concatenate([others, keys]))[len(others) :]
    surplus = before >= capacity
    if method != "first" and surplus.any():
        # Those that came first have no right of their own here: all of an overfull code compete.
        sortable = _keys(codes, sizes)
        surplus = np.isin(sortable, sortable[surplus])
    homeless = np.flatnonzero(surplus)
    if not len(homeless):
        return codes
    wishes = _wishes(alternatives, homeless, codes, sizes)
    if method != "first":
        wishes = np.concatenate([codes[homeless, None], wishes], axis=1)
    choices = wishes.shape[1]
    granted = place_codes(
        np.concatenate([others, keys[~surplus]]),
        _words(layout, wishes.reshape(-1, codes.shape[1])),
        choices=choices,
        capacity=min(capacity, _NONE - 1),
        method=method,
        costs=None if method == "first" else _costs(costs, homeless, wishes),
    )
    lost = np.flatnonzero(granted == _NONE)
    if len(lost):
        given = choices - (method != "first")
        first = int(homeless[lost[0]])
        raise CollisionError(
            f"{len(lost)} of {len(codes)} items find no free code among their {given} alternatives "
            f"(the first is row {first} with the code `{_written(codes[first])}`); "
            "hint: more alternatives, a larger capacity, more or larger levels, "
            "or the policy `suffix` or `share`"
        )
    result = codes.copy()
    result[homeless] = wishes[np.arange(len(homeless)), granted]
    return result


def check_codes(codes: npt.ArrayLike, sizes: Sequence[int]) -> Codes:
    """Return `codes` as uint16 if they are integers (n, levels) with `codes[:, l]` in `0..sizes[l]`."""
    array = np.asarray(codes)
    if array.ndim != 2 or array.dtype.kind not in "iu":
        raise DataError(f"codes must be an integer array (n, levels), not {array.dtype} {array.shape}")
    if array.shape[1] != len(sizes) or not len(sizes):
        raise DataError(
            f"codes have {array.shape[1]} levels, but {len(sizes)} sizes are given: {tuple(sizes)}"
        )
    if any(not 1 <= size <= _MOST_DIGITS for size in sizes):
        raise ConfigError(f"sizes must be in 1..{_MOST_DIGITS}, not {tuple(sizes)}")
    if len(array) and ((array.min(axis=0) < 0) | (array.max(axis=0) >= np.asarray(sizes))).any():
        wrong = np.argwhere((array < 0) | (array >= np.asarray(sizes)))
        row, level = (int(part) for part in wrong[0])
        raise DataError(
            f"the code of row {row} at level {level} is {array[row, level]}, "
            f"but that level has {sizes[level]} codes: 0..{sizes[level] - 1}"
        )
    return np.ascontiguousarray(array, dtype=np.uint16)


def _wishes(
    alternatives: Alternatives, rows: npt.NDArray[np.int64], codes: Codes, sizes: Sequence[int]
) -> Codes:
    given = np.asarray(alternatives(rows) if callable(alternatives) else alternatives)
    expected = len(rows) if callable(alternatives) else len(codes)
    if given.ndim != 3 or given.shape[::2] != (expected, codes.shape[1]) or not given.shape[1]:
        raise DataError(
            f"alternatives must be an array ({expected}, choices, {codes.shape[1]}) of one choice or more, "
            f"but it is {given.shape}"
        )
    if not callable(alternatives):
        given = given[rows]
    return check_codes(given.reshape(-1, codes.shape[1]), sizes).reshape(given.shape)


def _layout(sizes: Sequence[int]) -> SidLayout:
    try:
        return SidLayout(list(sizes))
    except ValueError as error:
        raise ConfigError(f"Semantic IDs of the sizes {tuple(sizes)} cannot be: {error}") from error


def _keys(codes: Codes, sizes: Sequence[int]) -> npt.NDArray[Any]:
    """One sortable scalar per row; the order is that of the codes."""
    packed: npt.NDArray[np.uint64] = _layout(sizes).pack(codes)
    if packed.ndim == 1:
        return packed
    # Two words as 16 bytes, the most significant first: NumPy compares and sorts those like one number.
    return np.ascontiguousarray(packed, dtype=">u8").view("S16").ravel()


def _words(layout: SidLayout, codes: Codes) -> npt.NDArray[np.uint64]:
    """Packed codes as rows of one word or two."""
    packed = layout.pack(np.ascontiguousarray(codes))
    return packed.reshape(len(codes), -1) if len(codes) else packed.reshape(0, layout.words)


def _costs(costs: Costs | None, rows: npt.NDArray[np.int64], wishes: Codes) -> npt.NDArray[np.float64]:
    if costs is None:
        return np.tile(np.arange(wishes.shape[1], dtype=np.float64), len(rows))
    given = np.ascontiguousarray(costs(rows, wishes), dtype=np.float64)
    if given.shape != wishes.shape[:2] or not np.isfinite(given).all():
        raise DataError(
            f"costs must be finite floats {wishes.shape[:2]}, one a wish; got shape {given.shape}"
        )
    return given.reshape(-1)


def _written(code: Codes) -> str:
    return "-".join(str(token) for token in code.tolist())
