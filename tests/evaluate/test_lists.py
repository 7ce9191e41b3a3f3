"""Metrics of lists against values computed by hand."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit.data import Histories, Sequences
from sidkit.errors import DataError
from sidkit.evaluate import Evaluation, ListFacts, Predictions, Protocol, measure, user_slices
from sidkit.evaluate.lists import (
    average_popularity,
    cap_violations,
    code_entropy,
    gini,
    intra_list_diversity,
    item_ages,
    item_share,
    miscalibration,
    novelty,
    serendipity,
    share_violations,
)

NONE = -1


def rows(*lists):
    return np.array(lists, np.int32)


def test_diversity_is_the_mean_distance_of_pairs():
    vectors = np.array([[1, 0], [0, 2], [-3, 0], [0, 0]], np.float32)
    lists = rows([0, 1, NONE], [0, 2, NONE], [0, 1, 2], [0, NONE, NONE], [0, 3, NONE], [NONE, NONE, NONE])
    # Distances: 0-1 is 1, 0-2 is 2, 1-2 is 1, and any to the zero vector is 1.
    np.testing.assert_allclose(intra_list_diversity(lists, vectors), [1, 2, 4 / 3, 0, 1, 0], atol=1e-12)
    with pytest.raises(DataError, match="expected one row for each item up to 2"):
        intra_list_diversity(rows([0, 2]), vectors[:2])


@given(seed=st.integers(0, 1000), k=st.integers(2, 8))
def test_diversity_is_that_of_all_pairs_written_out(seed, k):
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(12, 5)).astype(np.float32)
    lists = np.stack([random.permutation(12)[:k] for _ in range(3)]).astype(np.int32)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = [np.mean([1 - units[i] @ units[j] for i in row for j in row if i != j]) for row in lists]
    np.testing.assert_allclose(intra_list_diversity(lists, vectors), expected, atol=1e-5)


def test_entropy_of_codes_is_in_bits():
    codes = np.array([0, 0, 1, 2], np.uint16)
    lists = rows([0, 1, NONE], [0, 2, NONE], [0, 1, 2], [NONE, NONE, NONE])
    third = math.log2(3) - 2 / 3
    np.testing.assert_allclose(code_entropy(lists, codes), [0, 1, third, 0], atol=1e-12)
    assert code_entropy(rows([0, 1, 2, 3]), codes) == pytest.approx(1.5)


def test_gini_of_equal_and_of_concentrated_exposure():
    assert gini(rows([0, 1], [2, 3]), 4) == 0
    assert gini(rows([0, NONE], [0, NONE]), 4) == pytest.approx(3 / 4)
    # Counts 0, 1, 1, 2: (-3 * 0 - 1 * 1 + 1 * 1 + 3 * 2) / (4 * 4).
    assert gini(rows([0, 1], [0, 2]), 4) == pytest.approx(6 / 16)
    assert gini(rows([NONE]), 4) == 0


def test_popularity_and_novelty_are_means_over_the_items():
    counts = np.array([7, 3, 0, 2])
    lists = rows([0, 1], [2, NONE], [NONE, NONE])
    np.testing.assert_allclose(average_popularity(lists, counts), [5, 0, 0])
    # 12 events and 4 items: q is 8/16, 4/16, 1/16.
    np.testing.assert_allclose(novelty(lists, counts), [1.5, 4, 0])


def test_serendipitous_hits_are_outside_the_most_popular_items():
    counts = np.array([9, 5, 5, 1])
    lists, targets = rows([0, 3], [0, 3], [2, 3], [1, 2]), np.array([0, 3, 1, 2])
    # The two most popular items are 0 and, of the equal ones, 1.
    np.testing.assert_array_equal(serendipity(lists, targets, counts), [0, 1, 0, 1])


def test_ages_and_the_share_of_new_items():
    day = 86_400
    train = Histories(
        values=np.array([0, 1, 0, 2], np.int32),
        offsets=np.array([0, 2, 4]),
        item_ids=pl.Series([1, 2, 3, 4]),
        times=np.array([1 * day, 3 * day, 2 * day, 11 * day]),
    )
    ages = item_ages(train)
    np.testing.assert_allclose(ages, [10, 8, 0, 0])
    np.testing.assert_allclose(item_share(rows([0, 2, 3], [1, NONE, NONE]), ages < 8), [2 / 3, 0])


def test_calibration_is_the_divergence_from_the_history():
    genres = Sequences.from_rows([[0], [1], [0, 1], []])
    histories = Sequences.from_rows([[0, 0, 0, 1], [2], [3], [0]])
    lists = rows([2, NONE], [0, 1], [0, 1], [1, NONE])
    p, q = (0.75, 0.25), (0.5, 0.5)
    mixed = [0.99 * after + 0.01 * before for before, after in zip(p, q, strict=True)]
    first = sum(before * math.log(before / after) for before, after in zip(p, mixed, strict=True))
    found = miscalibration(lists, histories, genres)
    np.testing.assert_allclose(found, [first, 0, np.nan, math.log(100)], atol=1e-12)


def test_violations_are_items_beyond_a_cap_or_missing():
    brands = Sequences.from_rows([[0], [0], [0], [1], []])
    lists = rows([0, 1, 2, 3], [0, 3, 4, NONE])
    np.testing.assert_array_equal(cap_violations(lists, brands, 2), [1, 0])
    np.testing.assert_array_equal(cap_violations(lists, brands, 1), [2, 0])
    own = np.array([True, False, False, False, False])
    np.testing.assert_array_equal(share_violations(lists[:, ::-1], own, 2), [1, 1])


@pytest.fixture
def predictions():
    items = rows([0, 1, 2], [3, 0, 1], [1, 2, NONE])
    scores = np.tile(np.array([3, 2, 1], np.float32), (3, 1))
    scores[2, 2] = -np.inf
    targets = np.array([2, 2, 1], np.int32)
    return Predictions("sasrec", np.arange(3, dtype=np.int32), items, scores, targets)


FACTS = ListFacts(
    counts=np.array([4, 3, 2, 1]),
    vectors=np.eye(4, dtype=np.float32),
    codes=np.array([0, 0, 1, 1]),
    new=np.array([False, False, False, True]),
    attribute=Sequences.from_rows([[0], [0], [1], [1]]),
    at_most=1,
    histories=Sequences.from_rows([[0], [], [2]]),
)


def test_an_evaluation_carries_what_the_facts_permit(predictions):
    protocol = Protocol(candidates=4, users=3)
    found = Evaluation.of([predictions], protocol, ks=(2, 3), popularity=FACTS.counts, lists=FACTS)
    assert found["diversity@2"] == 1 and found["new@2"] == pytest.approx(1 / 6)
    assert found["violations@3"] == pytest.approx(2 / 3)
    assert found["serendipity@2"] == 0
    assert found.result("gini@2").ci95 is None
    # A user without a history has no calibration: the mean is that of the two others.
    each = miscalibration(predictions.items, FACTS.histories, FACTS.attribute)
    assert found["miscalibration@3"] == pytest.approx(np.nanmean(each))
    assert "Diversity@2" in repr(found) and "Gini index@3" in repr(found)
    plain = Evaluation.of([predictions], protocol, ks=(2,), popularity=FACTS.counts)
    assert not {"diversity@2", "gini@2"} & {each.metric for each in plain.metrics.results}


def test_facts_of_another_catalogue_are_refused(predictions):
    with pytest.raises(DataError, match=r"`counts` of the list facts does not fit .* 5 items, got 4"):
        measure(predictions, 5, ks=(2,), lists=ListFacts(counts=FACTS.counts))
    with pytest.raises(DataError, match="one row for each of 3 users, got 1"):
        measure(predictions, 4, ks=(2,), lists=ListFacts(histories=Sequences.from_rows([[0]])))


def test_slices_by_the_age_of_the_target():
    found = user_slices(target_age=np.array([0.0, 6.9, 7.0, 400.0]))
    assert {name: mask.tolist() for name, mask in found.items()} == {
        "age 0-6": [True, True, False, False],
        "age 7-29": [False, False, True, False],
        "age 365+": [False, False, False, True],
    }
