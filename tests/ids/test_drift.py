import numpy as np
import pytest

from sidkit.errors import DataError
from sidkit.ids import drift


def test_drift_of_renamed_codes_is_only_a_renaming():
    random = np.random.default_rng(0)
    earlier = random.integers(0, 4, (200, 2))
    first, second = drift(earlier, np.array([2, 3, 0, 1])[earlier])
    for found in (first, second):
        assert (found.agreement, found.remapped) == (0, 1)
        assert found.information == pytest.approx(1)
    assert {(row["old"], row["new"]) for row in first.remap.to_dicts()} == {
        ("0", "2"),
        ("1", "3"),
        ("2", "0"),
        ("3", "1"),
    }


def test_drift_to_chance_has_no_information():
    random = np.random.default_rng(0)
    found = drift(random.integers(0, 4, (2000, 1)), random.integers(0, 4, (2000, 1)))[0]
    assert abs(found.information) < 0.02 and 0.2 < found.agreement < 0.3
    assert found.remap["items"].sum() == 2000


def test_tokens_of_other_shapes_are_refused():
    with pytest.raises(
        DataError,
        match=r"expected two arrays \(n, levels\) for the same items, got shapes \(1, 2\) and \(1, 1\)",
    ):
        drift([[0, 1]], [[0]])
