"""Course of an alignment, as kept in `alignment.json`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sidkit._files import write_text
from sidkit.errors import FormatError
from sidkit.train.history import History

__all__ = ["AlignmentRecord"]


@dataclass
class AlignmentRecord:
    """Course of one alignment.

    Attributes:
        method: settings of the method, with its name as `method`.
        reward: name of the reward, or `preferences`.
        beta: strength of the penalty.
        budget: limits of the budget.
        reward_hacking: whether the reward rose while accuracy fell below its budget.
        history: course of the training. The metrics of its evaluations are `reward`, the expected reward of
            an item drawn from the policy; `reward@10`, the mean reward of the recommended items; `kl`,
            KL(policy ‖ reference), and `entropy`, natural log; and with validation `ndcg@10`, `recall@10`,
            `coverage@10` and `average_popularity@10`. The first evaluation is that of the reference.
    """

    method: dict[str, Any]
    reward: str
    beta: float
    budget: dict[str, float | None]
    reward_hacking: bool
    history: History

    @property
    def reference(self) -> dict[str, float]:
        """Metrics of the reference."""
        return dict(self.history.evaluations[0]["metrics"])

    @property
    def kept(self) -> dict[str, float]:
        """Metrics of the policy that was kept."""
        step = self.history.best_step
        return dict(next(each for each in self.history.evaluations if each["step"] == step)["metrics"])

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)

    def save(self, path: Path) -> None:
        """Write JSON, whole or not at all."""
        write_text(path, json.dumps(self.as_dict(), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "AlignmentRecord":
        """Read what `save` wrote.

        Raises:
            FormatError: if the file is missing or is not the record of an alignment.
        """
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
            return cls(**(read | {"history": History(**read["history"])}))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise FormatError(
                f"`{path}` is not the record of an alignment: {error}. Align the model again."
            ) from error
