"""Vectors of items, from tables and from texts."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from sidkit.embed import embed_items, embed_texts
from sidkit.errors import ConfigError, DataError

ITEMS = pl.DataFrame({"item_id": [1, 2, 3], "title": ["ab", "cd", "ab"], "brand": ["x", None, "y"]})


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SIDKIT_CACHE", str(tmp_path))
    return tmp_path / "vectors"


def test_tables_of_any_library_and_texts(tiny_model, cache):
    expected = embed_texts(["ab. x", "cd", "ab. y"], model=tiny_model)
    for items in (ITEMS, pa.table(ITEMS), ITEMS.to_dict(as_series=False), ["ab. x", "cd", "ab. y"]):
        found = embed_items(items, model=tiny_model)
        assert (found.dtype, found.shape) == (np.float32, (3, 16))
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_template(tiny_model, cache):
    found = embed_items(ITEMS, model=tiny_model, template="{title}")
    np.testing.assert_array_equal(found[0], found[2])
    with pytest.raises(ConfigError, match="`template` needs a table of items: expected a DataFrame"):
        embed_items(["ab"], model=tiny_model, template="{title}")


def test_max_tokens_truncates(tiny_model, cache):
    long, cut = (embed_items(["abcdef", "abxyz"], model=tiny_model, max_tokens=n) for n in (None, 4))
    assert not np.allclose(long[0], long[1])
    np.testing.assert_allclose(cut[0], cut[1], atol=1e-6)


def test_the_cache_is_kept_by_default(tiny_model, cache, tmp_path):
    embed_items(["ab"], model=tiny_model, cache=False)
    assert not cache.exists()
    embed_items(["ab"], model=tiny_model, cache=tmp_path / "other")
    assert not cache.exists() and list((tmp_path / "other").iterdir())
    embed_items(["ab"], model=tiny_model)
    assert len(list(cache.glob("*/*.safetensors"))) == 1


def test_progress_counts_distinct_texts(tiny_model, cache):
    calls = []
    embed_items(
        ["ab", "cd", "ab"], model=tiny_model, progress=lambda done, total: calls.append((done, total))
    )
    assert calls[-1] == (2, 2)


@pytest.mark.parametrize("items", [[], 5, "a text", [1, 2], None])
def test_what_is_no_table_of_items(tiny_model, cache, items):
    with pytest.raises(DataError, match=r"no texts to embed|`items` is not a table"):
        embed_items(items, model=tiny_model)
