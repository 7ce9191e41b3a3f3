"""All built-in recommenders keep the contract."""

from functools import partial

import pytest
from tests.contracts.new_items_contract import NewItemsContract
from tests.contracts.recommender_contract import Case
from tests.worlds import SMALL, small_recommender, small_world

from sidkit.recommenders import RECOMMENDERS

STEPS = (("max_steps", 2), ("evaluate_every_steps", 2))
COUNTS = {"popularity", "item_knn", "content_knn", "transition_graph"}  # recommenders that are not trained
FIXED = {"popularity", "item_knn", "sasrec", "bsarec", "gru4rec"}  # recommenders without new items
VECTORS = {"sasrec", "bsarec", "gru4rec", "rqtransformer", "content_knn"}


@pytest.mark.parametrize("method", list(SMALL), scope="class")
class TestContract(NewItemsContract):
    @pytest.fixture
    def case(self, method):
        return Case(
            make=partial(small_recommender, method),
            world=small_world(),
            knows_order=method not in ("popularity", "content_knn"),
            by_content=method == "content_knn",
            adds_items=method not in FIXED,
            quick=() if method in COUNTS else STEPS,
            has_vectors=method in VECTORS,
        )

    @pytest.fixture
    def fitted(self, method, fitted_recommender):
        return fitted_recommender(method)


def test_every_recommender_is_tested():
    assert set(SMALL) == set(RECOMMENDERS)


@pytest.mark.parametrize("method", SMALL)
def test_a_recommender_is_registered_under_its_method(method):
    assert RECOMMENDERS[method].method == method
