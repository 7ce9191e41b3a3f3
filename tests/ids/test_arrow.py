import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sidkit import SidLayout
from sidkit.errors import DataError, FormatError
from sidkit.ids.arrow import read_sid_column, with_sid_column

LAYOUT = SidLayout([4, 300])
CODES = np.array([[1, 299], [3, 0], [0, 7]], np.uint16)
TABLE = pa.table({"item": ["a", "b", "c"]})


def test_a_column_says_what_it_means_even_after_parquet(tmp_path):
    table = with_sid_column(TABLE, CODES, LAYOUT, fingerprint="0f3a")
    pq.write_table(table, tmp_path / "items.parquet")
    for each in (table, pq.read_table(tmp_path / "items.parquet"), table.slice(0, 3)):
        codes, layout, fingerprint = read_sid_column(each)
        np.testing.assert_array_equal(codes, CODES)
        assert (layout, fingerprint) == (LAYOUT, "0f3a")
    np.testing.assert_array_equal(read_sid_column(table.slice(1, 1))[0], CODES[1:2])


def test_a_column_of_the_same_name_is_replaced():
    table = with_sid_column(with_sid_column(TABLE, CODES, LAYOUT), CODES[::-1].copy(), LAYOUT)
    assert table.column_names == ["item", "sid"]
    np.testing.assert_array_equal(read_sid_column(table)[0], CODES[::-1])


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataError, match="expected 3, one per row, got 2"):
        with_sid_column(TABLE, CODES[:2], LAYOUT)
    with pytest.raises(
        ValueError, match="row 0, level 1: the token is out of range: expected less than 4, got 299"
    ):
        with_sid_column(TABLE, CODES, SidLayout([4, 4]))
    with pytest.raises(DataError, match="there is no column `sid`: expected one of item"):
        read_sid_column(TABLE)
    with pytest.raises(FormatError, match="the metadata of column `item` does not describe Semantic IDs"):
        read_sid_column(TABLE, "item")


def test_a_column_that_contradicts_its_layout_is_refused():
    good = with_sid_column(TABLE, CODES, LAYOUT)
    field = good.schema.field("sid")
    for tokens, message in [
        ([[4, 0]] * 3, "does not fit its layout"),
        ([[1, 2], None, [0, 0]], "2 tokens in every row"),
    ]:
        column = pa.array(tokens, field.type)
        wrong = good.set_column(1, pa.field("sid", field.type, metadata=field.metadata), column)
        with pytest.raises(FormatError, match=message):
            read_sid_column(wrong)
