"""Hostile arguments: values of wrong types, shapes and sizes, and damaged copies of valid ones."""

import datetime
from pathlib import Path

import numpy as np
import polars as pl
import torch

from sidkit.data import Histories, Sequences

__all__ = ["damaged", "value"]


def _endless():
    nested = []
    nested.append(nested)
    return nested


def _deep():
    nested = []
    for _ in range(5000):
        nested = [nested]
    return nested


class _Anything:
    """A class, given where an object is expected; as a function it accepts every call."""

    def __init__(self, *_args, **_named):
        pass


class _Broken:
    """An object whose every conversion fails."""

    def __repr__(self):
        raise RuntimeError("no representation")

    def __array__(self, *args, **kwargs):
        raise RuntimeError("no array")

    def __len__(self):
        raise RuntimeError("no length")

    def __iter__(self):
        raise RuntimeError("no iterator")

    def __eq__(self, other):
        raise RuntimeError("no comparison")

    __hash__ = object.__hash__


_MAKERS = [
    lambda rng: None,
    lambda rng: True,
    lambda rng: False,
    lambda rng: int(rng.choice([-1, 0, 1, 2, 3, 5, 7, 100, 255, 256, 65535, 65536])),
    lambda rng: int(rng.choice([2**31 - 1, 2**31, 2**32, 2**32 + 5, 2**53, 2**62, -(2**31), -(2**63)])),
    lambda rng: [2**63, 2**64 - 1, 2**64, -(2**64), 10**400][rng.integers(5)],
    lambda rng: float(rng.choice([np.nan, np.inf, -np.inf, -0.5, 0.0, 0.5, 1.5, 1e308, -1e308, 5e-324])),
    lambda rng: [np.float32(0.5), np.int8(3), np.uint64(2**64 - 1), np.bool_(True), np.str_("x")][
        rng.integers(5)
    ],
    lambda rng: ["", "x", "\0", "\ud800", "a" * 5000, "../..", "nan", "0-0", "é", "12", "*", "[1]"][
        rng.integers(12)
    ],
    lambda rng: [b"", b"x", bytearray(b"y"), memoryview(b"z")][rng.integers(4)],
    lambda rng: [[], (), {}, set(), frozenset(), iter(()), range(3)][rng.integers(7)],
    lambda rng: [[None], [[]], [[1], [2, 3]], [1, "a"], ["a", "b"], [1.5, 2.5], [[1.0, np.nan]], [True, 3]][
        rng.integers(8)
    ],
    lambda rng: [{"a": 1}, {1: "a"}, {"path": None}, {"": {}}][rng.integers(4)],
    lambda rng: [_endless(), _deep(), [10**400], ["\ud800"], [float("nan")], [2**63, -1]][rng.integers(6)],
    lambda rng: [object(), _Broken(), _Anything, np, lambda *a, **k: None, Ellipsis, NotImplemented][
        rng.integers(7)
    ],
    lambda rng: [1 + 2j, datetime.datetime(2020, 1, 1), datetime.timedelta(1), np.datetime64("NaT")][
        rng.integers(4)
    ],
    lambda rng: _array(rng),
    lambda rng: _array(rng),
    lambda rng: _array(rng),
    lambda rng: [
        np.array(3),
        np.array("x"),
        np.array([None, 1], object),
        np.array(["a", "b"]),
        np.zeros(3, [("a", "i4")]),
        np.array(["2020-01-01"], "M8[s]"),
        np.ma.masked_array([1, 2, 3], [0, 1, 0]),
        np.ma.masked_array(np.ones((4, 2), np.float32), mask=True),
        np.array([[1, 2], [3, 4]])[::-1, ::-1],
        np.zeros((3, 0), np.float32),
        np.array([2**64 - 1], np.uint64),
        np.full((4, 8), np.nan, np.float32),
        np.full((4, 8), 3e38, np.float32),
        np.ones((2, 3), ">f4"),
        np.arange(6)[::-2],
    ][rng.integers(15)],
    lambda rng: [
        pl.Series([1, None, 3]),
        pl.Series(["a", None]),
        pl.Series([], dtype=pl.Int64),
        pl.Series([1.5, float("nan")]),
        pl.Series([[1], [2, 3]]),
        pl.Series([[1], None]),
        pl.Series(["a", "a"]),
        pl.Series([object()], dtype=pl.Object),
        pl.Series([2**64 - 1], dtype=pl.UInt64),
        pl.Series(["x", "y"], dtype=pl.Categorical),
        pl.DataFrame(),
        pl.DataFrame({"item_id": [1, 1]}),
        pl.DataFrame({"item_id": [None, "a"], "user_id": ["b", None]}),
        pl.DataFrame({"user_id": [1], "item_id": [1], "timestamp": [float("inf")]}),
        pl.DataFrame({"user_id": [1], "item_id": [1], "timestamp": [10**18]}),
        pl.LazyFrame({"a": [1]}),
    ][rng.integers(16)],
    lambda rng: [
        torch.zeros(3),
        torch.zeros((2, 2), requires_grad=True),
        torch.tensor(float("nan")),
        torch.zeros((0, 3), dtype=torch.int64),
        torch.full((2, 2), 2**40),
        torch.zeros(2, dtype=torch.bfloat16),
    ][rng.integers(6)],
    lambda rng: [
        Sequences.from_rows([]),
        Sequences.from_rows([[]]),
        Sequences.from_rows([[0]]),
        Sequences.from_rows([[2**31 - 1]]),
        Sequences.from_rows([[1, 2], [], [3]]),
        Histories.from_ids([["a"], ["b", "a"]]),
        Histories.from_ids([[5]]),
    ][rng.integers(7)],
    lambda rng: [
        Path("/proc/none/x"),
        Path(),
        Path("/dev/null"),
        Path("x\0y"),
        Path("/proc/self/mem"),
    ][rng.integers(5)],
]


def _array(rng):
    """An array of any type and shape."""
    shape = [(0,), (1,), (3,), (24,), (0, 0), (0, 3), (3, 0), (2, 3), (24, 3), (24, 8), (40, 5), (2, 2, 2)][
        rng.integers(12)
    ]
    kind = rng.integers(10)
    if kind < 6:
        dtype = ["i1", "u1", "i4", "i8", "u2", "u8"][kind]
        low, high = [(0, 3), (0, 127), (-5, 5)][rng.integers(3)]
        return rng.integers(low, high, shape).astype(dtype)
    if kind == 6:
        return rng.integers(0, 2, shape).astype(bool)
    values = rng.normal(size=shape).astype(["f2", "f4", "f8"][kind - 7])
    if rng.random() < 0.3 and values.size:
        values.flat[rng.integers(values.size)] = [np.nan, np.inf, -np.inf, 6e4][rng.integers(4)]
    return values


def value(rng):
    """Return a hostile value."""
    return _MAKERS[rng.integers(len(_MAKERS))](rng)


def damaged(valid, rng):
    """Return a damaged copy of a valid value: another type, shape or range."""
    if isinstance(valid, np.ndarray):
        return _damaged_array(valid, rng)
    if isinstance(valid, bool):
        return [None, 1, "yes", np.bool_(valid), 2.0][rng.integers(5)]
    if isinstance(valid, int):
        return [-valid, valid + 0.5, str(valid), 0, valid * 1000, 2**40, np.int64(valid), [valid], None][
            rng.integers(9)
        ]
    if isinstance(valid, float):
        return [-valid, valid * 1e300, str(valid), np.nan, np.inf, 10**400, [valid], None][rng.integers(8)]
    if isinstance(valid, str):
        return [valid + "x", valid.upper(), valid.encode(), [valid], "", valid + "\0", "\ud800", Path(valid)][
            rng.integers(8)
        ]
    if isinstance(valid, Path):
        return [valid.parent, valid / "x", str(valid) + "\0", str(valid).encode(), valid.with_suffix(".zip")][
            rng.integers(5)
        ]
    if isinstance(valid, pl.Series):
        return _damaged_series(valid, rng)
    if isinstance(valid, pl.DataFrame) and valid.width:
        column = valid.columns[rng.integers(valid.width)]
        return [
            valid.drop(column),
            valid.head(0),
            valid.with_columns(pl.lit(None).alias(column)),
            valid.with_columns(_damaged_series(valid[column], rng).alias(column).extend_constant(None, 0))
            if False
            else valid.rename({column: column + "x"}),
            pl.concat([valid, valid]),
            valid.head(1),
            valid.with_columns(pl.col(column).cast(pl.String)),
        ][rng.integers(7)]
    if isinstance(valid, Sequences):
        return [
            Sequences(valid.values[:0], np.zeros(len(valid) + 1, np.int64)),
            Sequences(valid.values + 1000, valid.offsets),
            Sequences(valid.values, valid.offsets).take([0]),
            Sequences.from_rows([]),
            valid.values,
            [row.tolist() for row in valid],
        ][rng.integers(6)]
    if isinstance(valid, dict) and valid:
        key = list(valid)[rng.integers(len(valid))]
        return [{**valid, key: value(rng)}, {k: v for k, v in valid.items() if k != key}, list(valid), {}][
            rng.integers(4)
        ]
    if isinstance(valid, (list, tuple)) and valid:
        place = int(rng.integers(len(valid)))
        changed = list(valid)
        changed[place] = damaged(changed[place], rng) if rng.random() < 0.5 else value(rng)
        return [type(valid)(changed), type(valid)(valid[:-1]), type(valid)([*valid, *valid]), valid[place]][
            rng.integers(4)
        ]
    if isinstance(valid, torch.Tensor):
        return [
            valid.float(),
            valid[:0],
            -valid if valid.dtype != torch.bool else valid,
            valid[None],
            valid.numpy(),
        ][rng.integers(5)]
    return value(rng)


def _damaged_array(valid, rng):
    kind = rng.integers(14)
    if kind == 0:
        return valid[:-1]
    if kind == 1:
        return valid[..., None]
    if kind == 2:
        return valid.ravel()
    if kind == 3:
        return np.ma.masked_array(valid, mask=np.zeros(valid.shape, bool))
    if kind == 4:
        return valid.astype(object)
    if kind == 5:
        return valid.astype(str)
    if kind == 6:
        return valid.tolist()
    if kind == 7:
        return np.concatenate([valid, valid]) if valid.ndim else valid
    if kind == 8 and valid.dtype.kind in "iuf":
        return valid.astype(np.float64) + 0.5
    if kind == 9 and valid.dtype.kind in "iu":
        return valid.astype(np.int64) + rng.choice([2**32, 1000, -1000, -1, 2**16])
    if kind == 10 and valid.dtype.kind == "f" and valid.size:
        changed = valid.copy()
        changed.flat[rng.integers(valid.size)] = [np.nan, np.inf, -1, 1e38][rng.integers(4)]
        return changed
    if kind == 11:
        return valid[:0]
    if kind == 12:
        return np.asfortranarray(valid)[::-1]
    return valid.T if valid.ndim > 1 else valid.astype(bool)


def _damaged_series(valid, rng):
    return [
        valid.head(0),
        valid.head(max(0, len(valid) - 1)),
        pl.concat([valid, valid]),
        pl.concat([valid.head(1)] * max(1, len(valid))),
        valid.to_list(),
        valid.to_frame(),
        pl.Series(valid.name, [None] * len(valid), dtype=valid.dtype),
        valid.cast(pl.String),
        valid.to_numpy(),
        valid.shift(1),
    ][rng.integers(10)]
