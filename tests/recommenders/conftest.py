from functools import cache

import pytest
from tests.worlds import small_recommender, small_world


@cache
def fitted_small(method):
    """A recommender of the small world, trained once per process."""
    return small_world().fit(small_recommender(method))


@pytest.fixture(scope="session")
def fitted_recommender():
    """Function from a method to its recommender of the small world; not to be changed."""
    return fitted_small
