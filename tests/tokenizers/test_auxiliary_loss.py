"""Auxiliary losses in the training of RQ-VAE."""

import re

import numpy as np
import pytest
import torch
from tests.contracts.tokenizer_contract import clustered

from sidkit.errors import ConfigError, FormatError
from sidkit.tokenizers import RQVAE
from sidkit.tokenizers.rqvae.training import Training


def small(**settings):
    return RQVAE(
        2,
        8,
        **{"latent_dim": 4, "hidden_dims": (16,), "epochs": 20, "batch_size": 64, "warmup_epochs": 5}
        | settings,
    )


class Toward(torch.nn.Module):
    """Attracts quantized latent vectors to a learned map of a target of each row."""

    def __init__(self, targets, weight=1.0):
        super().__init__()
        torch.manual_seed(3)
        self.targets, self.weight = torch.from_numpy(targets), weight
        self.map = torch.nn.Linear(targets.shape[1], 4)

    def forward(self, rows, latent, quantized, reconstruction):
        assert rows.shape == latent.shape[:1] and rows.dtype == torch.int64
        assert latent.shape == quantized.shape == (len(rows), 4)
        assert reconstruction.shape == (len(rows), 12)
        return self.weight * torch.nn.functional.mse_loss(quantized, self.map(self.targets[rows]))


class Spread:
    """Pushes the codewords of each level apart."""

    def __init__(self, weight):
        self.weight, self.calls = weight, 0

    def parameters(self):
        return ()

    def codebook_loss(self, codebooks, codes):
        self.calls += 1
        assert [words.shape for words in codebooks] == [(8, 4), (8, 4)]
        assert codes.shape[1] == 2 and codes.dtype == torch.int64 and 0 <= codes.min() <= codes.max() < 8
        return self.weight * sum(torch.exp(-torch.pdist(words).square()).mean() for words in codebooks)


def targets():
    return np.random.default_rng(2).normal(size=(400, 3)).astype(np.float32)


def test_a_loss_of_latents_shapes_them_and_its_parameters_are_trained():
    x = clustered()
    term = Toward(targets(), weight=20.0)
    before = term.map.weight.detach().clone()
    tokenizer = small().fit(x, auxiliary_losses=[term])
    assert not torch.equal(before, term.map.weight)
    history = [figures["auxiliary.0"] for figures in tokenizer.history_]
    assert history[-1] < 0.7 * history[0]
    assert tokenizer.fingerprint != small().fit(x).fingerprint


def test_a_loss_of_no_weight_changes_nothing():
    x = clustered()
    plain = small().fit(x)
    assert (
        small().fit(x, auxiliary_losses=[Toward(targets(), 0.0), Spread(0.0)]).fingerprint
        == plain.fingerprint
    )


def test_a_loss_of_codebooks_is_called_after_the_warmup():
    x = clustered()
    term = Spread(1.0)
    tokenizer = small().fit(x, auxiliary_losses=[term])
    assert term.calls == 15 * 6
    assert [figures["auxiliary.0"] > 0 for figures in tokenizer.history_] == [False] * 5 + [True] * 15


@pytest.mark.parametrize("warmup", [False, True])
def test_the_gradient_reaches_the_encoder(warmup):
    training = Training(small()._settings(), clustered(), [Toward(targets())])
    rows = torch.arange(7)
    x = training.x[rows]
    losses = training.network.autoencode(x) if warmup else training.network(x)
    (loss,) = training._auxiliary(rows, losses, warmup)
    (gradient,) = torch.autograd.grad(loss, training.network.encoder[0].weight)
    assert gradient.abs().max() > 0


def test_an_interrupted_training_goes_on_with_the_terms(tmp_path):
    x, path = clustered(), tmp_path / "checkpoint"
    whole = small().fit(x, auxiliary_losses=[Toward(targets()), Spread(0.1)])

    def interrupt(done, _total, **_figures):
        if done == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small().fit(x, auxiliary_losses=[Toward(targets()), Spread(0.1)], checkpoint=path, progress=interrupt)
    for others in ([], [Spread(0.1), Toward(targets())]):
        with pytest.raises(FormatError, match="belongs to another training"):
            small().fit(x, auxiliary_losses=others, checkpoint=path)
    again = small().fit(x, auxiliary_losses=[Toward(targets()), Spread(0.1)], checkpoint=path)
    assert again.fingerprint == whole.fingerprint
    assert again.history_ == whole.history_


def test_objects_that_are_not_losses():
    message = (
        "auxiliary_losses[1] is not a loss: expected parameters() and either __call__(rows, latent, quantized"
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        small().fit(clustered(), auxiliary_losses=[Spread(1.0), lambda *_: torch.zeros(())])


@pytest.mark.parametrize("value", [torch.tensor(float("nan")), torch.zeros(3)])
def test_a_loss_that_is_not_a_finite_scalar(value):
    class Wrong:
        def parameters(self):
            return ()

        def __call__(self, *_):
            return value

    with pytest.raises(
        ConfigError,
        match=r"auxiliary_losses\[0\] \(Wrong\) is invalid in epoch \d+: expected a finite scalar, got",
    ):
        small().fit(clustered(), auxiliary_losses=[Wrong()])
