"""Scoring of the whole catalogue: batches, exclusion, padding."""

import numpy as np
import pytest
import torch

from sidkit.data import Sequences
from sidkit.decode import RankOptions, rank_by_scores
from sidkit.decode.dense import score_items
from sidkit.models import RQTransformerNetwork, SASRecNetwork

ITEMS = 30
TOKENS = np.stack(np.unravel_index(np.arange(ITEMS), (5, 6)), axis=1).astype(np.uint16)
ROWS = [np.random.default_rng(length).integers(0, ITEMS, length).tolist() for length in (3, 0, 9, 1, 6, 2)]


@pytest.fixture(params=["sasrec", "rqtransformer"])
def model(request):
    torch.manual_seed(0)
    settings = {"d_model": 16, "layers": 1, "heads": 1, "max_items": 6}
    if request.param == "sasrec":
        return SASRecNetwork(ITEMS, **settings).eval()
    return RQTransformerNetwork.for_items((5, 6), TOKENS, **settings).eval()


def test_batches_equal_histories_one_by_one(model):
    items, scores = rank_by_scores(model, Sequences.from_rows(ROWS), 5, options=RankOptions(batch_size=4))
    for row, history in enumerate(ROWS):
        alone, alone_scores = rank_by_scores(model, Sequences.from_rows([history]), 5)
        assert items[row].tolist() == alone[0].tolist()
        np.testing.assert_allclose(scores[row], alone_scores[0], rtol=1e-5)


def test_scores_are_in_the_order_of_items_and_rank_them(model):
    histories = Sequences.from_rows(ROWS)
    scores = score_items(model, histories)
    assert scores.shape == (len(ROWS), ITEMS) and scores.dtype == np.float32
    items, best = rank_by_scores(model, histories, ITEMS)
    np.testing.assert_allclose(best, np.take_along_axis(scores, items, 1), rtol=1e-5, atol=1e-6)
    assert (np.sort(items) == np.arange(ITEMS)).all() and (np.diff(best) <= 0).all()
    # Only the last six items of a history are encoded.
    np.testing.assert_array_equal(scores, score_items(model, histories.tail(6)))


def test_excluded_items_are_left_out(model):
    histories = Sequences.from_rows([[1, 2], [3]])
    items, scores = rank_by_scores(model, histories, ITEMS, options=RankOptions(exclude=histories))
    assert sorted(items[0, : ITEMS - 2]) == [0, *range(3, ITEMS)]
    assert items[0, ITEMS - 2 :].tolist() == [-1, -1]
    assert np.all(scores[0, ITEMS - 2 :] == -np.inf)
    assert 3 not in items[1]
