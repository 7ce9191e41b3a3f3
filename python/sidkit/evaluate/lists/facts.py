"""Facts about items that metrics of lists need, and the metrics that they permit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Count, checked
from sidkit.data import Sequences
from sidkit.errors import DataError
from sidkit.evaluate.lists.ages import item_share
from sidkit.evaluate.lists.calibration import miscalibration
from sidkit.evaluate.lists.diversity import code_entropy, intra_list_diversity
from sidkit.evaluate.lists.popularity import average_popularity, novelty
from sidkit.evaluate.lists.serendipity import serendipity
from sidkit.evaluate.lists.violations import cap_violations
from sidkit.evaluate.predictions import Predictions

__all__ = ["ListFacts", "list_metrics"]

Float64 = npt.NDArray[np.float64]


@checked
@dataclass(frozen=True, kw_only=True, eq=False)
class ListFacts:
    """Facts about the items of a catalogue, by item row. All are optional; each adds metrics.

    Attributes:
        counts: training events, int (items,): `average_popularity@K`, `novelty@K` and `serendipity@K`.
        vectors: vectors, (items, d): `diversity@K`, the intra-list diversity.
        codes: first codes, int (items,), such as `sids.tokens[:, 0]`: `entropy@K`.
        new: mask of new items, bool (items,), such as `item_ages(split.train) < 30`: `new@K`.
        attribute: values of an attribute, such as genres, one row per item; see
            `sidkit.rerank.item_attribute`: with `histories`, `miscalibration@K`.
        at_most: permitted items per value of the attribute: `violations@K`.
        histories: history of every example.
    """

    counts: npt.NDArray[np.integer] | None = None
    vectors: npt.ArrayLike | None = None
    codes: npt.NDArray[np.integer] | None = None
    new: npt.NDArray[np.bool_] | None = None
    attribute: Sequences | None = None
    at_most: int | None = None
    histories: Sequences | None = None

    def check(self, rows: int, n_items: Count) -> None:
        """Check that the facts are of a catalogue and the histories of as many users.

        Raises:
            DataError: if one has another length.
        """
        for name in ("counts", "vectors", "codes", "new", "attribute"):
            given = getattr(self, name)
            if given is not None and len(given) != n_items:
                raise DataError(
                    f"`{name}` of the list facts does not fit the catalogue: expected one row for each of "
                    f"{n_items} items, got {len(given)}"
                )
        if self.histories is not None and len(self.histories) != rows:
            raise DataError(
                f"`histories` of the list facts must have one row for each of {rows} users, got "
                f"{len(self.histories)}"
            )


@checked
def list_metrics(predictions: Predictions, facts: ListFacts, k: Count) -> dict[str, Float64]:
    """Compute the metrics of each list, up to rank k, that the facts permit.

    Args:
        predictions: m lists.
        facts: facts about the items.
        k: the cut-off.

    Returns:
        float64 (m,) for each of `diversity@K`, `entropy@K`, `average_popularity@K`, `novelty@K`,
        `serendipity@K`, `new@K`, `miscalibration@K` and `violations@K`; NaN where a metric is not defined for
        a user.
    """
    items = predictions.items[:, :k]
    found: dict[str, Float64] = {}
    if facts.vectors is not None:
        found["diversity"] = intra_list_diversity(items, facts.vectors)
    if facts.codes is not None:
        found["entropy"] = code_entropy(items, facts.codes)
    if facts.counts is not None:
        found["average_popularity"] = average_popularity(items, facts.counts)
        found["novelty"] = novelty(items, facts.counts)
        found["serendipity"] = serendipity(items, predictions.targets, facts.counts)
    if facts.new is not None:
        found["new"] = item_share(items, facts.new)
    if facts.attribute is not None and facts.histories is not None:
        found["miscalibration"] = miscalibration(items, facts.histories, facts.attribute)
    if facts.attribute is not None and facts.at_most is not None:
        found["violations"] = cap_violations(items, facts.attribute, facts.at_most)
    return {f"{name}@{k}": values for name, values in found.items()}
