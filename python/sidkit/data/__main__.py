"""Write a synthetic catalogue with known recommendations: `python -m sidkit.data world --items 1000000`."""

import argparse
from pathlib import Path

from sidkit.data.markov_world import MarkovWorld


def main() -> None:
    """Write a `MarkovWorld` as a dataset with vectors."""
    parser = argparse.ArgumentParser(description="Write a synthetic catalogue with known recommendations.")
    parser.add_argument("directory", type=Path, help="directory to write; an existing one is replaced")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=250_000, help="sessions, of 20 events on average")
    parser.add_argument("--clusters", type=int, help="by default the square root of the number of items")
    parser.add_argument("--dim", type=int, default=64, help="width of the vectors")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    world = MarkovWorld(items=given.items, clusters=given.clusters, dim=given.dim, seed=given.seed)
    world.write(given.directory, given.users)
    recalls = f"{world.expected_recall(10):.4f}, of popularity {world.popularity_recall(10):.4f}"
    print(f"{given.directory}: expected Recall@10 of the optimal ranking {recalls}")


if __name__ == "__main__":
    main()
