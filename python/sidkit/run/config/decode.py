"""The table `[decode]`: the lists of recommendations for every test user."""

from pydantic import model_validator

from sidkit._settings import Count, Section

__all__ = ["DecodeConfig"]


class DecodeConfig(Section):
    """Recommendation to every test user, once without the items of the history and once with them."""

    beam: Count = 50
    """Prefixes kept at every level by generative models."""
    k: Count = 50
    """Items kept for every user, by every model."""
    batch_size: Count = 64
    """Users decoded at once."""

    @model_validator(mode="after")
    def _beam_holds_k(self) -> "DecodeConfig":
        if self.beam < self.k:
            raise ValueError(f"`beam` must be at least `k`, it is {self.beam} with `k` = {self.k}")
        return self
