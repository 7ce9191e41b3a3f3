"""SASRec: causality, padding without effect, and the loss against a plain formula."""

import pytest
import torch

from sidkit.models import SASRec


def small(**changes) -> SASRec:
    torch.manual_seed(0)
    settings = {"d_model": 16, "layers": 2, "heads": 2, "max_items": 8}
    return SASRec(20, **(settings | changes)).eval()


def test_the_future_never_reaches_the_past():
    model = small()
    history = torch.randint(0, 20, (3, 6))
    changed = history.clone()
    changed[:, 4:] = (changed[:, 4:] + 1) % 20
    torch.testing.assert_close(model.hidden(history)[:, :4], model.hidden(changed)[:, :4])


def test_padding_on_the_right_changes_nothing():
    model = small()
    history, target = torch.randint(0, 20, (3, 5)), torch.randint(0, 20, (3, 5))
    padding = torch.full((3, 2), 20)
    padded = torch.cat([history, padding], 1), torch.cat([target, padding], 1)
    torch.testing.assert_close(model(history, target), model(*padded))


def test_the_loss_is_the_mean_negative_log_softmax():
    model = small()
    history, target = torch.randint(0, 20, (2, 4)), torch.randint(0, 20, (2, 4))
    hidden = model.hidden(history).double()
    scores = hidden @ model.item.weight[:20].double().T
    losses = scores.logsumexp(-1) - scores.gather(2, target[..., None])[..., 0]
    torch.testing.assert_close(model(history, target).double(), losses.mean(), rtol=1e-5, atol=1e-5)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match=r"`heads` must divide `d_model`, but 16 % 3 = 1"):
        small(heads=3)
