"""Changes of the Semantic IDs of a run that was tokenized again."""

import json
import math
from pathlib import Path

import polars as pl

from sidkit._files import write_text
from sidkit._tables import write_parquet
from sidkit.ids import SidTable, drift

__all__ = ["DRIFT", "REMAP", "write_drift"]

DRIFT = "drift.json"
REMAP = "remap.parquet"


def write_drift(directory: Path, earlier: SidTable, later: SidTable) -> list[str]:
    """Write how Semantic IDs changed, and the new one of every old one.

    `drift.json` has, for each number of first codes that both tables have: `depth`, `agreement` (items
    whose prefix is the same), `remapped` (items that go where most of their old prefix went), `information`
    (adjusted mutual information, null where it is not computed), see `sidkit.ids.Drift`; and the numbers of
    items in both, only in the earlier, only in the later. `remap.parquet` has a row for each item in both:
    `item_id`, `old`, `new`.

    Args:
        directory: the run directory.
        earlier: the table that is replaced.
        later: its replacement.

    Returns:
        The names of the files; none if no Semantic ID changed, or no item is in both.
    """
    old = pl.DataFrame({"item_id": earlier.item_ids, "old": earlier.sids, "before": range(len(earlier))})
    new = pl.DataFrame({"item_id": later.item_ids, "new": later.sids, "after": range(len(later))})
    if old.schema["item_id"].is_integer() != new.schema["item_id"].is_integer():
        return []
    new = new.with_columns(pl.col("item_id").cast(old.schema["item_id"], strict=False))
    both = old.join(new, on="item_id", how="inner", maintain_order="left")
    unchanged = len(both) == len(old) == len(new) and (both["old"] == both["new"]).all()
    if not len(both) or unchanged:
        return []
    levels = min(earlier.codes.shape[1], later.codes.shape[1])
    before = earlier.codes[both["before"].to_numpy(), :levels]
    after = later.codes[both["after"].to_numpy(), :levels]
    depths = [
        {
            "depth": each.depth,
            "agreement": each.agreement,
            "remapped": each.remapped,
            "information": None if math.isnan(each.information) else each.information,
        }
        for each in drift(before, after)
    ]
    counts = {
        "items": len(both),
        "only_earlier": len(earlier) - len(both),
        "only_later": len(later) - len(both),
        "unchanged": int((both["old"] == both["new"]).sum()),
    }
    write_text(directory / DRIFT, json.dumps(counts | {"depths": depths}, indent=2) + "\n")
    write_parquet(both.select("item_id", "old", "new"), directory / REMAP)
    return [DRIFT, REMAP]
