"""Jobs: the parts that they write, resumption, and refusals."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.scale.conftest import ROWS
from tests.scale.reading import digests, parts, read

from sidkit.data.parquet.fragments import divide
from sidkit.errors import ConfigError, DataError, RunDirectoryError
from sidkit.scale import TokenizeBatch, map_parquet
from sidkit.scale.job import PartWriter
from sidkit.tokenizers import load_tokenizer

pytestmark = pytest.mark.usefixtures("small_parts")


@pytest.fixture
def tokenize(catalogue):
    return TokenizeBatch(catalogue[0] / "tokenizer.safetensors")


def test_fragments_cover_every_row_once(catalogue):
    place, _ = catalogue
    for rows in (1, 300, 400, 10**6):
        fragments = divide(str(place / "vectors"), rows)
        assert sum(each.rows for each in fragments) == ROWS
        starts = np.cumsum([0, *(each.rows for each in fragments)])[:-1]
        assert [each.start for each in fragments] == starts.tolist()
        assert [each.number for each in fragments] == list(range(len(fragments)))


@pytest.mark.parametrize(
    ("rows", "expected"), [(1, [10] * 8), (14, [10] * 8), (21, [20] * 4), (26, [30, 30, 20]), (900, [80])]
)
def test_fragments_have_about_the_requested_rows(tmp_path, rows, expected):
    pq.write_table(pa.table({"a": range(80)}), tmp_path / "a.parquet", row_group_size=10)
    assert [each.rows for each in divide(str(tmp_path), rows)] == expected


def test_results_are_in_the_order_of_the_source(catalogue, tokenize, tmp_path):
    place, x = catalogue
    seen = []
    job = map_parquet(
        tokenize, place / "vectors", tmp_path / "out", progress=lambda done, total: seen.append((done, total))
    )
    table = read(tmp_path / "out")
    assert table["item_id"].to_pylist() == [f"i{row}" for row in range(ROWS)]
    codes = load_tokenizer(place / "tokenizer.safetensors").encode(x)
    assert table["codes"].to_pylist() == codes.tolist()
    assert job.rows == ROWS and job.written == job.parts == len(parts(tmp_path / "out")) > 3
    assert seen == [(done, job.parts) for done in range(job.parts + 1)]


def test_batches_do_not_change_codes(catalogue, tokenize, tmp_path):
    place, _ = catalogue
    for size in (1000, 7):
        map_parquet(tokenize, place / "vectors", tmp_path / str(size), batch_size=size)
    assert read(tmp_path / "1000").equals(read(tmp_path / "7"))


def test_an_interrupted_job_writes_the_missing_parts(catalogue, tokenize, tmp_path, monkeypatch):
    place, _ = catalogue
    map_parquet(tokenize, place / "vectors", tmp_path / "whole")
    calls = []
    once = PartWriter.__call__

    def interrupted(self, fragment):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(fragment.number)
        return once(self, fragment)

    monkeypatch.setattr(PartWriter, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        map_parquet(tokenize, place / "vectors", tmp_path / "out")
    assert not (tmp_path / "out/_SUCCESS").exists()
    monkeypatch.undo()
    kept = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in parts(tmp_path / "out")}
    monkeypatch.setattr("sidkit.scale.job.PART_ROWS", 400)
    job = map_parquet(tokenize, place / "vectors", tmp_path / "out")
    assert job.written == job.parts - 2 and len(kept) == 2
    assert all((tmp_path / "out" / name).stat().st_mtime_ns == time for name, time in kept.items())
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_a_finished_job_is_not_repeated(catalogue, tokenize, tmp_path):
    place, _ = catalogue
    map_parquet(tokenize, place / "vectors", tmp_path / "out")
    assert map_parquet(tokenize, place / "vectors", tmp_path / "out").written == 0


def test_another_job_is_refused(catalogue, tokenize, tmp_path):
    place, _ = catalogue
    map_parquet(tokenize, place / "vectors", tmp_path / "out")
    with pytest.raises(RunDirectoryError, match="got another batch_size"):
        map_parquet(tokenize, place / "vectors", tmp_path / "out", batch_size=5)
    with pytest.raises(RunDirectoryError, match="got another parts"):
        map_parquet(tokenize, place / "vectors/0.parquet", tmp_path / "out")


def test_foreign_files_are_not_mixed_with_results(catalogue, tokenize, tmp_path):
    place, _ = catalogue
    pq.write_table(pa.table({"a": [1]}), tmp_path / "mine.parquet")
    with pytest.raises(RunDirectoryError, match="is not empty"):
        map_parquet(tokenize, place / "vectors", tmp_path)


def test_a_bad_row_is_located_and_nothing_partial_is_left(catalogue, tokenize, tmp_path):
    _, x = catalogue
    bad = x[:900].copy()
    bad[700, 3] = np.nan
    vectors = pa.array(list(bad), pa.list_(pa.float32()))
    pq.write_table(
        pa.table({"item_id": range(900), "vector": vectors}), tmp_path / "v.parquet", row_group_size=300
    )
    with pytest.raises(DataError, match=r"batch of the rows 600 to 899: vectors are not finite.* row 100"):
        map_parquet(tokenize, tmp_path / "v.parquet", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "_job.json",
        "part-000000.parquet",
        "part-000001.parquet",
    }


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated"])
def test_a_source_that_is_no_parquet_is_an_error(catalogue, tokenize, tmp_path, damage):
    place, _ = catalogue
    source = tmp_path / "source.parquet"
    if damage == "empty":
        source.mkdir()
    elif damage != "missing":
        whole = (place / "vectors/0.parquet").read_bytes()
        source.write_bytes(b"text" if damage == "text" else whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"has no data|cannot be read"):
        map_parquet(tokenize, source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_with_other_columns_are_refused(catalogue, tokenize, tmp_path):
    place, _ = catalogue
    table = pq.read_table(place / "vectors/0.parquet")
    pq.write_table(table, tmp_path / "a.parquet")
    pq.write_table(table.rename_columns(["id", "vector"]), tmp_path / "b.parquet")
    with pytest.raises(DataError, match="different columns"):
        map_parquet(tokenize, tmp_path, tmp_path / "out")


def test_settings_are_checked(catalogue, tokenize, tmp_path):
    place, _ = catalogue
    with pytest.raises(ConfigError, match="`batch_size` is invalid"):
        map_parquet(tokenize, place / "vectors", tmp_path / "out", batch_size=0)
    with pytest.raises(ConfigError, match="there is no engine `rya`"):
        map_parquet(tokenize, place / "vectors", tmp_path / "out", engine="rya")
