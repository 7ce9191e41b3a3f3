"""Groups of histories of similar length, so that a batch of all lengths needs little padding."""

from torch import Tensor

__all__ = ["length_groups"]


def length_groups(lengths: Tensor) -> list[tuple[slice, int]]:
    """Cut the rows of a batch into consecutive groups that are padded to their own longest row.

    Args:
        lengths: positions of each row, int64 (B,); rows in ascending order of length need the fewest groups.

    Returns:
        The rows of each group, and the positions of its longest row, at least one.
    """
    groups = []
    start, shortest, longest = 0, 0, 0
    for row, length in enumerate(lengths.tolist()):
        if row == start:
            shortest = longest = length
        shorter, longer = min(shortest, length), max(longest, length)
        if longer > 2 * shorter + 2:
            groups.append((slice(start, row), max(longest, 1)))
            start, shorter, longer = row, length, length
        shortest, longest = shorter, longer
    if len(lengths):
        groups.append((slice(start, len(lengths)), max(longest, 1)))
    return groups
