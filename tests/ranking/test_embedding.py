"""Torch layer over n-gram rows."""

import numpy as np
import polars as pl
import pytest
import torch

from sidkit import SidLayout, ngram_rows
from sidkit.errors import ConfigError, DataError
from sidkit.ranking import SidEmbedding, id_rows, jagged_rows

LAYOUT = SidLayout([8, 8, 8])
CODES = np.random.default_rng(0).integers(0, 8, (20, 3)).astype(np.uint16)
PACKED = LAYOUT.pack(CODES)


def test_an_item_is_the_sum_of_its_rows_in_each_table():
    layer = SidEmbedding(LAYOUT, 4, kinds=["unigram", "prefix"], num_embeddings=100, seed=3)
    got = layer(layer.rows(PACKED))
    expected = torch.zeros(20, 4)
    for table, kind in zip(layer.tables, ["unigram", "prefix"], strict=True):
        rows = ngram_rows(PACKED, LAYOUT, kind=kind, num_embeddings=100, seed=3)
        expected += table.weight[torch.from_numpy(rows)].sum(dim=1)
    torch.testing.assert_close(got, expected)


def test_items_that_share_a_prefix_share_what_is_learned():
    layer = SidEmbedding(LAYOUT, 4, kinds="prefix", num_embeddings=1000)
    codes = np.array([[1, 2, 3], [1, 2, 7], [5, 2, 3]], np.uint16)
    rows = layer.rows(LAYOUT.pack(codes))
    before = layer(rows).detach().clone()
    layer(rows[:1]).sum().backward()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter -= parameter.grad
    moved = (layer(rows) - before).norm(dim=1)
    assert moved[0] > moved[1] > 0
    assert moved[2] == 0


@pytest.mark.parametrize("shape", [(), (7,), (3, 5), (2, 3, 4), (0, 4)])
def test_rows_of_any_shape_are_embedded_like_single_items(shape):
    layer = SidEmbedding(LAYOUT, 4, kinds=["unigram", "prefix"], num_embeddings=100)
    rows = layer.rows(PACKED)  # (20, 6)
    items = torch.randint(0, 20, shape, generator=torch.Generator().manual_seed(0))
    got = layer(rows[items])
    assert got.shape == (*shape, 4)
    torch.testing.assert_close(got, layer(rows)[items])


def test_rows_without_the_n_grams_last_are_refused():
    layer = SidEmbedding(LAYOUT, 4, kinds="prefix", num_embeddings=100)
    with pytest.raises(ValueError, match=r"`rows` must be \(\.\.\., 3\), one row per n-gram, got \(20, 2\)"):
        layer(torch.zeros(20, 2, dtype=torch.int64))


@pytest.mark.parametrize("sparse", [False, True])
def test_gradients_are_sparse_on_request(sparse):
    layer = SidEmbedding(LAYOUT, 4, num_embeddings=100, sparse=sparse)
    layer(layer.rows(PACKED)).sum().backward()
    assert all(parameter.grad.is_sparse is sparse for parameter in layer.parameters())


def test_invalid_settings_are_refused():
    with pytest.raises(ConfigError, match="`kinds` is invalid: expected at least one kind"):
        SidEmbedding(LAYOUT, 4, kinds=[], num_embeddings=10)
    with pytest.raises(ValueError, match=r"the kind of n-gram is unknown: .* got `many`"):
        SidEmbedding(LAYOUT, 4, kinds="many", num_embeddings=10)


def test_ids_are_hashed_evenly_and_always_alike():
    numbers = id_rows(pl.Series([-1, 0, 1, 2**62]), num_embeddings=10**6)
    texts = id_rows(pl.Series(["a", "b", "å"]), num_embeddings=10**6)
    assert numbers.ravel().tolist() == GOLDEN_NUMBERS
    assert texts.ravel().tolist() == GOLDEN_TEXTS
    many = id_rows(pl.Series(range(100_000)), num_embeddings=1000).ravel()
    counts = np.bincount(many, minlength=1000)
    # Chi-square of 999 degrees of freedom, within five deviations.
    assert abs(((counts - 100) ** 2 / 100).sum() - 999) < 5 * (2 * 999) ** 0.5
    with pytest.raises(DataError, match="integers or strings"):
        id_rows(pl.Series([0.5]), num_embeddings=10)


GOLDEN_NUMBERS = [48740, 970912, 900752, 819729]
GOLDEN_TEXTS = [245514, 284493, 955672]


def test_jagged_lists_of_items_become_jagged_lists_of_rows():
    rows = ngram_rows(PACKED[:5], LAYOUT, kind="bigram", num_embeddings=50)
    values, offsets = jagged_rows(rows, np.array([0, 2, 2, 5]))
    assert offsets.tolist() == [0, 4, 4, 10]
    assert values[:4].tolist() == rows[:2].ravel().tolist()
    assert np.shares_memory(values, rows)
    for wrong in ([], [1, 5], [0, 4], [0, 6, 5]):
        with pytest.raises(DataError, match="offsets must increase from 0 to 5"):
            jagged_rows(rows, np.array(wrong, np.int64))
