import numpy as np

from sidkit.recommenders.popularity import Popularity


def test_counts_are_scores_for_everyone():
    model = Popularity().fit(np.array([2, 0, 2, 2, 0], np.int32), items=4)
    np.testing.assert_array_equal(model.scores(2), [[2, 0, 3, 0]] * 2)
