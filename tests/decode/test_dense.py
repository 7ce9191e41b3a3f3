"""Full ranking: exact order, ties, exclusion, padding."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from sidkit.data import Sequences
from sidkit.decode import rank_by_sasrec, top_items
from sidkit.models import SASRec


@given(st.data(), st.integers(1, 8), st.integers(1, 5), st.integers(1, 10))
def test_equal_to_sorting(data, items, rows, k):
    table = st.lists(st.integers(-2, 2), min_size=items, max_size=items)
    scores = np.array(data.draw(st.lists(table, min_size=rows, max_size=rows)), np.float32)
    barred = [data.draw(st.sets(st.integers(0, items - 1))) for _ in range(rows)]
    best, values = top_items(torch.tensor(scores), k, Sequences.from_rows(barred))
    for row in range(rows):
        order = sorted(set(range(items)) - barred[row], key=lambda item: (-scores[row, item], item))[:k]
        padding = k - len(order)
        assert best[row].tolist() == order + [-1] * padding
        assert values[row].tolist() == [scores[row, item] for item in order] + [-np.inf] * padding


def test_sasrec_in_batches_equals_sasrec_one_by_one():
    torch.manual_seed(0)
    model = SASRec(30, d_model=16, layers=1, heads=1, max_items=6).eval()
    random = np.random.default_rng(0)
    rows = [random.integers(0, 30, length).tolist() for length in (3, 0, 9, 1, 6, 2)]
    items, scores = rank_by_sasrec(model, Sequences.from_rows(rows), 5, batch_size=4)
    for row, history in enumerate(rows):
        alone, alone_scores = rank_by_sasrec(model, Sequences.from_rows([history]), 5)
        assert items[row].tolist() == alone[0].tolist()
        np.testing.assert_allclose(scores[row], alone_scores[0], rtol=1e-5)


def test_sasrec_leaves_out_what_is_excluded():
    torch.manual_seed(0)
    model = SASRec(8, d_model=8, layers=1, heads=1).eval()
    histories = Sequences.from_rows([[1, 2], [3]])
    items, scores = rank_by_sasrec(model, histories, 8, exclude=histories)
    assert sorted(items[0, :6]) == [0, 3, 4, 5, 6, 7]
    assert items[0, 6:].tolist() == [-1, -1]
    assert np.all(scores[0, 6:] == -np.inf)
    assert 3 not in items[1]
