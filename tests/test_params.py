"""Parameters: the constructor's arguments, as in scikit-learn."""

import numpy as np
import pytest
from sklearn.base import clone

from sidkit._params import Parameters
from sidkit.errors import ConfigError


class Inner(Parameters):
    def __init__(self, depth=2):
        self.depth = depth


class Outer(Parameters):
    def __init__(self, sizes=(1, 2), *, inner=None, limit=3, **_ignored):
        if limit < 0:
            raise ConfigError(f"`limit` is invalid: expected a number >= 0, got {limit}.")
        self.sizes, self.inner, self.limit = sizes, inner, limit
        self.double = 2 * limit


def test_parameters_are_those_of_the_signature():
    outer = Outer([4], inner=Inner(5))
    assert outer.get_params(deep=False) == {"sizes": [4], "inner": outer.inner, "limit": 3}
    assert outer.get_params()["inner__depth"] == 5


def test_repr_has_what_differs_from_the_defaults():
    assert repr(Outer()) == "Outer()"
    assert repr(Outer([4], inner=Inner(5), limit=1)) == "Outer(sizes=[4], inner=Inner(depth=5), limit=1)"
    assert repr(Outer(np.array([1, 2]))) == "Outer(sizes=array([1, 2]))"


def test_set_params_runs_the_constructor_again():
    outer = Outer(inner=Inner(5))
    outer.learned_ = 1
    assert outer.set_params(limit=4, inner__depth=6) is outer
    assert (outer.limit, outer.double, outer.inner.depth, outer.learned_) == (4, 8, 6, 1)
    with pytest.raises(ConfigError, match="`limit` is invalid"):
        outer.set_params(sizes=[9], limit=-1, inner__depth=7)
    assert (outer.sizes, outer.limit, outer.inner.depth) == ((1, 2), 4, 6)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("limt", "; did you mean `limit`"), ("inner__dept", "; did you mean `depth`"), ("limit__depth", "")],
)
def test_unknown_names_are_refused(name, hint):
    with pytest.raises(ConfigError, match=rf"unknown parameter: expected one of .*, got `\w+`{hint}"):
        Outer(inner=Inner()).set_params(**{name: 1})


def test_clones_are_unfitted_copies():
    outer = Outer([4], inner=Inner(5))
    outer.learned_ = 1
    again = clone(outer)
    assert repr(again) == repr(outer)
    assert again.inner is not outer.inner and not hasattr(again, "learned_")
