import numpy as np
import pytest

from sidkit.errors import DataError, FormatError
from sidkit.tokenizers import prefix_coherence
from sidkit.tokenizers.quality.coherence import coherence_from_json, coherence_json


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
    found = prefix_coherence(np.eye(3), [[0], [1], [2]])
    assert np.isnan(found[1].cosine)
    assert '"cosine": null' in coherence_json(found)


def test_what_was_found_is_kept_as_json():
    found = prefix_coherence(np.eye(3), [[0], [0], [2]])
    again = coherence_from_json(coherence_json(found))
    assert coherence_json(again) == coherence_json(found)
    assert [each.pairs for each in again] == [3, 1] and again[1].cosine == found[1].cosine
    with pytest.raises(FormatError, match="expected JSON of prefix coherence"):
        coherence_from_json('[{"depth": 1}]')


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(
        DataError,
        match=r"does not fit `vectors`|of shape|expected two-dimensional arrays with one row per item",
    ):
        prefix_coherence(np.eye(3), [[0], [1]])
    with pytest.raises(DataError, match="expected finite vectors of positive length"):
        prefix_coherence(np.zeros((1, 2)), [[0]])
