"""What to do with items whose codes are equal.

    token      a further digit counts the items under one code (TIGER, Rajput et al. 2023, section 3.1)
    reassign   all but the first items of a code move to the next-nearest code that is free
    share      nothing: several items have one Semantic ID, and whoever reads it gets them all

All three are deterministic: they depend on the codes and on the order of the items only.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sidkit._core import SidLayout
from sidkit.errors import CollisionError, ConfigError, DataError

__all__ = ["POLICIES", "add_collision_digit", "check_codes", "group_sizes", "reassign", "resolve_collisions"]

POLICIES = ("token", "reassign", "share")

Codes: TypeAlias = npt.NDArray[np.uint16]
#: Gives, for m row numbers, their codes in the order of preference, uint16 (m, choices, levels);
#: or that array for all rows.
Alternatives: TypeAlias = Callable[[npt.NDArray[np.int64]], Codes] | Codes

_MOST_DIGITS = 1 << 16


def resolve_collisions(
    codes: npt.ArrayLike,
    sizes: Sequence[int],
    *,
    policy: str = "token",
    collision_size: int | None = None,
    alternatives: Alternatives | None = None,
    capacity: int = 1,
) -> tuple[Codes, tuple[int, ...]]:
    """Turn codes into the digits of Semantic IDs.

    Args:
        codes: integers (n, levels), `codes[:, l]` in `0..sizes[l]`.
        sizes: number of codes of each level.
        policy: `token`, `reassign` or `share`.
        collision_size: `token` only: size of the further digit; without it, that of the largest group.
        alternatives: `reassign` only: see `reassign`.
        capacity: `reassign` only: how many items may keep one code.

    Returns:
        The digits, uint16 (n, levels) or for `token` (n, levels + 1), and their sizes.

    Raises:
        ConfigError: if the policy is unknown or its arguments are missing or senseless.
        DataError: if the codes do not fit the sizes.
        CollisionError: if the policy cannot tell all items apart.
    """
    codes = check_codes(codes, sizes)
    if policy == "token":
        digits, size = add_collision_digit(codes, sizes, size=collision_size)
        return digits, (*sizes, size)
    if policy == "reassign":
        if alternatives is None:
            raise ConfigError(
                "`reassign` needs the next-nearest codes of an item, but `alternatives` is None; "
                "hint: alternatives=lambda rows: tokenizer.alternatives(x[rows])"
            )
        return reassign(codes, sizes, alternatives, capacity=capacity), tuple(sizes)
    if policy == "share":
        return codes, tuple(sizes)
    raise ConfigError(f"unknown collision policy `{policy}`; hint: one of {', '.join(POLICIES)}")


def group_sizes(codes: Codes, sizes: Sequence[int]) -> npt.NDArray[np.int64]:
    """Count the items of each code that occurs, int64 (distinct codes,), in the order of the codes."""
    counts: npt.NDArray[np.int64] = np.unique(_keys(codes, sizes), return_counts=True)[1]
    return counts


def add_collision_digit(codes: Codes, sizes: Sequence[int], *, size: int | None = None) -> tuple[Codes, int]:
    """Append a digit that counts the items under one code, in the order of the items, from 0 on.

    Args:
        codes: uint16 (n, levels).
        sizes: number of codes of each level.
        size: of the new digit; without it, the number of items of the largest group (at least 1).

    Returns:
        The digits, uint16 (n, levels + 1), and the size of the last one.

    Raises:
        CollisionError: if more than `size` items have one code; the message says which and how many.
        ConfigError: if `size` is not in 1..65536.
    """
    if size is not None and not 1 <= size <= _MOST_DIGITS:
        raise ConfigError(f"the collision digit's size must be in 1..{_MOST_DIGITS}, not {size}")
    ranks = _rank_in_group(_keys(codes, sizes))
    largest = int(ranks.max(initial=0)) + 1
    limit = _MOST_DIGITS if size is None else size
    if largest > limit:
        worst = int(ranks.argmax())
        raise CollisionError(
            f"{largest} items have the code `{_written(codes[worst])}`, "
            f"but the collision digit tells only {limit} apart; "
            f"hint: a collision size of at least {largest}, more or larger levels, "
            "or the policy `reassign` or `share`"
        )
    return np.column_stack([codes, ranks.astype(np.uint16)]), largest if size is None else size


def reassign(codes: Codes, sizes: Sequence[int], alternatives: Alternatives, *, capacity: int = 1) -> Codes:
    """Move surplus items of a code to their next-nearest code with room.

    The first `capacity` items of each code keep it. The others ask, round by round, for their 1st, 2nd, …
    alternative; a code with room takes those who ask in the order of the items. Who has a code stays there.

    Args:
        codes: uint16 (n, levels).
        sizes: number of codes of each level.
        alternatives: codes in the order of preference, uint16 (m, choices, levels), for the m rows asked for,
            or an array for all n rows. An item's own code may be among them.
        capacity: how many items may have one code.

    Returns:
        New codes, uint16 (n, levels), none of them more often than `capacity`.

    Raises:
        CollisionError: if an item finds no room among its alternatives.
        ConfigError: if `capacity` is less than 1.
        DataError: if the alternatives have another shape or do not fit the sizes.
    """
    if capacity < 1:
        raise ConfigError(f"capacity must be at least 1, not {capacity}")
    keys = _keys(codes, sizes)
    settled = _rank_in_group(keys) < capacity
    homeless = np.flatnonzero(~settled)
    if not len(homeless):
        return codes
    wishes = _wishes(alternatives, homeless, codes, sizes)
    wish_keys = _keys(wishes.reshape(-1, codes.shape[1]), sizes).reshape(wishes.shape[:2])
    taken = np.sort(keys[settled])  # with repetitions: how often a key occurs is how full its code is
    result = codes.copy()
    waiting = np.arange(len(homeless))
    for choice in range(wishes.shape[1]):
        wanted = wish_keys[waiting, choice]
        full = np.searchsorted(taken, wanted, side="right") - np.searchsorted(taken, wanted, side="left")
        placed = _rank_in_group(wanted) < capacity - full
        winners = waiting[placed]
        result[homeless[winners]] = wishes[winners, choice]
        arrived = np.sort(wanted[placed])
        taken = np.insert(taken, np.searchsorted(taken, arrived), arrived)
        waiting = waiting[~placed]
        if not len(waiting):
            return result
    first = int(homeless[waiting[0]])
    raise CollisionError(
        f"{len(waiting)} of {len(codes)} items find no free code among their {wishes.shape[1]} alternatives "
        f"(the first is row {first} with the code `{_written(codes[first])}`); "
        f"hint: more alternatives, a larger capacity, more or larger levels, or the policy `token` or `share`"
    )


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
    wrong = np.argwhere((array < 0) | (array >= np.asarray(sizes)))
    if len(wrong):
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
    if given.ndim != 3 or given.shape[0] != expected or given.shape[2] != codes.shape[1]:
        raise DataError(
            f"alternatives must be an array ({expected}, choices, {codes.shape[1]}), but it is {given.shape}"
        )
    if not callable(alternatives):
        given = given[rows]
    return check_codes(given.reshape(-1, codes.shape[1]), sizes).reshape(given.shape)


def _keys(codes: Codes, sizes: Sequence[int]) -> npt.NDArray[Any]:
    """One sortable scalar per row; the order is that of the codes."""
    packed: npt.NDArray[np.uint64] = SidLayout(list(sizes)).pack(codes)
    if packed.ndim == 1:
        return packed
    # Two words as 16 bytes, the most significant first: NumPy compares and sorts those like one number.
    return np.ascontiguousarray(packed, dtype=">u8").view("S16").ravel()


def _rank_in_group(keys: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """How many earlier rows have the same key, for each row."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.ones(len(keys), dtype=bool)
    starts[1:] = ordered[1:] != ordered[:-1]
    positions = np.arange(len(keys))
    ranks = np.empty(len(keys), dtype=np.int64)
    ranks[order] = positions - np.maximum.accumulate(np.where(starts, positions, 0))
    return ranks


def _written(code: Codes) -> str:
    return "-".join(str(digit) for digit in code.tolist())
