"""SASRec over the whole catalogue: batches, exclusion, padding."""

import numpy as np
import torch

from sidkit.data import Sequences
from sidkit.decode import RankOptions, rank_by_scores
from sidkit.models import SASRecNetwork


def test_sasrec_in_batches_equals_sasrec_one_by_one():
    torch.manual_seed(0)
    model = SASRecNetwork(30, d_model=16, layers=1, heads=1, max_items=6).eval()
    random = np.random.default_rng(0)
    rows = [random.integers(0, 30, length).tolist() for length in (3, 0, 9, 1, 6, 2)]
    items, scores = rank_by_scores(model, Sequences.from_rows(rows), 5, options=RankOptions(batch_size=4))
    for row, history in enumerate(rows):
        alone, alone_scores = rank_by_scores(model, Sequences.from_rows([history]), 5)
        assert items[row].tolist() == alone[0].tolist()
        np.testing.assert_allclose(scores[row], alone_scores[0], rtol=1e-5)


def test_sasrec_leaves_out_what_is_excluded():
    torch.manual_seed(0)
    model = SASRecNetwork(8, d_model=8, layers=1, heads=1).eval()
    histories = Sequences.from_rows([[1, 2], [3]])
    items, scores = rank_by_scores(model, histories, 8, options=RankOptions(exclude=histories))
    assert sorted(items[0, :6]) == [0, 3, 4, 5, 6, 7]
    assert items[0, 6:].tolist() == [-1, -1]
    assert np.all(scores[0, 6:] == -np.inf)
    assert 3 not in items[1]
