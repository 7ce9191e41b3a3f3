"""Input of `fit`: histories, Semantic IDs, vectors and validation with items as rows of one catalogue."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._arguments import Shape, check_argument, checked, shown
from sidkit._vectors import first_non_finite
from sidkit.data import EvaluationSet, Histories, ParquetHistories, Sequences
from sidkit.errors import ConfigError, DataError
from sidkit.ids import SidTable
from sidkit.recommenders.histories import ItemIndex

__all__ = ["TrainingData", "checked_vectors", "same_catalogue", "training_data"]


@checked
@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Input of `fit`, with items as rows of one catalogue.

    Attributes:
        histories: training histories, one per user, oldest first; in Parquet files for recommenders that can
            read them from there.
        times: time of every event, numbers (nnz,), or None.
        item_ids: id of every item.
        sids: Semantic ID of every item, for recommenders that use them.
        item_vectors: content vector of every item, float16 or float32 (items, d), for recommenders that use
            them; not copied, so that it may be memory-mapped and read-only.
        validation: evaluation examples that choose the weights, or None.
        callbacks: called while the recommender is trained.
    """

    histories: Sequences | ParquetHistories
    times: npt.NDArray[Any] | None
    item_ids: pl.Series
    sids: SidTable | None
    item_vectors: npt.NDArray[np.floating[Any]] | None
    validation: EvaluationSet | None
    callbacks: tuple[Any, ...]

    @property
    def items(self) -> int:
        """Number of items of the catalogue."""
        return len(self.item_ids)

    @cached_property
    def item_counts(self) -> npt.NDArray[np.int64]:
        """Number of training events of every item, int64 (items,)."""
        if isinstance(self.histories, ParquetHistories):
            return self.histories.item_counts
        return np.bincount(self.histories.values, minlength=self.items).astype(np.int64)

    def history_parts(self) -> Iterable[Sequences]:
        """Return the histories in parts that fit in memory."""
        return [self.histories] if isinstance(self.histories, Sequences) else self.histories

    def require_sequences(self) -> Sequences:
        """Return the histories in memory.

        Raises:
            ConfigError: if they are in Parquet files.
        """
        if isinstance(self.histories, Sequences):
            return self.histories
        raise ConfigError(
            "this recommender needs all histories in memory: expected `Histories` or lists of item ids, got "
            "ParquetHistories. SASRec, BSARec, GRU4Rec, RQTransformer and TransitionGraph read those."
        )

    def require_sids(self) -> SidTable:
        """Return the Semantic IDs.

        Raises:
            ConfigError: if there are none.
        """
        if self.sids is None:
            raise ConfigError(
                "this recommender generates Semantic IDs: expected `sids`, got None. Pass the table that "
                "`tokenizer.semantic_ids(x, item_ids)` returns."
            )
        return self.sids


def training_data(
    recommender: Any,
    histories: Any,
    sids: SidTable | None,
    item_vectors: npt.ArrayLike | None,
    validation: EvaluationSet | None,
    callbacks: Iterable[Any],
) -> TrainingData:
    """Check the arguments of `fit` and convert items to rows of one catalogue."""
    if recommender.uses_sids and sids is None:
        raise ConfigError(
            f"`{recommender.method}` generates Semantic IDs: expected `sids`, got None. Pass the table that "
            "`tokenizer.semantic_ids(x, item_ids)` returns."
        )
    rows, item_ids = _training_rows(histories, sids)
    vectors = None
    if item_vectors is not None and recommender.uses_item_vectors:
        vectors = checked_vectors(item_vectors, len(item_ids))
    if validation is not None:
        validation = same_catalogue(validation, item_ids)
    return TrainingData(
        histories=rows,
        times=rows.times if isinstance(rows, Histories) else None,
        item_ids=item_ids,
        sids=sids if recommender.uses_sids else None,
        item_vectors=vectors,
        validation=validation,
        callbacks=_checked_callbacks(callbacks),
    )


def _checked_callbacks(callbacks: Any) -> tuple[Any, ...]:
    checked = tuple(check_argument("callbacks", callbacks, Iterable[Any]))
    for callback in checked:
        if isinstance(callback, type):
            raise ConfigError(
                f"a callback is a class: expected an object, got the class {callback.__name__}. "
                f"Write {callback.__name__}(...)."
            )
    return checked


def checked_vectors(given: npt.ArrayLike, items: int) -> npt.NDArray[np.floating[Any]]:
    """Return vectors as float16 or float32 (items, d), C-contiguous, without a copy where they are.

    Raises:
        DataError: if there is not one row for each item, or a number is NaN or infinite.
    """
    vectors: npt.NDArray[Any] = check_argument(
        "item_vectors", given, Annotated[npt.ArrayLike, Shape("items", "dim")]
    )
    if vectors.dtype not in (np.float16, np.float32):
        with np.errstate(over="ignore"):  # values beyond float32 become infinite and are refused below
            vectors = vectors.astype(np.float32)
    if vectors.ndim != 2 or len(vectors) != items:
        raise DataError(
            f"`item_vectors` do not fit the items: expected one row for each of the {items} items, "
            f"got {vectors.shape}. Embed these items again."
        )
    row = first_non_finite(vectors)
    if row is not None:
        raise DataError(
            f"`item_vectors` are not finite: expected finite numbers, but row {row} holds NaN or infinity. "
            "Repair that row."
        )
    return vectors if vectors.flags.c_contiguous else np.ascontiguousarray(vectors)


def _training_rows(histories: Any, sids: SidTable | None) -> tuple[Sequences | ParquetHistories, pl.Series]:
    """Training histories as rows, and the item ids of the catalogue."""
    if isinstance(histories, EvaluationSet):
        raise DataError("`fit` needs training histories, such as `split.train`, got an EvaluationSet")
    if isinstance(histories, Histories | ParquetHistories):
        if sids is not None and not histories.item_ids.equals(sids.item_ids):
            raise DataError(
                "histories and `sids` have different catalogues: expected the same item ids in the same "
                "order, "
                f"got {len(histories.item_ids)} and {len(sids)} items. Make the Semantic IDs of all items of "
                "the "
                "dataset, `data.item_ids`."
            )
        return histories, histories.item_ids.rename("item_id")
    if isinstance(histories, Sequences):
        known = int(histories.values.max(initial=-1)) + 1
        item_ids = pl.Series("item_id", np.arange(known)) if sids is None else sids.item_ids
        return ItemIndex(item_ids).parse(histories).rows, item_ids
    if sids is not None:
        parsed = ItemIndex(sids.item_ids).parse(histories)
        if parsed.single:
            raise DataError(
                "`fit` needs many histories: expected one list of item ids per user, got one list"
            )
        return parsed.rows, sids.item_ids
    made = Histories.from_ids(histories if isinstance(histories, pl.Series) else _rows_of(histories))
    return made, made.item_ids.rename("item_id")


def _rows_of(histories: Any) -> Sequence[Any]:
    if isinstance(histories, str) or not hasattr(histories, "__iter__"):
        raise DataError(f"expected one list of item ids per user, got {type(histories).__name__}")
    if hasattr(histories, "__arrow_c_array__") or type(histories).__module__.partition(".")[0] == "pyarrow":
        return pl.Series(histories).to_list()
    try:
        rows = list(histories)
    except Exception as error:  # of any object's own iteration
        raise DataError(
            f"the histories cannot be read: expected one list of item ids per user, got {shown(histories)}, "
            f"which raises {type(error).__name__}."
        ) from error
    if any(isinstance(row, str) or not hasattr(row, "__iter__") for row in rows):
        raise DataError("`fit` needs many histories: expected one list of item ids per user, got one list")
    return rows


def same_catalogue(examples: EvaluationSet, item_ids: pl.Series) -> EvaluationSet:
    """Check that examples have the items of the catalogue, or those before the ones that were added."""
    if not isinstance(examples, EvaluationSet):
        raise DataError(
            "evaluation examples must be an `EvaluationSet`, such as `split.test`, got "
            f"{type(examples).__name__}"
        )
    largest = max(int(examples.histories.values.max(initial=-1)), int(examples.targets.max(initial=-1)))
    ids = examples.item_ids
    if largest >= len(item_ids) or not (ids is None or ids.equals(item_ids.head(len(ids)))):
        raise DataError(
            "evaluation examples have another catalogue: expected the item ids of the training in the same "
            "order. "
            "Use the split that the recommender was fitted on."
        )
    return examples
