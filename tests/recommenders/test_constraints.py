"""Constrained recommendations are the complete ranking without the items that are not permitted."""

import operator

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.worlds import ITEMS, small_world

from sidkit.data import Catalogue

WORLD = small_world()
TABLE = WORLD.dataset.items.select("item_id").with_columns(
    stock=pl.Series([0, 3, None, 1] * (ITEMS // 4)),
    brand=pl.Series(["X", "Y", "Z"] * (ITEMS // 3)),
    price=pl.int_range(ITEMS, eager=True) * 1.5,
)
CATALOGUE = Catalogue(TABLE)
#: Conditions as polars expressions, as SQL, and as Python functions of a row.
CONDITIONS = [
    (pl.col("stock") > 0, "stock > 0", lambda row: (row["stock"] or 0) > 0),
    (pl.col("brand") != "X", "brand != 'X'", lambda row: row["brand"] != "X"),
    (pl.col("price").is_between(6, 25), "price BETWEEN 6 AND 25", lambda row: 6 <= row["price"] <= 25),
    (pl.col("stock").is_null(), "stock IS NULL", lambda row: row["stock"] is None),
]


#: The ids that a loop over the rows gives, and the set, of every condition in both forms.
SETS = [
    (CATALOGUE.where(form), {row["item_id"] for row in TABLE.to_dicts() if function(row)})
    for expression, sql, function in CONDITIONS
    for form in (expression, sql)
]
OPERATORS = st.sampled_from([operator.and_, operator.or_, operator.xor, operator.sub])


@st.composite
def permitted(draw):
    """A combination of two conditions: the set, and the ids."""
    (one, one_ids), (other, other_ids) = (draw(st.sampled_from(SETS)) for _ in range(2))
    combine = draw(OPERATORS)
    chosen, ids = combine(one, other), combine(one_ids, other_ids)
    return (~chosen, set(WORLD.ids) - ids) if draw(st.booleans()) else (chosen, ids)


@pytest.mark.parametrize("method", ["item_knn", "sasrec", "tiger", "rqtransformer"])
@given(data=st.data())
@settings(max_examples=10)
def test_a_constrained_list_is_the_filtered_ranking(fitted_recommender, method, data):
    recommender = fitted_recommender(method)
    starts = data.draw(st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=3))
    histories = [WORLD.walk(start, data.draw(st.integers(0, 3))) for start in starts]
    allowed, allowed_ids = data.draw(permitted())
    excluded, excluded_ids = data.draw(permitted())
    exclude_seen = data.draw(st.booleans())
    k = data.draw(st.integers(1, ITEMS + 2))
    full, full_scores = recommender.recommend(histories, k=ITEMS, exclude_seen=False)
    ids, scores = recommender.recommend(
        histories, k=k, exclude_seen=exclude_seen, allow=allowed, exclude=excluded
    )
    for row, history in enumerate(histories):
        seen = set(history) if exclude_seen else set()
        kept = [
            place
            for place, item in enumerate(full[row])
            if item in allowed_ids and item not in excluded_ids and item not in seen
        ][:k]
        assert ids[row].tolist() == [*full[row, kept], *[None] * (k - len(kept))]
        np.testing.assert_allclose(scores[row, : len(kept)], full_scores[row, kept], rtol=1e-4, atol=1e-5)


def test_one_set_for_each_history(fitted_recommender):
    recommender = fitted_recommender("item_knn")
    histories = [WORLD.walk(0, 2), WORLD.walk(9, 2)]
    sets = [CATALOGUE.where("brand = 'X'"), CATALOGUE.where("brand = 'Y'")]
    ids, _ = recommender.recommend(histories, k=3, allow=sets, exclude=sets[::-1])
    for row, history in enumerate(histories):
        alone, _ = recommender.recommend(history, k=3, allow=sets[row])
        assert ids[row].tolist() == alone.tolist()
