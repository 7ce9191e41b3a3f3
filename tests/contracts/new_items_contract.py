"""The contract of a recommender for items that are added and removed after `fit`."""

from copy import copy

import numpy as np
import pytest
from tests.contracts.recommender_contract import RecommenderContract, same
from tests.worlds import ITEMS

from sidkit.errors import ConfigError, DataError
from sidkit.ids import append_items
from sidkit.recommenders import load_model

__all__ = ["NewItemsContract"]


class NewItemsContract(RecommenderContract):
    """`RecommenderContract`, and what holds of new and removed items."""

    def grow(self, case, fitted, like=("item-07", "item-02")):
        """Add two items with the content of others to a copy; return the copy and its Semantic IDs."""
        world, grown = case.world, copy(fitted)
        rows = [world.ids.index(item) for item in like]
        sids = append_items(world.sids, world.sids.codes[rows], ["new-a", "new-b"])
        grown.add_items(["new-a", "new-b"], world.vectors[rows], sids=sids if fitted.uses_sids else None)
        return grown, sids

    def test_items_can_be_added_or_the_reason_is_given(self, case, fitted):
        if not case.adds_items:
            message = (
                r"cannot recommend new items: expected a recommender .*, got one that \w+ .* Fit it again"
            )
            with pytest.raises(ConfigError, match=message):
                copy(fitted).add_items(["new-a"], case.world.vectors[:1])
            return
        before = fitted.recommend(self.histories(case), k=6)
        grown, _ = self.grow(case, fitted)
        same(fitted.recommend(self.histories(case), k=6), before)  # a copy shares nothing that changes
        assert fitted.item_ids_.to_list() == case.world.ids
        assert grown.item_ids_.to_list() == [*case.world.ids, "new-a", "new-b"]
        assert grown.item_counts_[-2:].tolist() == [0, 0] and not grown.removed_.any()
        for scoring in grown.scorings:
            ids, scores = grown.recommend(
                self.histories(case), k=ITEMS + 2, exclude_seen=False, scoring=scoring
            )
            assert all(set(row) == {*case.world.ids, "new-a", "new-b"} for row in ids.tolist())
            assert np.isfinite(scores).all() and (np.diff(scores, axis=1) <= 0).all()
            # Added items may be in histories and in filters.
            ids, _ = grown.recommend(
                ["new-a", case.world.ids[3]], k=2, allow=["new-a", "new-b"], scoring=scoring
            )
            assert ids.tolist() == ["new-b", None]
        assert grown.recommend([], k=ITEMS + 2)[0][-2:].tolist() == ["new-a", "new-b"]  # least popular
        assert grown.evaluate(case.world.split.test, ks=(5,)).protocol.candidates == ITEMS + 2

    def test_added_and_removed_items_are_saved(self, case, fitted, tmp_path):
        grown = self.grow(case, fitted)[0] if case.adds_items else copy(fitted)
        grown.remove_items(case.world.ids[4:6])
        grown.save(tmp_path)
        loaded, histories = load_model(tmp_path), self.histories(case)
        assert loaded.removed_.tolist() == grown.removed_.tolist()
        for scoring in grown.scorings:
            same(
                loaded.recommend(histories, k=9, scoring=scoring),
                grown.recommend(histories, k=9, scoring=scoring),
            )
        if case.adds_items:
            again = copy(loaded)
            sids = (
                append_items(loaded.sids_, case.world.sids.codes[:1], ["new-c"]) if fitted.uses_sids else None
            )
            again.add_items(["new-c"], case.world.vectors[:1], sids=sids)
            ids, _ = again.recommend(histories, k=ITEMS + 1, exclude_seen=False)
            assert all(
                set(row) == {*grown.item_ids_, "new-c"} - set(case.world.ids[4:6]) for row in ids.tolist()
            )

    def test_removed_items_never_appear_and_can_be_restored(self, case, fitted):
        histories, gone = self.histories(case), case.world.ids[2:8:2]
        left = [item for item in case.world.ids if item not in gone]
        shrunk = copy(fitted).remove_items(gone[:2])
        assert shrunk.remove_items(gone[1:]) is shrunk  # one of them was removed before
        for scoring in fitted.scorings:
            options = {"exclude_seen": False, "scoring": scoring}
            ids, scores = shrunk.recommend(histories, k=ITEMS, **options)
            assert all(set(row) == {*left, None} for row in ids.tolist())
            best, full = fitted.recommend(histories, k=ITEMS, **options)
            for row in range(ITEMS):
                kept = [place for place, item in enumerate(best[row]) if item in left]
                same((ids[row, : len(left)], scores[row, : len(left)]), (best[row, kept], full[row, kept]))
            ids, _ = shrunk.recommend(histories, k=4, allow=[*gone, *left[:2]], **options)
            assert all(set(row) == {*left[:2], None} for row in ids.tolist())
        assert not set(shrunk.recommend([], k=ITEMS)[0]) & set(gone)
        if case.has_vectors:
            assert set(shrunk.similar_items(left[0], k=ITEMS)[0]) == {*left[1:], None}
        with pytest.raises(DataError, match="item 'nothing' is unknown"):
            shrunk.remove_items([left[0], "nothing"])
        assert shrunk.removed_.sum() == 3
        if case.adds_items:
            shrunk.add_items(gone, case.world.vectors[2:8:2])
            same(shrunk.recommend(histories, k=ITEMS), fitted.recommend(histories, k=ITEMS))

    @pytest.mark.parametrize(
        ("ids", "vectors", "message"),
        [
            (
                ["new-a", "item-03"],
                np.ones((2, 16)),
                r"item 'item-03' is in the catalogue already: .* 1 of 2",
            ),
            (["new-a", "new-a"], np.ones((2, 16)), "are repeated: expected distinct ids, got 'new-a'"),
            ([7], np.ones((1, 16)), "wrong type: expected String as in the table, got Int64"),
            (["new-a"], np.ones((2, 16)), r"one row for each of the 1 items, got \(2, 16\)"),
            (["new-a"], np.full((1, 16), np.nan), "row 0 holds NaN or infinity"),
        ],
    )
    def test_new_items_that_do_not_fit_are_refused(self, case, fitted, ids, vectors, message):
        if not case.adds_items:
            return
        grown = copy(fitted)
        with pytest.raises(DataError, match=message):
            grown.add_items(ids, vectors, sids=case.world.sids if fitted.uses_sids else None)
        assert grown.item_ids_.to_list() == case.world.ids
        same(grown.recommend(case.world.walk(0, 3)), fitted.recommend(case.world.walk(0, 3)))
