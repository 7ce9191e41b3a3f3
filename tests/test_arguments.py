"""The one policy for arguments: annotations are checked, with messages that name argument and value."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from sidkit._arguments import Bounds, Count, Seed, Shape, checked
from sidkit.data import EvaluationSet, Sequences
from sidkit.errors import ConfigError, DataError
from sidkit.ids import Reassignment
from sidkit.ranking import id_rows

Lists = Annotated[npt.NDArray[np.integer], Shape("lists", "k"), Bounds(ge=-1)]


def call(annotation, value):
    def function(value):
        return value

    function.__annotations__["value"] = annotation
    return checked(function)(value)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Count, 2**31 - 1),
        (Seed, 0),
        (float, 3),
        (float | None, None),
        (bool, np.True_),
        (str | Path, "a"),
        (Literal["a", "b"], "b"),
        (Sequence[int], (1, 2)),
        (Iterable[float], [0.5]),
        (Mapping[str, int], {"a": 1}),
        (Callable[[], None], print),
        (npt.ArrayLike, [[1, 2], [3, 4]]),
        (pl.Series | Sequence[int | str], ["a", "b"]),
        (tuple[float, float], (1.0, 2)),
    ],
)
def test_valid_values_pass_unchanged(annotation, value):
    assert call(annotation, value) is value


@pytest.mark.parametrize(
    ("annotation", "value", "error", "message"),
    [
        (int, 1.0, ConfigError, "`value` is invalid: expected an integer, got 1.0."),
        (int, True, ConfigError, "expected an integer, got True"),
        (int, 2**63, ConfigError, "expected an integer <= 9223372036854775807, got 9223372036854775808"),
        (Count, 0, ConfigError, "expected an integer >= 1, got 0"),
        (Count | None, 2**31, ConfigError, "expected an integer <= 2147483647 or None, got 2147483648"),
        (Sequence[Count], [0], ConfigError, "expected a sequence, each of them an integer >= 1, got [0]"),
        (float, float("nan"), ConfigError, "expected a finite number, got nan"),
        (float, 10**400, ConfigError, "expected a finite number, got a int 1000"),
        (bool, 1, ConfigError, "expected True or False, got 1"),
        (str, "\ud800", ConfigError, "expected valid text"),
        (str | Path, "a\0", ConfigError, "expected a path"),
        (Literal["a", "b"], ["a"], ConfigError, "expected one of a, b, got ['a']"),
        (Sequence[int], "12", ConfigError, "expected a sequence, each of them an integer, got '12'"),
        (Sequence[int], [1, "2"], ConfigError, "each of them an integer, got [1, '2']"),
        (Mapping[str, int], {1: 1}, ConfigError, "expected a mapping of valid text to an integer"),
        (Callable[[], None], 3, ConfigError, "expected a function, got 3"),
        (npt.ArrayLike, np.ma.masked_array([1], [1]), DataError, "expected an array without mask"),
        (npt.NDArray[np.int32], np.array([1.5]), DataError, "expected an integer array that fits int32"),
        (
            npt.NDArray[np.int32],
            np.array([2**32 + 5]),
            DataError,
            "expected an integer array that fits int32",
        ),
        (npt.NDArray[np.uint64], np.array([-1]), DataError, "expected an integer array that fits uint64"),
        (npt.NDArray[np.bool_], np.array([1, 0]), DataError, "expected a boolean array"),
        (
            Lists,
            np.array([1]),
            DataError,
            "an integer array >= -1 of shape (lists, k), got an array of int64",
        ),
        (Lists, np.array([[-2]]), DataError, "an integer array >= -1 of shape (lists, k)"),
        (pl.Series, [1], DataError, "expected a Series, got [1]"),
    ],
)
def test_other_values_are_refused(annotation, value, error, message):
    with pytest.raises(error) as caught:
        call(annotation, value)
    assert message in str(caught.value)


def test_arrays_have_the_annotated_type():
    assert call(npt.NDArray[np.int32], [1, 2]).dtype == np.int32
    assert call(npt.NDArray[np.int32], []).dtype == np.int32
    array = np.arange(3, dtype=np.int32)
    assert call(npt.NDArray[np.int32], array) is array


def test_integers_of_numpy_become_integers():
    found = call(Count, np.int8(3))
    assert type(found) is int and found == 3


def test_dimensions_of_one_name_agree():
    @checked
    def function(items: Lists, targets: Annotated[npt.NDArray[np.integer], Shape("lists")]) -> None: ...

    function(np.zeros((2, 3), int), np.zeros(2, int))
    with pytest.raises(DataError, match="`targets` does not fit `items`: expected length 2 of axis 0, got 3"):
        function(np.zeros((2, 3), int), np.zeros(3, int))


def test_a_wrong_signature_is_a_type_error():
    @checked
    def function(a: int) -> None: ...

    with pytest.raises(TypeError, match=r"function\(\) got an unexpected keyword argument 'b'"):
        function(b=1)


def test_what_was_taken_silently():
    rows = Sequences.from_rows([[1, 2], [3]])
    with pytest.raises(DataError, match="a mask does not fit: expected one value for each of 2 rows"):
        rows.take([True])
    with pytest.raises(DataError, match="there is no such row"):
        rows.take([2])
    with pytest.raises(DataError, match="`rows` is invalid: expected an integer array"):
        rows.take([0.0])
    with pytest.raises(DataError, match="`users` is invalid: expected an integer array that fits int32"):
        EvaluationSet(np.array([2**32 + 5, 1]), rows, np.array([0, 0]))
    with pytest.raises(ConfigError, match="`capacity` is invalid"):
        Reassignment(np.zeros((1, 1, 1), np.uint16), capacity=float("nan"))
    with pytest.raises(DataError, match="item ids are missing"):
        id_rows(pl.Series([2**53 + 1, None]), num_embeddings=10)
    with pytest.raises(DataError, match="an item id is out of range"):
        id_rows(pl.Series([2**64 - 1], dtype=pl.UInt64), num_embeddings=10)
