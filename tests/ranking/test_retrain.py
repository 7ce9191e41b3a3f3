import numpy as np
import pytest

from sidkit.errors import FormatError
from sidkit.experiments.drift import halves_by_appearance
from sidkit.ranking import Impressions, Retraining


def events_of(items):
    n = len(items)
    nothing = np.zeros(n)
    return Impressions(
        np.zeros(n, np.int64), np.array(items), np.arange(n), nothing, np.full((n, 1), -1), np.zeros((n, 2))
    )


def test_items_are_halved_by_their_first_event():
    earlier, later = halves_by_appearance(events_of([4, 4, 0, 2, 4, 0, 1, 5, 2]), 7)
    assert np.flatnonzero(earlier).tolist() == [0, 4]
    assert np.flatnonzero(later).tolist() == [1, 2, 5]


def test_invalid_json_of_a_retraining_is_refused():
    with pytest.raises(FormatError, match="not the JSON of a retraining experiment"):
        Retraining.from_json('{"trained_on": {}}')
