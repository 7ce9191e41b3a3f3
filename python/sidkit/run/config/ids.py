"""The table `[ids]`: collisions of Semantic IDs."""

from typing import Literal

from pydantic import model_validator

from sidkit._settings import Section

__all__ = ["IdsConfig"]


class IdsConfig(Section):
    """Treatment of items with equal codes."""

    collisions: Literal["suffix", "reassign", "share"] = "suffix"
    """`suffix` appends a collision token (TIGER), `reassign` moves items to the next-nearest free code,
    `share` keeps one Semantic ID for several items."""
    reassign: Literal["first", "nearest", "sinkhorn"] = "first"
    """Items that keep their code under `reassign`: the first of the catalogue, the nearest to the codeword
    (deferred acceptance), or those chosen by entropic optimal transport, which moves all items little."""

    @model_validator(mode="after")
    def _reassign_needs_its_policy(self) -> "IdsConfig":
        if self.reassign != "first" and self.collisions != "reassign":
            raise ValueError(
                f'`reassign` is "{self.reassign}", but `collisions` is "{self.collisions}"; leave it out, or '
                'set `collisions` to "reassign"'
            )
        return self
