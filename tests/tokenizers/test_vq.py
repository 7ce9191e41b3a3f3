"""VQ and VQ-VAE: the contract, and their relation to tokenizers with several levels."""

import numpy as np
import pytest
from tests.contracts.tokenizer_contract import TokenizerContract, clustered

from sidkit.errors import ConfigError
from sidkit.tokenizers import RVQ, VQ, VQVAE, HierarchicalKMeans, RQKMeans, load_tokenizer


class TestVQ(TokenizerContract):
    def make(self, **settings):
        return VQ(8, **settings)


class TestVQVAE(TokenizerContract):
    def make(self, **settings):
        return VQVAE(
            8, latent_dim=8, hidden_dims=(32,), epochs=30, batch_size=64, learning_rate=5e-3, **settings
        )


def test_vq_is_the_first_level_of_residual_k_means():
    x = clustered()
    assert (VQ(8).fit(x).encode(x) == RQKMeans(3, 8).fit(x).encode(x)[:, :1]).all()
    with pytest.raises(
        ConfigError, match=r"`codebook_size` is invalid: expected one integer for the one level, got \[8\]"
    ):
        VQ([8])


@pytest.mark.parametrize("make", [RVQ, RQKMeans, HierarchicalKMeans])
@pytest.mark.parametrize("standardize", [True, False])
def test_the_largest_vectors_to_learn_from_come_back(make, standardize):
    x = np.sign(clustered()) * np.float32(9.9e35)
    tokenizer = make(3, 8, standardize=standardize).fit(x)
    assert np.isfinite(tokenizer.decode(tokenizer.encode(x))).all()
    assert np.isfinite(tokenizer.decode([[0, 0, 0]])).all()


def test_a_vq_vae_is_loaded_from_its_file(tmp_path):
    tokenizer = VQVAE(4, latent_dim=3, hidden_dims=(), epochs=12).fit(clustered())
    tokenizer.save(tmp_path / "tokenizer")
    assert isinstance(load_tokenizer(tmp_path / "tokenizer"), VQVAE)
    assert "levels" not in tokenizer.get_params()
