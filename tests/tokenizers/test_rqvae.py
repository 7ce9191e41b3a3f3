"""RQ-VAE: the contract, its training, its checkpoints, and the figures on real vectors."""

import numpy as np
import pytest
import torch
from tests.contracts.tokenizer_contract import TokenizerContract, clustered

from sidkit.errors import ConfigError, FormatError
from sidkit.tokenizers import RQVAE, quality_report
from sidkit.tokenizers.parts.perceptron import Perceptron
from sidkit.tokenizers.rqvae.network import Network
from sidkit.tokenizers.rqvae.training import Training


def small(**settings):
    return RQVAE(
        3,
        8,
        **{"latent_dim": 8, "hidden_dims": (32,), "epochs": 40, "batch_size": 64, "learning_rate": 5e-3}
        | settings,
    )


class TestContract(TokenizerContract):
    def make(self, **settings):
        return small(**settings)


def tiny(**settings):
    """A network of 2 levels of 5 codes, 4 dimensions in and 3 between."""
    return Network(4, (5, 5), latent_dim=3, hidden_dims=(), **settings)


class Interrupt(BaseException):
    """Ctrl-C."""


def interrupt_at(epoch):
    def progress(done, _total, **_figures):
        if done == epoch:
            raise Interrupt

    return progress


@pytest.fixture(scope="module")
def whole():
    """A training without interruption."""
    return small().fit(clustered())


@pytest.mark.parametrize("epoch", [4, 17, 39])
def test_an_interrupted_training_ends_like_an_uninterrupted_one(tmp_path, whole, epoch):
    x = clustered()
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupt):
        small().fit(x, checkpoint=path, progress=interrupt_at(epoch))
    assert path.exists()
    epochs = []
    resumed = small().fit(x, checkpoint=path, progress=lambda done, _total, **_figures: epochs.append(done))
    assert epochs == list(range(epoch + 1, 41))
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.history_ == whole.history_
    assert not path.exists()


def test_checkpoints_of_something_else(tmp_path, whole):
    x = clustered()
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupt):
        small().fit(x, checkpoint=path, progress=interrupt_at(12))
    for tokenizer, vectors in ((small(seed=2), x), (small(), x[::-1])):
        with pytest.raises(FormatError, match=r"belongs to another training: .* Delete it to start again"):
            tokenizer.fit(vectors, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(FormatError, match="expected a complete safetensors file"):
        small().fit(x, checkpoint=path)
    whole.save(path)
    with pytest.raises(FormatError, match=r"expected `sidkit.rqvae-checkpoint` in its metadata"):
        small().fit(x, checkpoint=path)


def test_training_reduces_the_error():
    tokenizer = small(epochs=60).fit(clustered())
    history = tokenizer.history_
    assert len(history) == 60
    assert history[-1]["reconstruction"] < 0.5 * history[0]["reconstruction"]
    assert "perplexity.2" in history[-1]
    assert "perplexity.2" not in history[0]


def test_the_gradient_passes_straight_through():
    """The encoder's gradient of the reconstruction is what the decoder alone would give at the codewords."""
    torch.manual_seed(0)
    network = tiny()
    for codebook in network.codebooks:
        torch.nn.init.normal_(codebook)
    x = torch.randn(7, 4)
    latent = network.encoder(x)
    words = [codebook.detach().numpy() for codebook in network.codebooks]
    losses = network(x)
    total = sum(torch.from_numpy(word[losses.codes[:, level]]) for level, word in enumerate(words))
    total.requires_grad_(True)
    error = torch.nn.functional.mse_loss(network.decoder(total), x)
    (expected_gradient,) = torch.autograd.grad(error, total)
    got = torch.autograd.grad(losses.reconstruction, network.encoder[0].weight)[0]
    torch.testing.assert_close(
        got, torch.autograd.grad(latent, network.encoder[0].weight, expected_gradient)[0]
    )
    assert losses.reconstruction.item() == pytest.approx(error.item(), rel=1e-6)


def test_the_losses_are_those_of_the_definition():
    torch.manual_seed(0)
    network = tiny()
    for codebook in network.codebooks:
        torch.nn.init.normal_(codebook)
    x = torch.randn(7, 4)
    losses = network(x)
    residual, expected = network.encoder(x).detach(), 0.0
    for level, codebook in enumerate(network.codebooks):
        distances = torch.cdist(residual, codebook.detach())
        assert (distances.argmin(1).numpy() == losses.codes[:, level]).all()
        residual = residual - codebook.detach()[distances.argmin(1)]
        expected += residual.square().mean().item()
    assert losses.codebook.item() == pytest.approx(expected, rel=1e-5)
    assert losses.commitment.item() == pytest.approx(expected, rel=1e-5)
    losses.codebook.backward(retain_graph=True)
    assert network.encoder[0].weight.grad is None
    assert network.codebooks[0].grad is not None


def test_dead_codes_are_revived():
    x = clustered()
    training = Training(small(epochs=30, warmup_epochs=0)._settings(), x)
    training._one_epoch()
    with torch.no_grad():
        training.network.codebooks[1][3] = 1e6
    training.epoch = 1
    figures, _ = training._one_epoch()
    assert figures["revived"] == 1
    assert training.network.codebooks[1][3].abs().max() < 1e3


def test_a_perceptron_is_what_torch_computes_in_any_batch():
    torch.manual_seed(0)
    layers = [torch.nn.Linear(20, 33), torch.nn.Linear(33, 5)]
    x = np.random.default_rng(0).normal(size=(700, 20)).astype(np.float32)
    perceptron = Perceptron([(one.weight.detach().numpy(), one.bias.detach().numpy()) for one in layers])
    with torch.no_grad():
        expected_gradient = layers[1](torch.relu(layers[0](torch.from_numpy(x)))).numpy()
    got = perceptron(x)
    np.testing.assert_allclose(got, expected_gradient, atol=1e-5)
    order = np.random.default_rng(1).permutation(700)
    assert (perceptron(x[order]) == got[order]).all()
    for rows in (slice(0, 1), slice(3, 260), slice(699, 700)):
        assert (perceptron(x[rows]) == got[rows]).all()


def test_invalid_parameters():
    for arguments, message in [
        ({"latent_dim": 0}, "`latent_dim` is invalid: expected an integer >= 1, got 0"),
        ({"epochs": 0}, "`epochs` is invalid: expected an integer >= 1, got 0"),
        (
            {"hidden_dims": (8, 0)},
            r"`hidden_dims` is invalid: expected a list of widths >= 1 .* got \(8, 0\)",
        ),
        ({"hidden_dims": 8}, "`hidden_dims` is invalid: expected a list of widths >= 1 .* got 8"),
        ({"hidden_dims": "64"}, "`hidden_dims` is invalid: expected a list of widths >= 1 .* got '64'"),
        ({"hidden_dims": [8.5]}, r"`hidden_dims` is invalid: expected a list of widths >= 1 .* got \[8.5\]"),
        ({"epochs": 5, "warmup_epochs": 5}, r"`warmup_epochs` is invalid: expected a number in 0\.\.4"),
        (
            {"learning_rate": float("nan")},
            "`learning_rate` is invalid: expected a finite number > 0, got nan",
        ),
        ({"seed": -1}, "`seed` is invalid: expected an integer >= 0, got -1"),
        ({"commitment": -1}, "`commitment` is invalid: expected a number >= 0, got -1"),
        ({"levels": 2, "codebook_size": [4]}, "does not fit `levels`: expected one size or 2, got 1"),
    ]:
        with pytest.raises(ConfigError, match=message):
            RQVAE(**arguments)


def test_the_random_state_and_threads_of_torch_do_not_change():
    torch.manual_seed(7)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    small(threads=1, epochs=12).fit(clustered())
    assert (torch.get_rng_state() == state).all()
    assert torch.get_num_threads() == threads


@pytest.mark.slow
@pytest.mark.data
def test_figures_on_beauty(beauty):
    """No level under perplexity 100, unique rate above 0.80, after a training that is much too short."""
    x = np.load(beauty / "emb_minilm_l6_v2_f16.npy").astype(np.float32)
    report = quality_report(RQVAE(epochs=12, warmup_epochs=5).fit(x), x)
    assert min(level.perplexity for level in report.levels) > 100
    assert report.unique_rate > 0.8
