"""Items that are added to a fitted recommender or removed from it, without training."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit.data import Sequences
from sidkit.errors import ConfigError, DataError, NotFittedError
from sidkit.ids import SidTable
from sidkit.ids.append import append_ids, append_items
from sidkit.recommenders.filters import restricted
from sidkit.recommenders.histories import ItemIndex, id_rows
from sidkit.recommenders.training_data import checked_vectors

__all__ = ["ChangingCatalogue", "NewItems"]

Self = TypeVar("Self", bound="ChangingCatalogue")


@dataclass(frozen=True, kw_only=True)
class NewItems:
    """Items to add to a recommender.

    Attributes:
        item_ids: ids of the new items, none of which is in the catalogue.
        vectors: content vector of each, float16 or float32 (m, d), or None.
        sids: Semantic ID of every item of the catalogue, the new ones last, or None.
    """

    item_ids: pl.Series
    vectors: npt.NDArray[np.floating[Any]] | None
    sids: SidTable | None

    def __len__(self) -> int:
        return len(self.item_ids)

    def require_vectors(self, method: str, width: int) -> npt.NDArray[np.floating[Any]]:
        """Return the vectors.

        Args:
            method: name of the recommender, for messages.
            width: dimensions of the vectors of the training.

        Raises:
            ConfigError: if there are none.
            DataError: if they have other dimensions than those of the training.
        """
        if self.vectors is None:
            raise ConfigError(
                f"`{method}` scores new items by content: expected `item_vectors`, got None. Embed the items "
                "as those of the training."
            )
        if self.vectors.shape[1] != width:
            raise DataError(
                f"`item_vectors` of new items do not fit those of the training: expected {width} dimensions, "
                f"got {self.vectors.shape[1]}. Embed the items as those of the training."
            )
        return self.vectors


class ChangingCatalogue:
    """Addition and removal of items; a base of `Recommender`.

    No array is written to, only replaced: a copy by `copy.copy` is not affected by later changes.

    Attributes:
        removed_: items that were removed, bool (items,). They keep their rows and may occur in histories.
    """

    #: Why items cannot be added, after "got one that".
    no_new_items: ClassVar[str] = "learns from the training events of each item"

    method: ClassVar[str]
    item_ids_: pl.Series
    item_counts_: npt.NDArray[np.int64]
    sids_: SidTable | None
    removed_: npt.NDArray[np.bool_]

    def add_items(
        self: Self,
        item_ids: Any,
        item_vectors: npt.ArrayLike | None = None,
        *,
        tokenizer: Any = None,
        sids: SidTable | None = None,
    ) -> Self:
        """Add items to the catalogue, which can be recommended at once.

        What was learned does not change. An item that was removed before is restored as it was. Added items
        may occur in histories; they have no training events.

        Args:
            item_ids: their ids, of the same type as those of the catalogue.
            item_vectors: content vector of each, (m, d), made as those of the training.
            tokenizer: the fitted tokenizer of `sids_`, for recommenders with Semantic IDs; it encodes
                `item_vectors`.
            sids: instead of `tokenizer`, Semantic IDs of the whole catalogue, the new items last, as
                `append_items` returns them.

        Returns:
            The recommender itself.

        Raises:
            NotFittedError: before `fit`.
            ConfigError: if the recommender cannot score items without training events, or vectors or Semantic
                IDs are missing.
            DataError: if an item is in the catalogue already, or ids, vectors and Semantic IDs do not fit.
            CollisionError: if a Semantic ID has no room for an item.

        Example:
            >>> model.add_items(["new-1"], x_new, tokenizer=tokenizer)
        """
        self._check_fitted()
        given = append_ids(self.item_ids_, item_ids)
        rows = self._index.rows(given)
        self._check_absent(given, rows)
        fresh = rows < 0
        vectors = None if item_vectors is None else checked_vectors(item_vectors, len(given))[fresh]
        ids = given.filter(pl.Series(fresh))
        if len(ids):
            table = self._with_new(ids, vectors, tokenizer, sids) if self.sids_ is not None else None
            self._add(NewItems(item_ids=ids, vectors=vectors, sids=table))
            self.item_ids_ = pl.concat([self.item_ids_, ids.rename(self.item_ids_.name)])
            self.item_counts_ = np.append(self.item_counts_, np.zeros(len(ids), np.int64))
            self.sids_ = table
        removed = np.append(self.removed_, np.zeros(len(ids), bool))
        removed[rows[~fresh]] = False
        self.removed_ = removed
        self._forget_cached()
        return self

    def remove_items(self: Self, item_ids: Any) -> Self:
        """Remove items from the catalogue; they are not recommended any more.

        Other items under the same prefix are not affected. A removed item may still occur in histories.

        Args:
            item_ids: their ids; those that were removed before are ignored.

        Returns:
            The recommender itself.

        Raises:
            NotFittedError: before `fit`.
            DataError: if an item was never in the catalogue; nothing is removed then.
        """
        self._check_fitted()
        removed = self.removed_.copy()
        removed[id_rows(self._index, item_ids, "item")] = True
        self.removed_ = removed
        self._forget_cached()
        return self

    def _add(self, new: NewItems) -> None:
        """Extend what was learned by new items, or raise; ids, counts and Semantic IDs are extended after."""
        raise ConfigError(
            f"`{self.method}` cannot recommend new items: expected a recommender that scores items by tokens "
            f"or content, such as RQTransformer, got one that {self.no_new_items}. Fit it again on the new "
            "catalogue."
        )

    def _with_new(
        self,
        ids: pl.Series,
        vectors: npt.NDArray[np.floating[Any]] | None,
        tokenizer: Any,
        sids: SidTable | None,
    ) -> SidTable:
        """Return the Semantic IDs of the catalogue with new items."""
        assert self.sids_ is not None
        if (tokenizer is None) == (sids is None):
            got = "neither" if sids is None else "both"
            raise ConfigError(
                f"`{self.method}` needs Semantic IDs of new items: expected `tokenizer` or `sids`, got "
                f"{got}. Pass the tokenizer that made those of the training."
            )
        if sids is not None:
            self._check_extends(sids, ids)
            return sids
        if vectors is None:
            raise ConfigError(
                "the tokenizer encodes vectors of new items: expected `item_vectors`, got None. Embed the "
                "items as those of the training."
            )
        x = vectors.astype(np.float32)
        return append_items(
            self.sids_, tokenizer.encode(x), ids, alternatives=lambda rows: tokenizer.alternatives(x[rows])
        )

    def _check_extends(self, sids: SidTable, ids: pl.Series) -> None:
        """Check that a table holds the catalogue, followed by new items."""
        former = self.sids_
        assert former is not None
        if sids.sizes != former.sizes:
            raise ConfigError(
                f"`sids` do not fit `{self.method}`: expected tokens of sizes {former.sizes}, got "
                f"{sids.sizes}. Append the items with the tokenizer and layout of the training."
            )
        before, count = len(former), len(former) + len(ids)
        if (
            len(sids) != count
            or not sids.item_ids[:before].equals(former.item_ids)
            or not np.array_equal(sids.tokens[:before], former.tokens)
            or not sids.item_ids[before:].equals(ids)
        ):
            raise DataError(
                f"`sids` do not extend the catalogue: expected its {before} items, followed by the "
                f"{len(ids)} new ones in the order of `item_ids`, got {len(sids)} items. Make them with "
                "`append_items`."
            )

    def _check_absent(self, ids: pl.Series, rows: npt.NDArray[np.int64]) -> None:
        if ids.n_unique() < len(ids):
            raise DataError(
                f"`item_ids` of new items are repeated: expected distinct ids, got "
                f"{ids.filter(ids.is_duplicated())[0]!r} several times. Keep one of them."
            )
        present = (rows >= 0) & ~self.removed_[rows]
        if present.any():
            first = ids[int(np.argmax(present))]
            raise DataError(
                f"item {first!r} is in the catalogue already: expected new ids, got {int(present.sum())} of "
                f"{len(ids)} known ones. Remove it first to restore it later."
            )

    def _available(self, allow: Sequences | None) -> Sequences | None:
        """Leave removed items out of a filter; None if all items may be recommended."""
        if not self.removed_.any():
            return allow
        return self._present if allow is None else restricted(allow, ~self.removed_)

    @cached_property
    def _present(self) -> Sequences:
        """Rows of the items that were not removed, as a filter for all histories."""
        return restricted(None, ~self.removed_)

    @cached_property
    def _index(self) -> ItemIndex:
        return ItemIndex(self.item_ids_)

    def _forget_cached(self) -> None:
        """Drop what was derived from the catalogue."""
        for name in ("_index", "_present", "_present_set"):
            vars(self).pop(name, None)

    def _check_fitted(self) -> None:
        if "item_ids_" not in vars(self):
            raise NotFittedError(f"{type(self).__name__} is not fitted. Call `fit` or `load` first.")
