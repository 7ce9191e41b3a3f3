"""Ranked items that one model recommends to some users, and the item each of them took next."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import checked, shown
from sidkit._tables import read_parquet, read_parquet_schema, write_parquet
from sidkit.data.id_columns import id_series
from sidkit.errors import DataError, FormatError

__all__ = ["Predictions"]

Int32 = npt.NDArray[np.int32]
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Recommendations of one model, best first, one row per user of an `EvaluationSet`.

    Users and items are indices into the `Dataset`. A row with fewer than k items is padded at its end with
    item -1 and score -inf. All rows are validated when the object is made.

    Attributes:
        model: the name of the model, as in the run directory.
        users: int32 (m,), the user of each row.
        items: int32 (m, k), the items in the order shown; none twice in a row.
        scores: float32 (m, k), never rising within a row; log-probabilities or any other score.
        targets: int32 (m,), the item each user took next.
        exclude_seen: whether the items of a user's history were excluded from the lists.

    Raises:
        DataError: if a shape, a type or a row breaks these rules; the message names the row.
    """

    model: str
    users: Int32
    items: Int32
    scores: Float32
    targets: Int32
    exclude_seen: bool = True

    def __post_init__(self) -> None:
        """Validate the arrays."""
        if not isinstance(self.model, str) or not self.model:
            raise DataError(f"`model` of predictions must be a name, got {shown(self.model)}")
        _check_shapes(self)
        _check_rows(self)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.users)

    @property
    def k(self) -> int:
        """Length of the lists."""
        return int(self.items.shape[1])

    @property
    def file_name(self) -> str:
        """Name of the file in `predictions/` of a run directory."""
        return f"{self.model}.parquet" if self.exclude_seen else f"{self.model}.seen_included.parquet"

    @checked
    def save(
        self,
        path: str | os.PathLike[str],
        *,
        user_ids: pl.Series | Sequence[int | str] | None = None,
        item_ids: pl.Series | Sequence[int | str] | None = None,
    ) -> None:
        """Write the predictions to a Parquet file atomically.

        Args:
            path: the file, by convention `predictions/<file_name>`.
            user_ids: the original id of every user of the dataset, by user index; adds the column `user_id`.
            item_ids: the original id of every item, by item index; adds `target_id` and the lists `item_ids`.
        """
        frame = pl.DataFrame(
            {
                "model": pl.Series([self.model]).new_from_index(0, len(self)),
                "exclude_seen": pl.Series([self.exclude_seen]).new_from_index(0, len(self)),
                "user": self.users,
                "target": self.targets,
                "items": pl.Series(self.items, dtype=pl.Array(pl.Int32, self.k)),
                "scores": pl.Series(self.scores, dtype=pl.Array(pl.Float32, self.k)),
            }
        )
        if user_ids is not None:
            frame = frame.with_columns(user_id=_original(user_ids, self.users, "user"))
        if item_ids is not None:
            shown = _original(item_ids, self.items.ravel(), "item").to_frame("item")
            row = pl.Series(np.repeat(np.arange(len(self)), self.k))
            lists = shown.group_by(row.alias("row"), maintain_order=True).agg(pl.col("item").drop_nulls())
            frame = frame.with_columns(
                target_id=_original(item_ids, self.targets, "item"), item_ids=lists.get_column("item")
            )
        write_parquet(frame, path)

    @classmethod
    @checked
    def load(cls, path: str | os.PathLike[str]) -> Predictions:
        """Read a file that `save` wrote; columns of original ids are ignored.

        Raises:
            FileNotFoundError: if there is no such file.
            FormatError: if it is not a file of predictions, or a row is invalid.
        """
        frame = _read(Path(path))
        if frame.get_column("model").n_unique() != 1:
            raise FormatError(f"{path}: expected the predictions of one model, got {_names(frame)}")
        if frame.get_column("exclude_seen").n_unique() != 1:
            raise FormatError(f"{path}: expected one value of `exclude_seen`, got both true and false")
        try:
            return cls(
                model=frame.item(0, "model"),
                users=frame.get_column("user").to_numpy(),
                items=frame.get_column("items").to_numpy(),
                scores=frame.get_column("scores").to_numpy(),
                targets=frame.get_column("target").to_numpy(),
                exclude_seen=frame.item(0, "exclude_seen"),
            )
        except DataError as error:
            raise FormatError(f"{path}: {error}; write it again with Predictions.save") from error


def _check_shapes(predictions: Predictions) -> None:
    for name, dtype, dims in (
        ("users", np.int32, 1),
        ("items", np.int32, 2),
        ("scores", np.float32, 2),
        ("targets", np.int32, 1),
    ):
        array = getattr(predictions, name)
        if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != dims:
            found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            shape = "(m,)" if dims == 1 else "(m, k)"
            raise DataError(f"`{name}` of predictions must be {np.dtype(dtype)} {shape}, got {found}")
    rows = len(predictions.users)
    if not rows or not predictions.items.shape[1]:
        raise DataError(f"predictions need at least one user and one item, got {predictions.items.shape}")
    if predictions.items.shape != predictions.scores.shape or predictions.items.shape[0] != rows:
        raise DataError(
            f"`items` and `scores` must be ({rows}, k) as there are {rows} users, "
            f"got {predictions.items.shape} and {predictions.scores.shape}"
        )
    if predictions.targets.shape != (rows,):
        raise DataError(f"`targets` must be ({rows},), one per user, got {predictions.targets.shape}")


def _check_rows(predictions: Predictions) -> None:
    items, scores = predictions.items, predictions.scores
    padding = items == -1
    _forbid(predictions.users < 0, "a negative user index")
    _forbid(predictions.targets < 0, "a negative target; leave out users without a next item")
    _forbid(items < -1, "a negative item index other than the padding -1")
    _forbid(np.isnan(scores) | (scores == np.inf), "a score that is NaN or +inf")
    _forbid(padding != (scores == -np.inf), "padding (item -1) without score -inf, or -inf at an item")
    _forbid(padding[:, :-1] & ~padding[:, 1:], "an item after the padding; padding must be at the end")
    _forbid(scores[:, 1:] > scores[:, :-1], "a score that rises; items must be listed best first")
    ordered = np.sort(items, axis=1)
    _forbid((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0), "the same item twice")


def _forbid(wrong: npt.NDArray[np.bool_], what: str) -> None:
    rows = wrong if wrong.ndim == 1 else wrong.any(axis=1)
    if rows.any():
        raise DataError(f"row {int(rows.argmax())} of the predictions has {what}")


def _original(ids: pl.Series | Sequence[int | str], index: Int32, kind: str) -> pl.Series:
    """Look up original ids; a padding index becomes null."""
    series = id_series(ids, what=f"{kind} ids")
    if index.max() >= len(series):
        raise DataError(
            f"{kind} index {int(index.max())} has no original id: expected `{kind}_ids` to hold one id for "
            f"each {kind} of the dataset, got {len(series)}"
        )
    return series.gather(pl.Series(index).replace(-1, None))


def _read(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise FileNotFoundError(f"no predictions at {path}")
    try:
        schema = read_parquet_schema(path)
        columns = ["model", "exclude_seen", "user", "target", "items", "scores"]
        types = [schema.get(name) for name in columns]
        items, scores = types[4], types[5]
        if (
            types[:4] != [pl.String, pl.Boolean, pl.Int32, pl.Int32]
            or not (isinstance(items, pl.Array) and items.inner == pl.Int32)
            or not (isinstance(scores, pl.Array) and scores.inner == pl.Float32)
        ):
            found = ", ".join(f"{name} {kind}" for name, kind in schema.items())
            raise FormatError(
                f"{path}: expected the columns {', '.join(columns)} of a file of predictions, got {found}"
            )
        frame = read_parquet(path, columns)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise FormatError(
            f"{path}: not a Parquet file of predictions, or a truncated one ({error})"
        ) from error
    lists = [frame.get_column(name).explode() for name in ("items", "scores")]
    if frame.height == 0 or any(column.null_count() for column in [*frame.get_columns(), *lists]):
        raise FormatError(f"{path}: expected at least one row of predictions and no null values")
    return frame


def _names(frame: pl.DataFrame) -> str:
    return ", ".join(sorted(frame.get_column("model").unique().to_list()))
