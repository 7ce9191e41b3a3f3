"""The table `[evaluate]`: the metrics of the predictions."""

from pydantic import Field, model_validator

from sidkit._settings import Count, Section, Seed

__all__ = ["EvaluateConfig"]


class EvaluateConfig(Section):
    """Metrics and their intervals."""

    ks: list[Count] = Field(default=[5, 10, 20])
    """Cut-offs K of Recall@K, NDCG@K and MRR@K."""
    bootstrap_samples: Count = 1000
    """Resamples of the users for each 95 % interval."""
    seed: Seed = 0
    """Seed of the resampling."""

    @model_validator(mode="after")
    def _some_cut_offs(self) -> "EvaluateConfig":
        if not self.ks or len(set(self.ks)) != len(self.ks):
            raise ValueError(f"`ks` must hold at least one cut-off and each once, it is {self.ks}")
        return self
