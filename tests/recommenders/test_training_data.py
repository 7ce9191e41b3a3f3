"""Item vectors of a training: kept as given, and checked without a copy."""

import numpy as np
import pytest
from tests.worlds import small_recommender, small_world

from sidkit import _vectors
from sidkit.errors import DataError
from sidkit.recommenders import Popularity
from sidkit.recommenders.training_data import training_data

WORLD = small_world()


def made(vectors):
    recommender = small_recommender("rqtransformer")
    return training_data(recommender, WORLD.split.train, WORLD.sids, vectors, None, ()).item_vectors


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_memory_mapped_vectors_are_neither_copied_nor_converted(dtype, tmp_path):
    np.save(tmp_path / "x.npy", WORLD.vectors.astype(dtype))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    kept = made(mapped)
    assert kept.dtype == dtype and np.shares_memory(kept, mapped)


@pytest.mark.parametrize("vectors", [WORLD.vectors.astype(np.float64), WORLD.vectors.tolist()])
def test_other_vectors_become_float32(vectors):
    kept = made(vectors)
    assert kept.dtype == np.float32 and np.array_equal(kept, WORLD.vectors)


def test_the_first_non_finite_row_is_found_in_any_block(monkeypatch):
    monkeypatch.setattr(_vectors, "_BLOCK_BYTES", 4 * 16 * 5)  # five rows
    assert [block.stop for block in _vectors.row_blocks(12, 16)] == [5, 10, 12]
    vectors = WORLD.vectors.copy()
    vectors[7, 3], vectors[9, 0] = np.inf, np.nan
    with pytest.raises(DataError, match="row 7 holds NaN or infinity"):
        made(vectors)
    assert _vectors.first_non_finite(WORLD.vectors) is None


@pytest.mark.parametrize("wrong", [np.array(3), "item-00", 7, ["item-00", "item-01"]])
def test_anything_but_histories_is_refused(wrong):
    with pytest.raises(DataError, match="one list of item ids per user"):
        Popularity().fit(wrong)
