"""SASRec: settings that contradict each other."""

import pytest

from sidkit.errors import ConfigError
from sidkit.models import SASRecNetwork


def test_heads_must_divide_the_width():
    with pytest.raises(ConfigError, match=r"`d_model` must be a multiple of `heads`, got 16 with 3 heads"):
        SASRecNetwork(20, d_model=16, heads=3)
