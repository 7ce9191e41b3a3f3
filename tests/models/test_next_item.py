"""Models that score items by one vector each: causality, padding, the loss by a plain formula."""

import pytest
import torch

from sidkit.models import GRU4RecNetwork, SASRecNetwork


@pytest.fixture(params=[SASRecNetwork, GRU4RecNetwork])
def model(request):
    torch.manual_seed(0)
    return request.param(20, d_model=16, layers=2, max_items=8).eval()


def test_the_future_never_reaches_the_past(model):
    history = torch.randint(0, 20, (3, 6))
    changed = history.clone()
    changed[:, 4:] = (changed[:, 4:] + 1) % 20
    torch.testing.assert_close(model.hidden(history)[:, :4], model.hidden(changed)[:, :4])


def test_padding_on_the_right_changes_nothing(model):
    history, target = torch.randint(0, 20, (3, 5)), torch.randint(0, 20, (3, 5))
    padding = torch.full((3, 2), 20)
    padded = torch.cat([history, padding], 1), torch.cat([target, padding], 1)
    torch.testing.assert_close(model(history, target), model(*padded))


def test_the_loss_is_the_mean_negative_log_softmax(model):
    history, target = torch.randint(0, 20, (2, 4)), torch.randint(0, 20, (2, 4))
    hidden = model.hidden(history).double()
    scores = hidden @ model.item.weight[:20].double().T
    losses = scores.logsumexp(-1) - scores.gather(2, target[..., None])[..., 0]
    torch.testing.assert_close(model(history, target).double(), losses.mean(), rtol=1e-5, atol=1e-5)


def test_padding_has_a_vector_of_zeros(model):
    assert not model.item.weight[20].any() and model.item.weight[:20].any(dim=1).all()
