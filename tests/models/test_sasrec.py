"""SASRec: what its settings must be."""

import pytest

from sidkit.models import SASRecNetwork


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match=r"`heads` must divide `d_model`, but 16 % 3 = 1"):
        SASRecNetwork(20, d_model=16, heads=3)
