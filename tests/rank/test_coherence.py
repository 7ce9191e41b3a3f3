import numpy as np
import pytest

from sidkit.errors import DataError
from sidkit.rank import drift, prefix_coherence


def test_cosines_are_those_of_all_pairs():
    random = np.random.default_rng(0)
    vectors, codes = random.normal(size=(40, 5)), random.integers(0, 3, (40, 3))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for depth, found in enumerate(prefix_coherence(vectors, codes)):
        pairs = [
            unit[i] @ unit[j]
            for i in range(40)
            for j in range(i)
            if (codes[i, :depth] == codes[j, :depth]).all()
        ]
        prefixes, counts = np.unique(codes[:, :depth], axis=0, return_counts=True)
        assert found.depth == depth and found.pairs == len(pairs)
        assert found.prefixes == (counts > 1).sum() and found.items == counts[counts > 1].sum()
        assert found.cosine == pytest.approx(np.mean(pairs))
        assert len(prefixes)


def test_no_pair_has_no_cosine():
    assert np.isnan(prefix_coherence(np.eye(3), [[0], [1], [2]])[1].cosine)


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


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="a row for each item"):
        prefix_coherence(np.eye(3), [[0], [1]])
    with pytest.raises(DataError, match="finite and not zero"):
        prefix_coherence(np.zeros((1, 2)), [[0]])
    with pytest.raises(DataError, match="digits of the same items"):
        drift([[0, 1]], [[0]])
