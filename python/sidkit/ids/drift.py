"""Changes of Semantic IDs after the tokenizer is trained again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import checked
from sidkit._extras import require
from sidkit.errors import DataError

__all__ = ["Drift", "drift"]

# Pairs of old and new prefixes; the expected mutual information is a sum over them.
_MOST_CELLS = 2_000_000


@dataclass(frozen=True)
class Drift:
    """Changes of the prefixes of one length.

    Attributes:
        depth: number of tokens of the prefix.
        agreement: share of the items whose prefix is unchanged; near zero after any retraining, since the
            numbering of codes is arbitrary.
        remapped: share of the items whose new prefix is the one that `remap` gives for their old prefix.
        information: adjusted mutual information of old and new prefixes: 1 if they group the items in the
            same way, 0 at chance level (Vinh, Epps and Bailey 2010, JMLR 11). NaN if there are so many
            prefixes that computing the chance level would take minutes.
        remap: for each old prefix, the new prefix of most of its items: `old`, `new`, `items`, and the
            `share` of the items with that new prefix.
    """

    depth: int
    agreement: float
    remapped: float
    information: float
    remap: pl.DataFrame


@checked
def drift(earlier: npt.ArrayLike, later: npt.ArrayLike) -> list[Drift]:
    """Compare the Semantic IDs of the same items from two tokenizers.

    Args:
        earlier: integers (n, levels), tokens from the earlier tokenizer.
        later: integers (n, levels), tokens of the same items from the later one.

    Returns:
        One entry per depth, from 1 to the number of levels.

    Raises:
        DataError: if the shapes differ or there are no items.
        MissingExtraError: if scikit-learn is not installed.
    """
    old, new = np.asarray(earlier), np.asarray(later)
    if old.ndim != 2 or old.shape != new.shape or len(old) == 0:
        raise DataError(
            f"tokens do not match: expected two arrays (n, levels) for the same items, "
            f"got shapes {old.shape} and {new.shape}. Select the common items first."
        )
    return [_at(depth, old[:, :depth], new[:, :depth]) for depth in range(1, old.shape[1] + 1)]


def _at(depth: int, old: npt.NDArray[np.integer], new: npt.NDArray[np.integer]) -> Drift:
    frame = pl.DataFrame({"old": _texts(old), "new": _texts(new)})
    moves = frame.group_by("old", "new").len().sort("len", "new", descending=[True, False])
    remap = (
        moves.group_by("old", maintain_order=True)
        .agg(
            pl.col("new").first(),
            items=pl.col("len").sum(),
            share=pl.col("len").first() / pl.col("len").sum(),
        )
        .sort("items", "old", descending=[True, False])
    )
    kept = float((remap["share"] * remap["items"]).sum() / len(frame))
    information = float("nan")
    if frame["old"].n_unique() * frame["new"].n_unique() <= _MOST_CELLS:
        metrics = require("sklearn.metrics", extra="train")
        information = metrics.adjusted_mutual_info_score(frame["old"].to_numpy(), frame["new"].to_numpy())
    return Drift(depth, float((old == new).all(axis=1).mean()), kept, float(information), remap)


def _texts(tokens: npt.NDArray[np.integer]) -> list[str]:
    return ["-".join(map(str, row)) for row in tokens.tolist()]
