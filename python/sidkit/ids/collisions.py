"""Collision policies: ways to handle items with equal codes.

    suffix     append a token that counts the items of one code (TIGER, Rajput et al. 2023, section 3.1)
    reassign   move all but the first, or the nearest, items of a code to a near free code
    share      keep the codes: several items have one Semantic ID

All policies are deterministic: they depend only on the codes and the order of the items. Ranks and moves are
computed in Rust, in the sorted order of packed codes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Bounds, Count, Shape, check_argument, checked
from sidkit._core import SidLayout, code_ranks, place_codes
from sidkit.errors import CollisionError, ConfigError, DataError

__all__ = [
    "METHODS",
    "POLICIES",
    "Reassignment",
    "add_collision_token",
    "check_codes",
    "group_sizes",
    "reassign",
    "resolve_collisions",
]

POLICIES = ("suffix", "reassign", "share")
#: Methods of the policy `reassign`.
METHODS = ("first", "nearest", "sinkhorn")

Codes: TypeAlias = npt.NDArray[np.uint16]
#: Number of codes of each level.
Sizes: TypeAlias = Sequence[Annotated[int, Bounds(ge=1, le=65536)]]
#: Function of row numbers, int64 (m,), that returns codes in the order of preference, uint16
#: (m, choices, levels); or that array for all rows.
Alternatives: TypeAlias = Callable[[npt.NDArray[np.int64]], Codes] | Codes

#: Function of row numbers, int64 (m,), and codes, uint16 (m, choices, levels), that returns costs, float
#: (m, choices).
Costs: TypeAlias = Callable[[npt.NDArray[np.int64], Codes], npt.NDArray[np.floating]]

_LARGEST_LEVEL = 1 << 16
_NONE = (1 << 32) - 1


@checked
@dataclass(frozen=True)
class Reassignment:
    """Options of the policy `reassign`; see the function `reassign`.

    Attributes:
        alternatives: next-nearest codes of the items: `lambda rows: tokenizer.alternatives(x[rows])`, or an
            array uint16 (n, choices, levels).
        method: `first`, `nearest` or `sinkhorn`.
        capacity: maximum number of items per code.
        costs: costs of codes, not for `first`: `tokenizer.decoding_costs(x)`. Without them, the place of a
            code among the alternatives is its cost.
    """

    alternatives: Alternatives
    method: str = "first"
    capacity: Count = 1
    costs: Costs | None = None

    def __post_init__(self) -> None:
        if self.capacity < 1:
            raise ConfigError(
                f"capacity is invalid: expected an integer >= 1, got {self.capacity}. Correct it."
            )
        if self.method not in METHODS:
            raise ConfigError(
                f"unknown method of `reassign`: expected one of {', '.join(METHODS)}, got `{self.method}`. "
                "Correct it."
            )
        if self.costs is not None and self.method == "first":
            raise ConfigError(
                "`costs` do not apply to the method `first`: expected `nearest` or `sinkhorn`, got `first`. "
                'Leave them out, or set method="nearest".'
            )


@checked
def resolve_collisions(
    codes: npt.ArrayLike,
    sizes: Sizes,
    *,
    policy: str = "suffix",
    collision_size: int | None = None,
    reassignment: Reassignment | None = None,
) -> tuple[Codes, tuple[int, ...]]:
    """Turn codes into the tokens of Semantic IDs.

    Args:
        codes: integers (n, levels), `codes[:, l]` in `0..sizes[l]`.
        sizes: number of codes of each level, such as the `codebook_sizes` of a tokenizer.
        policy: `suffix`, `reassign` or `share`.
        collision_size: size of the collision token, for `suffix`; by default that of the largest group.
        reassignment: options of `reassign`.

    Returns:
        The tokens, uint16 (n, levels) or for `suffix` (n, levels + 1), and their sizes.

    Raises:
        ConfigError: if the policy is unknown, or an argument is missing or belongs to another policy.
        DataError: if the codes do not fit the sizes.
        CollisionError: if the policy cannot give every item a Semantic ID.
    """
    codes = check_codes(codes, sizes)
    if policy not in POLICIES:
        raise ConfigError(
            f"unknown collision policy: expected one of {', '.join(POLICIES)}, got `{policy}`. Correct it."
        )
    if collision_size is not None and policy != "suffix":
        raise ConfigError(
            f"`collision_size` belongs to the policy `suffix`, but the policy is `{policy}`. "
            "Leave one of them out."
        )
    if reassignment is not None and policy != "reassign":
        raise ConfigError(
            f"`reassignment` belongs to the policy `reassign`, but the policy is `{policy}`. "
            'Leave it out, or set the policy to "reassign".'
        )
    if policy == "suffix":
        tokens, size = add_collision_token(codes, sizes, size=collision_size)
        return tokens, (*sizes, size)
    if policy == "reassign":
        if reassignment is None:
            raise ConfigError(
                "the policy `reassign` needs the next-nearest codes of the items: expected `reassignment`, "
                "got None. Pass Reassignment(lambda rows: tokenizer.alternatives(x[rows]))."
            )
        return reassign(codes, sizes, reassignment), tuple(sizes)
    return codes, tuple(sizes)


@checked
def group_sizes(codes: Codes, sizes: Sizes) -> npt.NDArray[np.int64]:
    """Count the items of each code that occurs, int64 (distinct codes,), in the order of the codes."""
    codes = check_codes(codes, sizes)
    counts: npt.NDArray[np.int64] = np.unique(_keys(codes, sizes), return_counts=True)[1]
    return counts


@checked
def add_collision_token(codes: Codes, sizes: Sizes, *, size: int | None = None) -> tuple[Codes, int]:
    """Append a token that counts the items of one code from 0, in the order of the items.

    Args:
        codes: uint16 (n, levels).
        sizes: number of codes of each level.
        size: size of the new token; by default the number of items of the largest group, at least 1.

    Returns:
        The tokens, uint16 (n, levels + 1), and the size of the last one.

    Raises:
        CollisionError: if more than `size` items have one code; the message names the code.
        ConfigError: if `size` is not in 1..65536, or the tokens need more than 128 bits together.
    """
    if size is not None and not 1 <= size <= _LARGEST_LEVEL:
        raise ConfigError(
            f"the collision token has an invalid size: expected 1..{_LARGEST_LEVEL}, got {size}. Correct it."
        )
    codes = check_codes(codes, sizes)
    ranks = code_ranks(_words(_layout(sizes), codes))
    largest = int(ranks.max(initial=0)) + 1
    limit = _LARGEST_LEVEL if size is None else size
    if largest > limit:
        worst = int(ranks.argmax())
        raise CollisionError(
            f"too many items have the code `{_written(codes[worst])}`: expected at most {limit}, the size of "
            f"the collision token, got {largest}. Use a collision size of at least {largest}, more or larger "
            "levels, or the policy `reassign` or `share`."
        )
    size = largest if size is None else size
    _layout((*sizes, size))
    return np.column_stack([codes, ranks.astype(np.uint16)]), size


@checked
def reassign(
    codes: Codes,
    sizes: Sizes,
    options: Reassignment,
    *,
    occupied: Codes | None = None,
) -> Codes:
    """Move surplus items of a code to near codes with room; all other items keep their code.

    `first`: the first `capacity` items of each code keep it. The others try their 1st, 2nd, … alternative,
    round by round; a code with room accepts them in the order of the items.

    `nearest`: all items of a code with a surplus compete, and a code keeps the items with the lowest costs
    (deferred acceptance, Gale and Shapley 1962, College admissions and the stability of marriage).

    `sinkhorn`: as `nearest`, but entropic optimal transport weighs all preferences together, as LC-Rec does
    for its last level (Zheng et al., arXiv 2311.09049), which lowers the sum of the costs. Its weights use
    `exp`, so that machines may differ in the last bit, and therefore in ties.

    Args:
        codes: uint16 (n, levels).
        sizes: number of codes of each level.
        options: alternatives, method, capacity and costs. Alternatives are in the order of preference; the
            own code of an item may be among them.
        occupied: uint16 (k, levels), codes of further items that keep their codes and take up room.

    Returns:
        New codes, uint16 (n, levels), none of them more often than `capacity`.

    Raises:
        CollisionError: if an item finds no room among its alternatives.
        DataError: if alternatives or costs have the wrong shape or do not fit the sizes.
    """
    method, capacity = options.method, options.capacity
    codes = check_codes(codes, sizes)
    occupied = None if occupied is None else check_codes(occupied, sizes)
    layout = _layout(sizes)
    keys = _words(layout, codes)
    others = np.empty((0, keys.shape[1]), np.uint64) if occupied is None else _words(layout, occupied)
    before = code_ranks(np.concatenate([others, keys]))[len(others) :]
    surplus = before >= capacity
    if method != "first" and surplus.any():
        # The first items have no priority here: all items of an overfull code compete.
        sortable = _keys(codes, sizes)
        surplus = np.isin(sortable, sortable[surplus])
    moving = np.flatnonzero(surplus)
    if not len(moving):
        return codes
    preferred = _choices(options.alternatives, moving, codes, sizes)
    if method != "first":
        preferred = np.concatenate([codes[moving, None], preferred], axis=1)
    choices = preferred.shape[1]
    granted = place_codes(
        np.concatenate([others, keys[~surplus]]),
        _words(layout, preferred.reshape(-1, codes.shape[1])),
        choices=choices,
        capacity=min(capacity, _NONE - 1),
        method=method,
        costs=None if method == "first" else _costs(options.costs, moving, preferred),
    )
    lost = np.flatnonzero(granted == _NONE)
    if len(lost):
        given = choices - (method != "first")
        first = int(moving[lost[0]])
        raise CollisionError(
            f"items find no free code: expected one among {given} alternatives per item, got none for "
            f"{len(lost)} of {len(codes)} items (the first is row {first} with the code "
            f"`{_written(codes[first])}`). Use more alternatives, a larger capacity, more or larger levels, "
            "or the policy `suffix` or `share`."
        )
    result = codes.copy()
    result[moving] = preferred[np.arange(len(moving)), granted]
    return result


def check_codes(codes: npt.ArrayLike, sizes: Sequence[int]) -> Codes:
    """Return `codes` as uint16 if they are integers (n, levels) with `codes[:, l]` in `0..sizes[l]`."""
    array = np.asarray(codes)
    if array.ndim != 2 or array.dtype.kind not in "iu":
        raise DataError(
            f"codes are invalid: expected an integer array (n, levels), got {array.dtype} of shape "
            f"{array.shape}. Pass the result of tokenizer.encode."
        )
    if array.shape[1] != len(sizes) or not len(sizes):
        raise DataError(
            f"codes and sizes do not match: expected one size for each of the {array.shape[1]} levels, "
            f"got {len(sizes)}: {tuple(sizes)}. Pass tokenizer.codebook_sizes."
        )
    if any(not 1 <= size <= _LARGEST_LEVEL for size in sizes):
        raise ConfigError(
            f"sizes are invalid: expected integers in 1..{_LARGEST_LEVEL}, got {tuple(sizes)}. Correct them."
        )
    if len(array) and ((array.min(axis=0) < 0) | (array.max(axis=0) >= np.asarray(sizes))).any():
        wrong = np.argwhere((array < 0) | (array >= np.asarray(sizes)))
        row, level = (int(part) for part in wrong[0])
        raise DataError(
            f"the code of row {row} at level {level} is out of range: expected 0..{sizes[level] - 1}, "
            f"got {array[row, level]}. Check codes and sizes."
        )
    return np.ascontiguousarray(array, dtype=np.uint16)


def _choices(
    alternatives: Alternatives, rows: npt.NDArray[np.int64], codes: Codes, sizes: Sequence[int]
) -> Codes:
    answer = alternatives(rows) if callable(alternatives) else alternatives
    given = np.asarray(check_argument("alternatives", answer, npt.ArrayLike))
    expected = len(rows) if callable(alternatives) else len(codes)
    if given.ndim != 3 or given.shape[::2] != (expected, codes.shape[1]) or not given.shape[1]:
        raise DataError(
            f"alternatives are invalid: expected an array ({expected}, choices, {codes.shape[1]}) with one "
            f"choice or more, got shape {given.shape}. Pass the result of tokenizer.alternatives."
        )
    if not callable(alternatives):
        given = given[rows]
    return check_codes(given.reshape(-1, codes.shape[1]), sizes).reshape(given.shape)


def _layout(sizes: Sequence[int]) -> SidLayout:
    try:
        return SidLayout(list(sizes))
    except ValueError as error:
        raise ConfigError(
            f"Semantic IDs cannot be packed: expected sizes of at most 128 bits together, got {tuple(sizes)} "
            f"({error}). Use fewer or smaller levels."
        ) from error


def _keys(codes: Codes, sizes: Sequence[int]) -> npt.NDArray[Any]:
    """Return one sortable scalar per row, in the order of the codes."""
    packed: npt.NDArray[np.uint64] = _layout(sizes).pack(codes)
    if packed.ndim == 1:
        return packed
    # Two words as 16 bytes, the most significant first: NumPy compares and sorts those like one number.
    return np.ascontiguousarray(packed, dtype=">u8").view("S16").ravel()


def _words(layout: SidLayout, codes: Codes) -> npt.NDArray[np.uint64]:
    """Return packed codes as rows of one word or two."""
    packed = layout.pack(np.ascontiguousarray(codes))
    return packed.reshape(len(codes), -1) if len(codes) else packed.reshape(0, layout.words)


def _costs(costs: Costs | None, rows: npt.NDArray[np.int64], preferred: Codes) -> npt.NDArray[np.float64]:
    if costs is None:
        return np.tile(np.arange(preferred.shape[1], dtype=np.float64), len(rows))
    answer = check_argument(
        "costs", costs(rows, preferred), Annotated[npt.ArrayLike, Shape("rows", "choices")]
    )
    given = np.ascontiguousarray(answer, dtype=np.float64)
    if given.shape != preferred.shape[:2] or not np.isfinite(given).all():
        raise DataError(
            f"costs are invalid: expected finite floats {preferred.shape[:2]}, one per alternative, "
            f"got shape {given.shape}. Pass tokenizer.decoding_costs(x)."
        )
    return given.reshape(-1)


def _written(code: Codes) -> str:
    return "-".join(str(token) for token in code.tolist())
