"""Characters of glob patterns in paths stand for themselves."""

import ast
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import sidkit
from sidkit.embed import load_vectors
from sidkit.ids import SidTable

PACKAGE = Path(sidkit.__file__).parent
READERS = ("read_parquet", "read_csv", "read_ndjson", "scan_parquet", "scan_csv", "scan_ndjson", "read_ipc")


def write_dataset(folder, suffix, first):
    folder.mkdir()
    items = pl.DataFrame({"item_id": [first, first + 1], "title": ["a", "b"]})
    interactions = pl.DataFrame({"user_id": [1, 1], "item_id": [first, first + 1], "timestamp": [1, 2]})
    for name, frame in (("items", items), ("interactions", interactions)):
        path = folder / f"{name}.{suffix}"
        frame.write_csv(path) if suffix == "csv" else frame.write_parquet(path)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(("pattern", "other"), [("sales[1]", "sales1"), ("all*", "all2"), ("a?", "ab")])
def test_a_dataset_is_read_from_the_directory_given(pattern, other, suffix, tmp_path):
    write_dataset(tmp_path / pattern, suffix, 10)
    write_dataset(tmp_path / other, suffix, 20)
    assert list(sidkit.load_dataset(tmp_path / pattern).item_ids) == [10, 11]


def test_a_table_of_semantic_ids_is_read_from_the_file_given(tmp_path):
    for name, ids in (("run[a]", [1, 2]), ("runa", [3, 4])):
        table = SidTable.from_codes(np.array([[0, 1], [1, 0]], np.uint16), np.array(ids), [2, 2])
        (tmp_path / name).mkdir()
        table.save(tmp_path / name / "sids.parquet")
    assert list(SidTable.load(tmp_path / "run[a]" / "sids.parquet").item_ids) == [1, 2]


def test_vectors_are_read_from_the_file_given(tmp_path):
    for name, value in (("v[1].parquet", 1.0), ("v1.parquet", 2.0)):
        pl.DataFrame({"item_id": [7], "vector": [[value, 0.0]]}).write_parquet(tmp_path / name)
    assert load_vectors(tmp_path / "v[1].parquet", pl.Series("item_id", [7]))[0, 0] == 1.0


def test_tables_are_read_in_one_module():
    """Elsewhere, a path given to polars would be taken for a pattern; a file in memory is none."""
    against = []
    for path in PACKAGE.rglob("*.py"):
        if path.name == "_tables.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "pl"
                and node.func.attr in READERS
                and not ast.unparse(node.args[0]).startswith("io.BytesIO")
            ):
                against.append(f"{path.relative_to(PACKAGE)}:{node.lineno} calls pl.{node.func.attr}")
    assert not against
