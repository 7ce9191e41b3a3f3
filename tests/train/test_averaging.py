"""The running mean of weights: what it holds, and that the model's own weights come back."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.train.test_loop import SETTINGS, train
from torch import nn

from sidkit.train.optimizer import WeightAverage


def steps_of(values, span):
    """The mean after a one-weight model took these values, one a step."""
    model = nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, span)
    for step, value in enumerate(values, 1):
        nn.init.constant_(model.weight, value)
        average.update(step)
    return average


@pytest.mark.parametrize("span", [1, 2, 7, 50])
def test_it_is_the_exponential_mean_it_says(span):
    values = np.random.default_rng(span).normal(size=40)
    expected = None
    for step, value in enumerate(values, 1):
        share = max(1 / span, min(1, 3 / (step + 2)))
        expected = value if expected is None else expected + share * (value - expected)
    assert steps_of(values, span).tensors["weight"].item() == pytest.approx(expected, rel=1e-5)


def test_it_is_nearer_to_the_centre_than_the_last_weights():
    values = 3 + np.random.default_rng(0).normal(size=2000)
    assert abs(steps_of(values, 400).tensors["weight"].item() - 3) < 0.2


def test_the_models_own_weights_come_back_even_after_an_error():
    average = steps_of([1.0, 2.0, 4.0, 8.0], 10)
    model = average.model
    with pytest.raises(KeyboardInterrupt), average.applied():
        assert model.weight.item() == average.tensors["weight"].item() < 8
        raise KeyboardInterrupt
    assert model.weight.item() == 8.0


def test_the_means_are_what_is_evaluated_and_kept():
    seen = []
    settings = dataclasses.replace(SETTINGS, weight_averaging=0.5)
    averaged, _ = train(None, settings, select=lambda network: seen.append(network.item.weight.clone()))
    plain, _ = train()
    assert torch.equal(seen[0], averaged.item.weight)
    assert not torch.equal(averaged.item.weight, plain.item.weight)
