"""Dropout by bytes: the rate, the scale, the gradient."""

import pytest
import torch

from sidkit.models.layers.dropout import ByteDropout


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_the_rate_and_the_mean_are_kept(rate):
    torch.manual_seed(0)
    out = ByteDropout(rate)(torch.ones(1001, 999))
    share = (out == 0).double().mean().item()
    assert share == pytest.approx(round(rate * 256) / 256, abs=0.002)
    assert out.mean().item() == pytest.approx(1.0, abs=0.005)


def test_the_gradient_passes_where_the_value_passed():
    x = torch.randn(64, 33, requires_grad=True)
    out = ByteDropout(0.3)(x)
    out.sum().backward()
    scale = 256 / (256 - 77)
    expected = torch.where(out == 0, 0.0, torch.tensor(scale))
    torch.testing.assert_close(x.grad, expected)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (3, 5)])
def test_any_shape(shape):
    assert ByteDropout(0.5)(torch.ones(shape)).shape == shape


def test_evaluation_and_rate_zero_change_nothing():
    x = torch.randn(5)
    assert ByteDropout(0.5).eval()(x) is x
    assert ByteDropout(0.0)(x) is x


def test_a_seed_repeats_it():
    drop = ByteDropout(0.2)
    torch.manual_seed(3)
    first = drop(torch.ones(100))
    torch.manual_seed(3)
    torch.testing.assert_close(first, drop(torch.ones(100)))


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_rate_outside_its_range_is_an_error(rate):
    with pytest.raises(ValueError, match=r"must be in \[0, 1\)"):
        ByteDropout(rate)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_state_of_the_cpu_generator_determines_the_bytes():
    drop, x = ByteDropout(0.25), torch.ones(1000, 333, device="cuda")
    torch.manual_seed(3)
    first, second = drop(x), drop(x)
    torch.cuda.manual_seed(9)
    torch.manual_seed(3)
    assert torch.equal(drop(x), first) and not torch.equal(first, second)
    assert (first == 0).double().mean().item() == pytest.approx(0.25, abs=0.002)
