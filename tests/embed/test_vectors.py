import re

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from sidkit.embed import load_vectors
from sidkit.errors import DataError

IDS = pl.Series("item_id", ["a", "b", "c"])
X = np.arange(6, dtype=np.float32).reshape(3, 2) / 4


def write(path, array):
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".safetensors":
        save_file({"embeddings": np.ascontiguousarray(array), "more": np.zeros(1)}, path)
    else:
        pl.DataFrame({"item_id": ["c", "b", "z", "a"], "v": array[[2, 1, 0, 0]].tolist()}).cast(
            {"v": pl.List(pl.from_numpy(array).dtypes[0])}
        ).write_parquet(path)
    return path


@pytest.mark.parametrize("suffix", [".npy", ".safetensors", ".parquet"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_vectors_come_in_the_order_of_the_catalogue(tmp_path, suffix, dtype):
    vectors = load_vectors(write(tmp_path / f"v{suffix}", X.astype(dtype)), IDS)
    assert np.array_equal(vectors, X)
    assert (vectors.dtype, vectors.flags.c_contiguous, vectors.flags.writeable) == (np.float32, True, True)


def test_fortran_order_and_arrays_of_fixed_length(tmp_path):
    np.save(tmp_path / "v.npy", np.asfortranarray(X))
    assert np.array_equal(load_vectors(tmp_path / "v.npy", IDS), X)
    table = pl.DataFrame({"item_id": IDS, "v": pl.Series(X, dtype=pl.Array(pl.Float32, 2))})
    table.write_parquet(tmp_path / "v.parquet")
    assert np.array_equal(load_vectors(tmp_path / "v.parquet", ["a", "b", "c"]), X)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (X[:2], "expected 3 rows, row k for the k-th item after any filter, got 2"),
        (X[0], "expected floats of 16, 32 or 64 bits (items, dim), got float32 of shape (2,)"),
        (X[:, :0], "got float32 of shape (3, 0)"),
        (X.astype(np.int32), "expected floats of 16, 32 or 64 bits (items, dim), got int32"),
        (
            np.array([[1, 1], [1, np.nan], [np.inf, 1]]),
            "expected finite float32 numbers, got others in 2 rows, the first of them row 1, item 'b'",
        ),
        (
            np.array([[1, 1], [1, 1], [1e300, 1]]),
            "expected finite float32 numbers, got others in 1 rows, the first of them row 2, item 'c'",
        ),
        (np.array([[None, {}]]), "is not a readable .npy file"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_arrays_that_are_no_vectors(tmp_path, array, message):
    np.save(tmp_path / "v.npy", array)
    with pytest.raises(DataError, match=re.escape(message)):
        load_vectors(tmp_path / "v.npy", IDS)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"item_id": ["a", "b"], "v": [[1.0], [2.0]]},
            "expected a vector for each of 3 items, got none for 1, such as 'c'",
        ),
        ({"item_id": ["a", "a"], "v": [[1.0], [2.0]]}, "expected one vector per item, got several for 'a'"),
        (
            {"item_id": [1, 2], "v": [[1.0], [2.0]]},
            "has the wrong type: expected String as in the catalogue, got Int64",
        ),
        (
            {"id": ["a"], "v": [[1.0]]},
            "expected a column `item_id` and one column of lists, got `id` (String)",
        ),
        ({"item_id": ["a"], "v": [1.0]}, "one column of lists, got `item_id` (String), `v` (Float64)"),
        (
            {"item_id": ["a", "b", "c"], "v": [[1.0, 2.0], [1.0], [1.0, 2.0]]},
            "differ in width: expected 2 numbers, as most have, got 1 for item 'b'",
        ),
        (
            {"item_id": ["a", "b", "c"], "v": [[1.0], None, [1.0]]},
            "expected 1 numbers, as most have, got 0 for item 'b'",
        ),
        (
            {"item_id": ["a", "b", "c"], "v": [[1.0], [None], [1.0]]},
            "expected a number everywhere, got 1 nulls inside its lists",
        ),
        ({"item_id": ["a", "b", "c"], "v": [[1], [2], [3]]}, "expected lists of floats, got List(Int64)"),
    ],
)
def test_tables_that_are_no_vectors(tmp_path, table, message):
    pl.DataFrame(table).write_parquet(tmp_path / "v.parquet")
    with pytest.raises(DataError, match=re.escape(message)):
        load_vectors(tmp_path / "v.parquet", IDS)


@pytest.mark.parametrize("suffix", [".npy", ".safetensors", ".parquet"])
def test_files_that_are_none(tmp_path, suffix):
    path = tmp_path / f"v{suffix}"
    with pytest.raises(DataError, match="there is no file"):
        load_vectors(path, IDS)
    content = write(path, X).read_bytes()
    for broken in (b"", b"not at all", content[: len(content) // 2]):
        path.write_bytes(broken)
        with pytest.raises(DataError, match="is not a readable"):
            load_vectors(path, IDS)


def test_other_files(tmp_path):
    with pytest.raises(DataError, match=r"expected .npy, .safetensors or .parquet, got .*v.csv"):
        load_vectors(tmp_path / "v.csv", IDS)
    save_file({"x": X, "y": X}, tmp_path / "v.safetensors")
    with pytest.raises(DataError, match="expected `embeddings` or a single tensor, got"):
        load_vectors(tmp_path / "v.safetensors", IDS)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_memory_map_keeps_the_vectors_in_the_file(tmp_path, dtype):
    vectors = load_vectors(write(tmp_path / "v.npy", X.astype(dtype)), IDS, memory_map=True)
    assert np.array_equal(vectors, X) and vectors.dtype == dtype
    base = vectors
    while not isinstance(base, np.memmap):
        base = base.base
    assert base.filename and not vectors.flags.writeable


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("v.safetensors", X, "expected a .npy file of float16 or float32 in C order, got .safetensors"),
        ("v.npy", X.astype(np.float64), "got .npy of float64 in C order"),
        ("v.npy", np.asfortranarray(X), "got .npy of float32 in Fortran order"),
        ("v.npy", np.where(X > 1, np.nan, X).astype(np.float32), "got others in row 2, item 'c'"),
    ],
)
def test_what_cannot_be_memory_mapped(tmp_path, name, array, message):
    with pytest.raises(DataError, match=re.escape(message)):
        load_vectors(write(tmp_path / name, array), IDS, memory_map=True)
