"""How Semantic IDs move when the tokenizer is trained anew, on a later part of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._extras import require
from sidkit.errors import DataError

__all__ = ["Drift", "drift"]

# Old times new prefixes; the expected mutual information is a sum over all such pairs.
_MOST_CELLS = 2_000_000


@dataclass(frozen=True)
class Drift:
    """How prefixes of one length moved.

    Attributes:
        depth: tokens of the prefix.
        agreement: share of the items whose prefix is the same; near zero after any retraining, since the
            numbers of codes are arbitrary.
        remapped: share of the items that the remap table takes to their new prefix.
        information: adjusted mutual information of old and new prefixes: 1 if they group the items
            alike, 0 as if by chance (Vinh, Epps and Bailey 2010, JMLR 11). NaN where there are so many
            prefixes that its expectation by chance would take minutes.
        remap: for each old prefix, the new prefix that most of its items went to: `old`, `new`, `items`,
            and the `share` of them that went there.
    """

    depth: int
    agreement: float
    remapped: float
    information: float
    remap: pl.DataFrame


def drift(earlier: npt.ArrayLike, later: npt.ArrayLike) -> list[Drift]:
    """Compare the Semantic IDs that two tokenizers give the same items.

    Args:
        earlier: (n, levels), the tokens by the earlier tokenizer.
        later: (n, levels), the tokens of the same items by the later one.

    Returns:
        One entry for each depth from 1 to the number of levels.

    Raises:
        DataError: if the shapes differ or there are no items.
        MissingExtraError: if scikit-learn is not installed.
    """
    old, new = np.asarray(earlier), np.asarray(later)
    if old.ndim != 2 or old.shape != new.shape or len(old) == 0:
        raise DataError(
            f"both must be tokens of the same items, (n, levels); got {old.shape} and {new.shape}"
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
