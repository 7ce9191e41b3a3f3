"""Networks on disk: the same weights after loading, clear errors for other files."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sidkit.errors import FormatError
from sidkit.models import (
    ActionPieceNetwork,
    DecoderOnlyNetwork,
    GRU4RecNetwork,
    RQTransformerNetwork,
    SASRecNetwork,
    TIGERNetwork,
    load_network,
    save_network,
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.safetensors"
    save_network(SASRecNetwork(9, d_model=8, layers=1, heads=1), path)
    return path


@pytest.mark.parametrize(
    "network",
    [
        SASRecNetwork(9, d_model=8, layers=1, heads=1),
        GRU4RecNetwork(9, d_model=8),
        TIGERNetwork((4, 3), d_model=8, d_ff=8, heads=1, d_head=4),
        DecoderOnlyNetwork((4, 3), d_model=8, layers=1, heads=1),
    ],
    ids=lambda network: type(network).__name__,
)
def test_a_loaded_network_has_the_same_weights_and_is_ready_to_use(network, tmp_path):
    save_network(network, tmp_path / "model.safetensors")
    loaded = load_network(type(network), tmp_path / "model.safetensors")
    assert type(loaded) is type(network)
    assert not loaded.training
    for name, weight in network.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], weight)


def test_loading_does_not_change_the_random_generator(path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_network(SASRecNetwork, path)
    torch.testing.assert_close(torch.rand(3), expected)


def described(path, network, settings):
    """Write the same weights with another description."""
    save_file(load_file(path), path, {"network": network, "settings": settings})


@pytest.mark.parametrize(
    ("cls", "settings"),
    [
        (SASRecNetwork, ""),
        (SASRecNetwork, "[]"),
        (SASRecNetwork, "{}"),
        (SASRecNetwork, '{"x": 1}'),
        (TIGERNetwork, '{"sizes": [-8]}'),
        (RQTransformerNetwork, '{"sizes": [8], "level_nodes": [-1], "items": 3}'),
        (ActionPieceNetwork, '{"sizes": [8], "merges": -1}'),
        (ActionPieceNetwork, '{"sizes": [8], "merges": 0, "views": 0}'),
    ],
)
def test_a_description_that_makes_no_network(path, cls, settings):
    described(path, cls.__name__, settings)
    with pytest.raises(FormatError, match=f"does not describe a {cls.__name__}"):
        load_network(cls, path)


def test_the_weights_of_another_kind_of_network(path):
    with pytest.raises(FormatError, match="expected a TIGERNetwork, got a SASRecNetwork"):
        load_network(TIGERNetwork, path)


def test_a_safetensors_file_without_a_description(path):
    save_file(load_file(path), path)
    with pytest.raises(FormatError, match="does not describe a SASRecNetwork"):
        load_network(SASRecNetwork, path)


def test_truncated_weights(path):
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(FormatError, match="not a readable safetensors file"):
        load_network(SASRecNetwork, path)


def test_missing_weights(path):
    path.unlink()
    with pytest.raises(FormatError, match="not a readable safetensors file"):
        load_network(SASRecNetwork, path)


def test_weights_of_other_settings(path):
    with safe_open(path, framework="pt") as file:
        settings = json.loads(file.metadata()["settings"])
    described(path, "SASRecNetwork", json.dumps(settings | {"items": 10}))
    with pytest.raises(FormatError, match=r"1 differ, first `item\.weight`"):
        load_network(SASRecNetwork, path)


def test_weights_that_are_no_numbers(path):
    network = SASRecNetwork(9, d_model=8, layers=1, heads=1)
    with torch.no_grad():
        network.position.weight[1, 2] = float("nan")
    save_network(network, path)
    with pytest.raises(FormatError, match=r"NaN or infinity in `position\.weight`"):
        load_network(SASRecNetwork, path)
