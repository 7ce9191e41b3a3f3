"""The loss of SASRec and GRU4Rec: a step holds so many scores at once, and no more."""

import pytest
import torch

from sidkit.models import GRU4RecNetwork, SASRecNetwork, next_item

ITEMS = 20


def losses(model, monkeypatch, at_once):
    """The loss of a batch with padding, its gradients, and how many positions were scored at a time."""
    monkeypatch.setattr(next_item, "_SCORES", at_once * ITEMS)
    counts, scores = [], model.scores
    monkeypatch.setattr(model, "scores", lambda h: counts.append(len(h)) or scores(h))
    events = torch.randint(0, ITEMS, (3, 6), generator=torch.Generator().manual_seed(0))
    history, target = events[:, :-1].clone(), events[:, 1:].clone()
    history[1, 3:] = target[1, 3:] = ITEMS
    model.zero_grad()
    loss = model(history, target)
    loss.backward()
    monkeypatch.setattr(model, "scores", scores)
    return loss.detach(), [tensor.grad.clone() for tensor in model.parameters()], counts


@pytest.mark.parametrize("kind", [SASRecNetwork, GRU4RecNetwork])
def test_the_loss_in_parts_is_the_loss(kind, monkeypatch):
    torch.manual_seed(0)
    model = kind(ITEMS, d_model=8, layers=1, dropout=0.0, max_items=6)
    whole, gradients, counts = losses(model, monkeypatch, 13)
    assert counts == [13]  # all real positions
    parts, others, counts = losses(model, monkeypatch, 5)
    assert counts[:3] == [5, 5, 3] and max(counts) == 5
    torch.testing.assert_close(parts, whole)
    for one, other in zip(gradients, others, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_a_huge_catalogue_takes_one_position_at_a_time(monkeypatch):
    torch.manual_seed(0)
    model = SASRecNetwork(ITEMS, d_model=8, layers=1, dropout=0.0, max_items=6)
    whole, *_ = losses(model, monkeypatch, 13)
    monkeypatch.setattr(next_item, "_SCORES", 1)
    one_by_one, _, counts = losses(model, monkeypatch, 0)
    assert set(counts) == {1}
    torch.testing.assert_close(one_by_one, whole)
