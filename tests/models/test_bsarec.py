"""BSARec: the filter, and what its settings must be."""

import pytest
import torch

from sidkit.errors import ConfigError
from sidkit.models.bsarec import BSARecNetwork, low_pass_kernel


@pytest.mark.parametrize(("window", "frequencies"), [(8, 1), (8, 3), (8, 5), (9, 4)])
def test_the_kernel_is_the_filter_of_the_frequency_domain(window, frequencies):
    x = torch.randn(window)
    spectrum = torch.fft.rfft(x)
    spectrum[frequencies:] = 0
    expected = torch.fft.irfft(spectrum, window)
    place = torch.arange(window)
    circulant = low_pass_kernel(window, frequencies)[(place[:, None] - place) % window]
    torch.testing.assert_close(circulant @ x, expected, rtol=1e-5, atol=1e-5)


def test_the_future_never_reaches_the_past():
    model = BSARecNetwork(20, d_model=16, max_items=8).eval()
    history = torch.randint(0, 20, (3, 6))
    changed = history.clone()
    changed[:, 4:] = (changed[:, 4:] + 1) % 20
    torch.testing.assert_close(model.hidden(history)[:, :4], model.hidden(changed)[:, :4])


def test_a_filter_alone_needs_no_attention():
    model = BSARecNetwork(20, d_model=16, filter_share=1.0, max_items=8).eval()
    history = torch.randint(0, 20, (3, 6))
    before = model.hidden(history)
    for layer in model.layers:
        torch.nn.init.normal_(layer.qkv.weight)
    torch.testing.assert_close(model.hidden(history), before)


def test_settings_outside_their_range_are_refused():
    with pytest.raises(ConfigError, match=r"`d_model` must be a multiple of `heads`"):
        BSARecNetwork(20, d_model=16, heads=3)
    with pytest.raises(ConfigError, match=r"invalid `frequencies`: expected 1 to 5 .* got 6"):
        BSARecNetwork(20, max_items=8, frequencies=6)
