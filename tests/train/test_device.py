"""Where a training happens: what is asked for, and that models keep to the device they are on."""

import pytest
import torch

from sidkit.errors import ConfigError
from sidkit.models import DecoderOnlyNetwork, SASRecNetwork, TIGERNetwork
from sidkit.train import TrainSettings, resolve_device


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match="`device` is `cuda`, but torch finds no such device here"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == resolve_device("cuda") == torch.device("cuda")
    assert resolve_device("cpu") == torch.device("cpu")


def test_a_device_that_nobody_knows_is_refused():
    with pytest.raises(ConfigError, match="`device` is invalid: expected one of auto, cpu, cuda, got 'tpu'"):
        TrainSettings(device="tpu")


def test_reading_items_stays_on_the_device():
    """Tensors of the device `meta` do not mix with those of the CPU."""
    model = SASRecNetwork(9, d_model=8).to("meta")
    hidden = model.hidden(torch.zeros(2, 3, dtype=torch.int64, device="meta"))
    assert model.scores(hidden).device.type == "meta"


@pytest.mark.parametrize("kind", [TIGERNetwork, DecoderOnlyNetwork])
def test_writing_tokens_stays_on_the_device(kind):
    model = kind((4, 3), d_model=8, heads=2).eval().to("meta")
    state = model.start(torch.zeros(2, 3, 2, dtype=torch.int64, device="meta"))
    first = model.next_log_probs(state, None, None)
    rows = torch.zeros(4, dtype=torch.int64, device="meta")
    second = model.next_log_probs(state, rows, rows)
    assert (first.device.type, second.device.type) == ("meta", "meta")
    assert (first.shape, second.shape) == ((2, 4), (4, 3))
