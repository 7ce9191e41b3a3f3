"""Settings shared by all trainings of a comparison of representations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from sidkit._arguments import Bounds, Count, Seed, checked
from sidkit.errors import ConfigError

__all__ = ["MOST_SEEDS", "RankSettings"]

#: Student's t is tabulated for up to this many seeds, see `sidkit.ranking.compare`.
MOST_SEEDS = 10


@checked
@dataclass(frozen=True, kw_only=True)
class RankSettings:
    """Budget and training of the ranking model.

    Attributes:
        num_embeddings: size of the embedding table of each representation.
        dim: length of the vectors.
        seeds: one training per seed, which sets the initial parameters, the order of events and the hash.
        epochs: maximum number of epochs; the best one on validation is kept.
        batch_size: events per step.

    Raises:
        ConfigError: if there are no seeds, more than 10, or equal ones.
    """

    num_embeddings: Count = 2048
    dim: Annotated[int, Bounds(ge=1, le=1024)] = 16
    seeds: Sequence[Seed] = (0, 1, 2, 3, 4)
    epochs: Count = 8
    batch_size: Count = 1024

    def __post_init__(self) -> None:
        """Validate the seeds."""
        if not 1 <= len(set(self.seeds)) == len(self.seeds) <= MOST_SEEDS:
            raise ConfigError(f"seeds must be 1 to {MOST_SEEDS} different numbers, got {list(self.seeds)}")
