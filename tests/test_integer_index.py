"""Rows of integer ids, compared with a dict."""

import numpy as np
import pytest

from sidkit import _integer_index
from sidkit._integer_index import IntegerIndex


@pytest.mark.parametrize(
    "ids",
    [
        np.array([7, 3, 5]),
        np.arange(100, dtype=np.uint16)[::-1],
        np.array([-(2**63), 0, 2**63 - 1]),
        np.random.default_rng(0).permutation(3_000_000)[:500] - 1_000_000,
        np.random.default_rng(1).integers(-(2**62), 2**62, 300),
        np.array([], np.int64),
    ],
    ids=["dense", "unsigned", "extremes", "table", "sorted", "empty"],
)
def test_rows_are_those_of_a_dict(ids, monkeypatch):
    monkeypatch.setattr(_integer_index, "_BLOCK", 64)
    known = {each: row for row, each in enumerate(ids.tolist())}
    asked = np.concatenate([ids.astype(np.int64), np.arange(-50, 150), [2**63 - 1, -(2**63)]])
    rows = IntegerIndex(ids).rows(asked)
    assert rows.dtype == np.int32
    assert rows.tolist() == [known.get(each, -1) for each in asked.tolist()]
