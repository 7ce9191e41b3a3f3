"""Popularity: the training counts are the scores of everyone."""

import numpy as np

from sidkit.recommenders import Popularity


def test_counts_are_scores_for_everyone():
    model = Popularity().fit([[12, 10, 12], [12, 10], [], [11, 13][:0]])
    ids, counts = model.recommend([[10], []], k=3, exclude_seen=False)
    assert model.item_ids_.to_list() == [12, 10]
    assert ids.tolist() == [[12, 10, -1]] * 2
    np.testing.assert_array_equal(counts, [[3, 2, -np.inf]] * 2)


def test_items_without_events_come_last_in_the_order_of_the_catalogue():
    from sidkit.data import Histories

    histories = Histories.from_ids([["c", "c"], ["a"]], item_ids=Histories.from_ids([list("abcd")]).item_ids)
    ids, counts = Popularity().fit(histories).recommend([], k=4)
    assert ids.tolist() == ["c", "a", "b", "d"]
    assert counts.tolist() == [2, 1, 0, 0]
