"""Results that others published for the same datasets and protocols, from `independent.toml`.

Each row is one table of the array `result`:

    [[result]]
    dataset = "beauty"
    model = "BSARec"
    source = "yehjin-shin/BSARec"
    ties = "source"  # or "shuffle", or "unknown" if the source does not state it
    exclude_seen = true
    "recall@10" = 0.1008
    "ndcg@10" = 0.0611

Optional keys are `url`, the address of the source; `seeds`, the number of trainings that were averaged;
`settings`, the known hyperparameters; and `remark`, the difference from other rows.

All rows use the leave-last-out split and rank the full catalogue.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from sidkit.errors import FormatError
from sidkit.evaluate import Protocol
from sidkit.report.collect import read_toml

__all__ = ["IndependentResult", "read_independent"]

Ties = Literal["source", "shuffle", "unknown"]
METRICS = ("recall@10", "ndcg@10")
_TEXTS = ("dataset", "model", "source")
_OPTIONAL_TEXTS = ("url", "settings", "remark")
_REQUIRED = {*_TEXTS, "ties", "exclude_seen", *METRICS}
_KEYS = {*_REQUIRED, *_OPTIONAL_TEXTS, "seeds"}


@dataclass(frozen=True, kw_only=True)
class IndependentResult:
    """One published result.

    Attributes:
        dataset: name of the dataset.
        model: name of the model.
        source: repository, issue or paper.
        ties: order of tied timestamps: `source`, `shuffle`, or `unknown` if it is not stated.
        exclude_seen: whether seen items were excluded from the lists.
        metrics: Recall@10 and NDCG@10.
        seeds: number of trainings that were averaged; None if it is not stated.
        url: address of the source, or an empty text.
        settings: hyperparameters, as far as they are known.
        remark: difference from the other rows.
    """

    dataset: str
    model: str
    source: str
    ties: Ties
    exclude_seen: bool
    metrics: Mapping[str, float]
    seeds: int | None = None
    url: str = ""
    settings: str = ""
    remark: str = ""

    def matches(self, protocol: Protocol) -> bool:
        """Return True if the result belongs to the table of a protocol.

        Results with an unknown order of tied timestamps belong to the table of the source order.
        """
        return (
            self.dataset == protocol.dataset
            and protocol.split == "leave_last_out"
            and protocol.evaluated_on == "test"
            and (self.ties == "shuffle") == (protocol.ties == "shuffle")
            and protocol.exclude_seen == (self.exclude_seen,)
        )


def read_independent(path: str | os.PathLike[str]) -> list[IndependentResult]:
    """Read and validate an `independent.toml`; a missing file has no rows.

    Raises:
        FormatError: if the file is damaged, a row has an unknown or missing key, a value of the wrong type
            or range, or two rows have the same dataset, protocol, model and source.
    """
    contents = read_toml(Path(path))
    rows = contents.get("result", [])
    if set(contents) - {"result"} or not isinstance(rows, list):
        raise FormatError(f"{path}: expected the array of tables `result` only, got {sorted(contents)}")
    found: list[IndependentResult] = []
    keys: set[tuple[object, ...]] = set()
    for number, row in enumerate(rows, 1):
        where = f"{path}: row {number}"
        result = _result(where, row)
        key = (result.dataset, result.ties, result.exclude_seen, result.model, result.source)
        if key in keys:
            raise FormatError(
                f"{where}: `{result.model}` of {result.source}: expected one row, got two. Delete one of them"
            )
        keys.add(key)
        found.append(result)
    return found


def _result(where: str, row: Mapping[str, Any]) -> IndependentResult:
    if not isinstance(row, Mapping):
        raise FormatError(f"{where}: expected a table, got {row!r}")
    unknown, missing = sorted(set(row) - _KEYS), sorted(_REQUIRED - set(row))
    if unknown or missing:
        raise FormatError(f"{where}: expected the keys of a result, got unknown {unknown}, missing {missing}")
    for name in (*_TEXTS, *_OPTIONAL_TEXTS):
        value = row.get(name, "")
        if not isinstance(value, str) or (name in _TEXTS and not value.strip()):
            raise FormatError(f"{where}: `{name}`: expected a text, got {value!r}")
    if row["ties"] not in get_args(Ties):
        expected = ", ".join(get_args(Ties))
        raise FormatError(f"{where}: `ties`: expected one of {expected}, got {row['ties']!r}")
    if not isinstance(row["exclude_seen"], bool):
        raise FormatError(f"{where}: `exclude_seen`: expected true or false, got {row['exclude_seen']!r}")
    seeds = row.get("seeds")
    if seeds is not None and (not isinstance(seeds, int) or isinstance(seeds, bool) or seeds < 1):
        raise FormatError(f"{where}: `seeds`: expected an integer of at least 1, got {seeds!r}")
    metrics = {name: _share(where, name, row[name]) for name in METRICS}
    recall, ndcg = metrics.values()
    if ndcg > recall:
        raise FormatError(
            f"{where}: `ndcg@10`: expected at most the Recall@10 of {recall}, got {ndcg}. "
            "With one target per user, NDCG cannot exceed Recall"
        )
    rest = {name: value for name, value in row.items() if name not in METRICS}
    return IndependentResult(metrics=metrics, **rest)


def _share(where: str, name: str, value: object) -> float:
    if not isinstance(value, float) or not 0 < value <= 1:
        raise FormatError(f"{where}: `{name}`: expected a number in (0, 1], got {value!r}")
    return value
