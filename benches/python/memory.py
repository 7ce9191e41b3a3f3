"""Peak memory of one training step of RQTransformer: 512 histories of 50 items, 12,101 items, dense head.

    python benches/python/memory.py [--batch 512] [--limit-gb 4]

Prints the peak resident set of this process, torch included, and fails if it is above the limit. What a step
needs is the same on any data of these sizes: Semantic IDs are random, as many prefixes as Beauty has.
"""

import argparse
import resource
import sys
import time

import numpy as np
import torch

from sidkit.models import RQTransformer
from sidkit.train import autocast

SIZES, ITEMS, LENGTH, CONTENT = (256, 256, 256, 4), 12_101, 50, 384


def main() -> int:
    """Run one step and compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--limit-gb", type=float, default=4.0)
    given = parser.parse_args()
    random = np.random.default_rng(0)
    digits = np.stack([random.integers(0, size, ITEMS) for size in SIZES], 1).astype(np.uint16)
    vectors = random.normal(size=(ITEMS, CONTENT)).astype(np.float32)
    model = RQTransformer.for_items(SIZES, digits, vectors, dense=True).train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    events = torch.from_numpy(random.integers(0, ITEMS, (given.batch, LENGTH + 1)))
    before, started = _peak(), time.perf_counter()
    with autocast("auto"):
        losses = model(events[:, :-1], events[:, 1:])
    losses.sum().backward()
    optimizer.step()
    peak, seconds = _peak(), time.perf_counter() - started
    print(
        f"{given.batch} x {LENGTH} items: peak {peak / 1e9:.2f} GB ({before / 1e9:.2f} GB before the step), "
        f"{seconds:.1f} s, torch {torch.__version__}, {torch.get_num_threads()} threads"
    )
    if peak > given.limit_gb * 1e9:
        print(f"more than {given.limit_gb} GB", file=sys.stderr)
        return 1
    return 0


def _peak() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    raise SystemExit(main())
