"""Models on disk: the same answers after loading, clear errors for what is not ours."""

import json

import pytest
import torch

from sidkit.errors import FormatError
from sidkit.models import (
    DecoderOnlyNetwork,
    GRU4RecNetwork,
    SASRecNetwork,
    TIGERNetwork,
    load_model,
    save_model,
)


@pytest.fixture
def folder(tmp_path):
    save_model(SASRecNetwork(9, d_model=8, layers=1, heads=1), tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "model",
    [
        SASRecNetwork(9, d_model=8, layers=1, heads=1),
        GRU4RecNetwork(9, d_model=8),
        TIGERNetwork((4, 3), d_model=8, d_ff=8, heads=1, d_head=4),
        DecoderOnlyNetwork((4, 3), d_model=8, layers=1, heads=1),
    ],
)
def test_a_loaded_model_has_the_same_weights_and_is_ready_to_use(model, tmp_path):
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    assert type(loaded) is type(model)
    assert not loaded.training
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], weight)


def test_loading_leaves_the_random_generator_alone(folder):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_model(folder)
    torch.testing.assert_close(torch.rand(3), expected)


@pytest.mark.parametrize(
    "description",
    [
        "",
        "[]",
        "{}",
        '{"kind": "none", "settings": {}}',
        '{"kind": "sasrec", "settings": {"x": 1}}',
        '{"kind": "tiger", "settings": {"sizes": [-8]}}',
        '{"kind": "actionpiece", "settings": {"sizes": [8], "merges": -1}}',
        '{"kind": "actionpiece", "settings": {"sizes": [8], "merges": 0, "views": 0}}',
    ],
)
def test_a_foreign_description(folder, description):
    (folder / "model.json").write_text(description)
    with pytest.raises(FormatError, match="does not describe a model of a known kind"):
        load_model(folder)


def test_truncated_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(FormatError, match="not a readable safetensors file"):
        load_model(folder)


def test_missing_weights(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(FormatError, match="not a readable safetensors file"):
        load_model(folder)


def test_weights_of_another_model(folder):
    path = folder / "model.json"
    description = json.loads(path.read_text())
    description["settings"]["items"] = 10
    path.write_text(json.dumps(description))
    with pytest.raises(FormatError, match=r"1 differ, first `item\.weight`"):
        load_model(folder)


def test_weights_that_are_no_numbers(folder):
    model = SASRecNetwork(9, d_model=8, layers=1, heads=1)
    with torch.no_grad():
        model.position.weight[1, 2] = float("nan")
    save_model(model, folder)
    with pytest.raises(FormatError, match=r"NaN or infinity in `position\.weight`"):
        load_model(folder)
