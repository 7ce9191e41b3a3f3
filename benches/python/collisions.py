"""How long collision policies take on millions of items, in user CPU seconds; results are checked.

python benches/python/collisions.py --items 5000000
"""

import argparse
import resource
import time

import numpy as np

from sidkit.ids import METHODS, add_collision_token, group_sizes, reassign

SIZES = (256, 256, 256)


def main() -> None:
    """Time every policy on codes that crowd: tokens drawn with probabilities that fall as 1 / rank."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=5_000_000)
    parser.add_argument("--choices", type=int, default=16)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    codes = (random.random((options.items, 3)) ** 1.5 * 256).astype(np.uint16)

    def alternatives(rows: np.ndarray) -> np.ndarray:
        """Draw codes elsewhere; a stand-in for a tokenizer's, whose time is its own."""
        drawn = random.integers(0, 256, (len(rows), options.choices, 3)).astype(np.uint16)
        drawn[:, 0] = codes[rows]
        return drawn

    crowded = group_sizes(codes, SIZES)
    capacity = 4
    print(f"{options.items:,} items, {len(crowded):,} codes, the fullest with {crowded.max()} items")
    tokens, size = timed("suffix", lambda: add_collision_token(codes, SIZES))
    assert size == crowded.max() and len(group_sizes(tokens, (*SIZES, size))) == len(codes)
    for method in METHODS:
        moved = timed(
            f"reassign, {method}, capacity {capacity}",
            lambda method=method: reassign(codes, SIZES, alternatives, capacity=capacity, method=method),
        )
        assert group_sizes(moved, SIZES).max() <= capacity
        print(f"  {(moved != codes).any(axis=1).sum():,} items moved")


def timed(name, work):
    """Do the work once and print its time."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    result = work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime - before.ru_utime
    wall = time.perf_counter() - start
    print(f"{name}: {cpu:.2f} user CPU seconds, {wall:.2f} wall, peak {after.ru_maxrss / 2**20:.2f} GiB")
    return result


if __name__ == "__main__":
    main()
