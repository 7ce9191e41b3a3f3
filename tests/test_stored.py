"""Arrays of saved models: only those that were declared, and sparse matrices that compiled code may read."""

import numpy as np
import pytest

from sidkit._stored import Stored, check_compressed_rows, read_stored, restore_arrays, write_stored
from sidkit.errors import FormatError

EXPECTED = {
    "vectors_": Stored(np.floating, ("items", "d")),
    "counts_": Stored(np.integer, ("items",)),
    "more_": Stored(np.floating, ("d",), optional=True),
}
ARRAYS = {"vectors_": np.ones((3, 2), np.float32), "counts_": np.arange(3)}


def test_what_is_written_is_read(tmp_path):
    write_stored(tmp_path / "file", ARRAYS | {"more_": np.zeros(2)})
    found = read_stored(tmp_path / "file", EXPECTED, items=3)
    assert found.keys() == EXPECTED.keys() and (found["vectors_"] == ARRAYS["vectors_"]).all()
    write_stored(tmp_path / "file", ARRAYS)
    assert read_stored(tmp_path / "file", EXPECTED).keys() == ARRAYS.keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vectors_": np.ones((3, 2), np.int64)}, "expected floating"),
        ({"vectors_": np.ones(3, np.float32)}, r"expected floating \(3, d\)"),
        ({"vectors_": np.ones((4, 2), np.float32)}, r"expected floating \(3, "),
        ({"vectors_": np.full((3, 2), np.nan)}, "NaN"),
        ({"counts_": np.ones(3)}, "expected integer"),
        ({"more_": np.ones(5)}, r"expected floating \(2\)"),
        ({"recommend": np.ones(5)}, "other arrays"),
        ({"counts_": None}, "other arrays"),
    ],
)
def test_other_arrays_are_refused(tmp_path, change, message):
    arrays = {name: value for name, value in (ARRAYS | change).items() if value is not None}
    write_stored(tmp_path / "file", arrays)
    with pytest.raises(FormatError, match=message):
        read_stored(tmp_path / "file", EXPECTED, items=3)


def test_a_file_of_a_plug_in_cannot_replace_attributes_of_its_class(tmp_path):
    class Model:
        known_ = 3

    for name in ("known_", "recommend", "item_counts_", "a b_"):
        write_stored(tmp_path / "file", {name: np.ones(2)})
        with pytest.raises(FormatError, match="names that end in"):
            restore_arrays(Model(), tmp_path / "file", None)


def matrix(offsets, columns, dtype=np.int64):
    check_compressed_rows("file", np.array(offsets, dtype), np.array(columns, dtype), 5)


def test_sparse_matrices():
    matrix([0, 2, 2, 3], [1, 4, 0])
    matrix([0], [])
    for offsets, columns in [
        ([], []),
        ([1, 2], [0, 1]),
        ([0, 3], [0, 1]),
        ([0, 3, 2, 3], [0, 1, 2]),
        ([0, 2], [0, 5]),
        ([0, 2], [-1, 1]),
        ([0, 2], [1, 1]),
        ([0, 2], [3, 1]),
    ]:
        with pytest.raises(FormatError):
            matrix(offsets, columns)
    with pytest.raises(FormatError):  # differences of unsigned numbers are never negative
        matrix([0, 3, 2, 3], [0, 1, 2], np.uint16)
