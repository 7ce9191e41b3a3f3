import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit.errors import ConfigError, DataError
from sidkit.evaluate import Predictions, catalogue_metrics, target_ranks, user_metrics

INF = math.inf


def predict(rows, targets, k=None):
    """Make predictions from ragged rows of items."""
    width = k or max(map(len, rows))
    items = np.full((len(rows), width), -1, np.int32)
    scores = np.full((len(rows), width), -INF, np.float32)
    for place, row in enumerate(rows):
        items[place, : len(row)] = row
        scores[place, : len(row)] = -np.arange(len(row))
    users = np.arange(len(rows), dtype=np.int32)
    return Predictions("m", users, items, scores, np.array(targets, np.int32))


# The metrics once more, one user at a time, as one would explain them on paper.


def recall(target, row, k):
    return 1.0 if target in row[:k] else 0.0


def ndcg(target, row, k):
    gains = [1.0 if item == target else 0.0 for item in row[:k]]
    discounted = sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))
    ideal = 1.0 / math.log2(2)
    return discounted / ideal


def mrr(target, row, k):
    return max([1.0 / (place + 1) for place, item in enumerate(row[:k]) if item == target], default=0.0)


@st.composite
def worlds(draw):
    n_items, k = draw(st.integers(1, 12)), draw(st.integers(1, 8))
    catalogue = st.permutations(range(n_items))
    rows = [draw(catalogue)[: draw(st.integers(0, k))] for _ in range(draw(st.integers(1, 5)))]
    targets = [draw(st.integers(0, n_items - 1)) for _ in rows]
    return n_items, k, rows, targets


@given(worlds())
def test_users_equal_the_oracle(world):
    n_items, k, rows, targets = world
    cutoffs = {1, k, (k + 1) // 2}
    found = user_metrics(predict(rows, targets, k), n_items, cutoffs)
    assert len(found) == 3 * len(cutoffs)
    for cutoff in cutoffs:
        for name, oracle in (("recall", recall), ("ndcg", ndcg), ("mrr", mrr)):
            expected = [oracle(target, row, cutoff) for target, row in zip(targets, rows, strict=True)]
            np.testing.assert_allclose(found[f"{name}@{cutoff}"], expected, rtol=1e-15)


def pairwise(rows, targets, k):
    """Compare each two lists, and try each list on each other user."""
    pairs = [(one, other) for one in range(len(rows)) for other in range(len(rows)) if one != other]
    if not pairs:
        return {}
    shared = [len(set(rows[one]) & set(rows[other])) / k for one, other in pairs]
    hits = [targets[one] in rows[other] for one, other in pairs]
    return {
        f"list_overlap@{k}": pytest.approx(sum(shared) / len(pairs)),
        f"shuffled_history_recall@{k}": pytest.approx(sum(hits) / len(pairs)),
    }


@given(worlds())
def test_the_catalogue_equals_the_oracle(world):
    n_items, k, rows, targets = world
    popularity = np.arange(n_items) % 3
    best = max(range(n_items), key=lambda item: (popularity[item], -item))
    found = catalogue_metrics(predict(rows, targets, k), n_items, [k], popularity=popularity)
    shown = [item for row in rows for item in row]
    assert found == {
        f"coverage@{k}": pytest.approx(len(set(shown)) / n_items),
        f"distinct@{k}": len(set(shown)),
        f"filled@{k}": pytest.approx(len(shown) / (len(rows) * k)),
        f"popular@{k}": pytest.approx(shown.count(best) / len(shown) if shown else 0.0),
        f"cold@{k}": pytest.approx(sum(item % 3 == 0 for item in shown) / max(len(shown), 1)),
        **pairwise(rows, targets, k),
    }


@given(worlds(), st.randoms())
def test_order_of_users_does_not_matter(world, random):
    n_items, k, rows, targets = world
    order = list(range(len(rows)))
    random.shuffle(order)
    straight = user_metrics(predict(rows, targets, k), n_items, [k])
    shuffled = user_metrics(predict([rows[i] for i in order], [targets[i] for i in order], k), n_items, [k])
    for name, values in straight.items():
        np.testing.assert_array_equal(shuffled[name], values[order])


def test_by_hand():
    made = predict([[7, 3, 5], [3, 7, 5], [5, 3, 7], [5, 3]], [7, 7, 7, 7])
    assert target_ranks(made, 8).tolist() == [1, 2, 3, 0]
    found = user_metrics(made, 8, (1, 2, 3))
    assert found["recall@2"].tolist() == [1, 1, 0, 0]
    assert found["mrr@3"].tolist() == [1, 1 / 2, 1 / 3, 0]
    assert found["ndcg@3"].tolist() == [1, pytest.approx(0.6309297535714575), 0.5, 0]
    assert found["ndcg@1"].tolist() == [1, 0, 0, 0]


def test_padding_never_counts_as_an_item():
    found = catalogue_metrics(predict([[0], [0]], [1, 1], k=10), 4, [10])
    assert found == {
        "coverage@10": 0.25,
        "distinct@10": 1.0,
        "filled@10": 0.1,
        "list_overlap@10": 0.1,
        "shuffled_history_recall@10": 0.0,
    }


@pytest.mark.parametrize("cutoff", [0, 4])
def test_a_cutoff_beyond_the_lists(cutoff):
    with pytest.raises(ConfigError) as caught:
        user_metrics(predict([[0, 1, 2]], [0]), 3, [cutoff])
    assert str(caught.value) == (
        f"cut-off beyond the lists of `m`: expected 1..3, got {cutoff}. "
        "Predict more items per user or lower the cut-off"
    )


@pytest.mark.parametrize(
    ("rows", "targets", "kind"), [([[0], [5]], [0, 0], "item"), ([[0], [1]], [0, 5], "target")]
)
def test_an_item_outside_the_catalogue(rows, targets, kind):
    for metrics in (user_metrics, catalogue_metrics):
        with pytest.raises(DataError) as caught:
            metrics(predict(rows, targets), 5, [1])
        assert str(caught.value) == (
            f"row 1 of the predictions of `m` has {kind} 5, the catalogue has the items 0..4"
        )


def test_popularity_of_another_catalogue():
    with pytest.raises(DataError, match=r"`popularity` must be \(3,\), one count per item, got \(2,\)"):
        catalogue_metrics(predict([[0]], [0]), 3, [1], popularity=np.array([1, 2]))
