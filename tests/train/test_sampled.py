"""The sampled softmax: exact when the sample is the catalogue, unbiased in its sum when it is not."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sidkit.errors import ConfigError
from sidkit.train import SampledSoftmax

ITEMS = 12
COUNTS = np.array([40, 0, 3, 3, 9, 1, 0, 0, 25, 2, 2, 5])


def vectors(positions=7):
    torch.manual_seed(1)
    return torch.randn(positions, 6), torch.randint(0, ITEMS, (positions,)), torch.randn(ITEMS, 6)


@pytest.mark.parametrize("counts", [None, COUNTS])
@pytest.mark.parametrize("negatives", [ITEMS, 1000])
def test_with_all_items_it_is_the_full_softmax(counts, negatives):
    hidden, target, items = (part.requires_grad_(part.is_floating_point()) for part in vectors())
    sampled = SampledSoftmax(ITEMS, negatives, counts)(hidden, target, items)
    full = F.cross_entropy(hidden @ items.T, target)
    torch.testing.assert_close(sampled, full)
    for ours, theirs in zip(
        torch.autograd.grad(sampled, [hidden, items]), torch.autograd.grad(full, [hidden, items]), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("counts", [None, COUNTS])
def test_every_item_is_drawn_as_often_as_is_said(counts):
    softmax, seen, said = SampledSoftmax(ITEMS, 4, counts), np.zeros(ITEMS), np.zeros(ITEMS)
    torch.manual_seed(0)
    for _ in range(4000):
        chosen, log_chance = softmax.sample()
        assert len(set(chosen.tolist())) == len(chosen) <= 4
        seen[chosen] += 1
        said[chosen] = log_chance.exp()
    np.testing.assert_allclose(seen / 4000, said, atol=0.035)
    assert (said > 0).all()


@pytest.mark.parametrize("counts", [None, COUNTS])
def test_the_sum_of_the_denominator_is_right_on_average(counts):
    hidden, target, items = vectors(1)
    hidden *= 0.5
    softmax = SampledSoftmax(ITEMS, 5, counts)
    torch.manual_seed(0)
    own = float(hidden[0] @ items[target[0]])
    sums = [np.exp(float(softmax(hidden, target, items)) + own) for _ in range(4000)]
    assert np.mean(sums) == pytest.approx(float((hidden @ items.T).exp().sum()), rel=0.05)
    assert np.std(sums) > 0


def test_what_it_refuses():
    with pytest.raises(ConfigError, match="`negatives` must be 1 or more, got 0"):
        SampledSoftmax(5, 0)
    with pytest.raises(ConfigError, match=r"for each of 5 items, got \(4,\)"):
        SampledSoftmax(5, 2, np.zeros(4, np.int64))
