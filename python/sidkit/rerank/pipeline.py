"""Several re-rankers in a row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sidkit._arguments import TopK, check_argument, checked
from sidkit.errors import ConfigError
from sidkit.rerank.base import Float32, Int32, ItemFeatures, Ranked, Requirement, Reranker, best

__all__ = ["Pipeline"]


@checked
@dataclass(eq=False, repr=False)
class Pipeline(Reranker):
    """Re-rankers that are applied one after the other.

    Every step but the last orders all candidates that it admits, with their new scores; the last returns k of
    them. Rules that hold for every part of a list, those of `AttributeCap` and `Deduplicate`, therefore hold
    for the final list wherever they are in the pipeline. Without a step, the k best candidates are returned.

    Example:
        >>> rules = Pipeline([PopularityCorrection(weight=0.2), MMR(diversity=0.3), AttributeCap(brands)])
        >>> model.recommend(history, k=10, rerank=rules)
    """

    method: ClassVar[str] = "pipeline"

    steps: Sequence[Reranker] = ()
    """The re-rankers, the first one first."""

    @classmethod
    def of(cls, given: Any) -> "Pipeline":
        """Return a pipeline of a re-ranker or of several.

        Raises:
            ConfigError: if an object is not a re-ranker, or a step must be the last and is not.
        """
        steps: list[Any]
        if isinstance(given, Pipeline):
            steps = list(given.steps)
        else:
            steps = [given] if isinstance(given, Reranker | type) else _listed(given)
        for step in steps:
            if not isinstance(step, Reranker):
                got = f"the class {step.__name__}" if isinstance(step, type) else f"{type(step).__name__}"
                raise ConfigError(f"`rerank` must be a re-ranker or a list of them, such as MMR(), got {got}")
        early = [step.method for step in steps[:-1] if step.last_only]
        if early:
            raise ConfigError(f"`{early[0]}` must be the last step, since it counts positions of the list")
        return cls(steps)

    def required(self, k: TopK, features: ItemFeatures) -> list[Requirement]:
        """Return the groups that the steps need."""
        return [each for step in Pipeline.of(self).steps for each in step.required(k, features)]

    def _rerank(self, items: Int32, scores: Float32, k: TopK, features: ItemFeatures) -> Ranked:
        steps = Pipeline.of(self).steps
        for step in steps[:-1]:
            items, scores = step.rerank(items, scores, max(1, items.shape[1]), features)
        return steps[-1].rerank(items, scores, k, features) if steps else best(items, scores, k)


def _listed(given: Any) -> list[Any]:
    if given is None:
        return []
    return list(check_argument("rerank", given, Iterable[Any]))
