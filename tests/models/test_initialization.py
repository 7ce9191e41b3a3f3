"""Untrained models: the last item of a history must stand out from the first step on."""

from functools import partial

import pytest
import torch

from sidkit.models import BSARecNetwork, SASRecNetwork


def _median_rank_of_the_last_item(model, items=500):
    history = torch.randint(0, items, (200, 10))
    with torch.inference_mode():
        scores = model.eval().scores(model.hidden(history)[:, -1])
    own = scores.gather(1, history[:, -1:])
    return (scores > own).sum(1).median().item()


@pytest.mark.parametrize("make", [partial(SASRecNetwork, scale_embeddings=True), BSARecNetwork])
def test_an_untrained_model_ranks_the_last_item_first(make):
    torch.manual_seed(0)
    assert _median_rank_of_the_last_item(make(500, d_model=128)) == 0


def test_without_scaled_embeddings_the_last_item_is_lost():
    torch.manual_seed(0)
    assert _median_rank_of_the_last_item(SASRecNetwork(500, d_model=128)) > 10


def test_attention_dropout_is_drawn_in_training_only():
    torch.manual_seed(0)
    model = SASRecNetwork(20, d_model=16, dropout=0.0, attention_dropout=0.5)
    history = torch.randint(0, 20, (3, 6))
    assert not torch.equal(model.hidden(history), model.hidden(history))
    model.eval()
    assert torch.equal(model.hidden(history), model.hidden(history))
