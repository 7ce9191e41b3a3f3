import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit.errors import DataError, FormatError
from sidkit.evaluate import Predictions

INF = math.inf


def make(items=((3, 1, -1), (2, 0, 1)), scores=((0.5, 0.5, -INF), (0.0, -1.0, -2.0)), **changes):
    fields = {
        "model": "tiger",
        "users": np.array([4, 7], np.int32),
        "items": np.array(items, np.int32),
        "scores": np.array(scores, np.float32),
        "targets": np.array([1, 5], np.int32),
    }
    return Predictions(**(fields | changes))


def same(a, b):
    return a.model == b.model and all(
        np.array_equal(getattr(a, name), getattr(b, name))
        and getattr(a, name).dtype == getattr(b, name).dtype
        for name in ("users", "items", "scores", "targets")
    )


@st.composite
def predictions(draw):
    m, k = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    items, scores = np.full((m, k), -1, np.int32), np.full((m, k), -INF, np.float32)
    for row in range(m):
        filled = draw(st.integers(0, k))
        items[row, :filled] = draw(st.permutations(range(2 * k)))[:filled]
        values = draw(st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=filled, max_size=filled))
        scores[row, :filled] = sorted(values, reverse=True)
    indices = st.lists(st.integers(0, 2**31 - 1), min_size=m, max_size=m)
    users, targets = (np.array(draw(indices), np.int32) for _ in range(2))
    model = draw(st.text(min_size=1, max_size=5).filter(_encodes))
    return Predictions(model, users, items, scores, targets, draw(st.booleans()))


def _encodes(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@given(made=predictions())
def test_save_and_load_give_the_same(made, tmp_path_factory):
    path = tmp_path_factory.mktemp("predictions") / "deep" / "model.parquet"
    made.save(path)
    assert same(Predictions.load(path), made)


def test_original_ids_are_columns_for_other_readers(tmp_path):
    path = tmp_path / "tiger.parquet"
    made = make()
    made.save(path, user_ids=pl.Series([f"u{i}" for i in range(8)]), item_ids=[10, 11, 12, 13, 14, 15])
    frame = pl.read_parquet(path)
    assert frame.get_column("user_id").to_list() == ["u4", "u7"]
    assert frame.get_column("target_id").to_list() == [11, 15]
    assert frame.get_column("item_ids").to_list() == [[13, 11], [12, 10, 11]]
    assert same(Predictions.load(path), made)


def test_an_index_without_an_original_id(tmp_path):
    path = tmp_path / "tiger.parquet"
    with pytest.raises(DataError) as caught:
        make().save(path, item_ids=["a", "b", "c"])
    assert str(caught.value) == (
        "item index 3 has no original id: expected `item_ids` to hold one id for each item of the dataset, "
        "got 3"
    )
    assert not path.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": ""}, "`model` of predictions must be a name, got ''"),
        ({"users": [1, 2]}, "`users` of predictions must be int32 (m,), got list"),
        ({"users": np.array([1, 2])}, "`users` of predictions must be int32 (m,), got int64 (2,)"),
        ({"targets": np.array([1], np.int32)}, "`targets` must be (2,), one per user, got (1,)"),
        (
            {"users": np.array([1], np.int32)},
            "`items` and `scores` must be (1, k) as there are 1 users, got (2, 3) and (2, 3)",
        ),
        (
            {"users": np.empty(0, np.int32), "items": np.empty((0, 3), np.int32)},
            "predictions need at least one user and one item, got (0, 3)",
        ),
        ({"users": np.array([-1, 2], np.int32)}, "row 0 of the predictions has a negative user index"),
        (
            {"targets": np.array([1, -1], np.int32)},
            "row 1 of the predictions has a negative target; leave out users without a next item",
        ),
        (
            {"items": ((3, 1, -2), (2, 0, 1))},
            "row 0 of the predictions has a negative item index other than the padding -1",
        ),
        (
            {"scores": ((0.5, math.nan, -INF), (0.0, -1.0, -2.0))},
            "row 0 of the predictions has a score that is NaN or +inf",
        ),
        (
            {"scores": ((0.5, 0.5, -9.0), (0.0, -1.0, -2.0))},
            "row 0 of the predictions has padding (item -1) without score -inf, or -inf at an item",
        ),
        (
            {"items": ((-1, 1, 2), (2, 0, 1)), "scores": ((-INF, 0.5, 0.0), (0.0, -1.0, -2.0))},
            "row 0 of the predictions has an item after the padding; padding must be at the end",
        ),
        (
            {"scores": ((0.5, 0.5, -INF), (0.0, -1.0, -0.5))},
            "row 1 of the predictions has a score that rises; items must be listed best first",
        ),
        ({"items": ((3, 1, -1), (2, 0, 2))}, "row 1 of the predictions has the same item twice"),
    ],
)
def test_a_broken_rule_is_named(changes, message):
    with pytest.raises(DataError) as caught:
        make(**changes)
    assert str(caught.value) == message


def test_several_places_of_padding_are_no_duplicates():
    assert len(make(items=((-1, -1, -1), (2, -1, -1)), scores=((-INF,) * 3, (1.0, -INF, -INF)))) == 2


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "tiger.parquet"
    make().save(path)
    return path


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no predictions at"):
        Predictions.load(tmp_path / "nothing.parquet")


def test_a_truncated_file(saved):
    whole = saved.read_bytes()
    for size in (0, 3, len(whole) // 2, len(whole) - 1):
        saved.write_bytes(whole[:size])
        with pytest.raises(FormatError, match="not a Parquet file of predictions, or a truncated one"):
            Predictions.load(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            pl.col("user").cast(pl.Int64),
            "expected the columns model, exclude_seen, user, target, items, scores",
        ),
        (
            pl.col("items").arr.to_list(),
            "expected the columns model, exclude_seen, user, target, items, scores",
        ),
        (pl.Series("model", ["a", "b"]), "expected the predictions of one model, got a, b"),
        (pl.Series("exclude_seen", [True, False]), "expected one value of `exclude_seen`, got both"),
        (
            pl.Series("target", [1, None], dtype=pl.Int32),
            "expected at least one row of predictions and no null values",
        ),
        (pl.Series("target", [1, -1], dtype=pl.Int32), "row 1 of the predictions has a negative target"),
        (
            pl.Series("items", [[3, None, -1], [2, 0, 1]], dtype=pl.Array(pl.Int32, 3)),
            "expected at least one row of predictions and no null values",
        ),
    ],
)
def test_a_file_that_was_changed(saved, change, message):
    pl.read_parquet(saved).with_columns(change).write_parquet(saved)
    with pytest.raises(FormatError) as caught:
        Predictions.load(saved)
    assert message in str(caught.value) and str(saved) in str(caught.value)


def test_a_foreign_or_empty_table(saved):
    pl.DataFrame({"user": [1]}).write_parquet(saved)
    with pytest.raises(FormatError, match="got user Int64"):
        Predictions.load(saved)
    make().save(saved)
    pl.read_parquet(saved).clear().write_parquet(saved)
    with pytest.raises(FormatError, match="expected at least one row of predictions and no null values"):
        Predictions.load(saved)


def test_a_failed_write_keeps_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()

    def full_disk(*_, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full_disk)
    with pytest.raises(OSError, match="No space left"):
        make().save(saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]
