"""R-VQ: the contract, and its gradient steps against torch."""

import numpy as np
import pytest
from tests.contracts.tokenizer_contract import TokenizerContract, clustered

from sidkit import assign_codes
from sidkit.tokenizers import RVQ, RQKMeans, quality_report


class TestRVQ(TokenizerContract):
    def make(self, **settings):
        return RVQ(3, 8, epochs=10, batch_size=100, learning_rate=0.02, **settings)


def test_gradient_descent_is_about_as_good_as_k_means():
    x = clustered()
    best = quality_report(RQKMeans(3, 8).fit(x), x).levels[-1].mse
    for kmeans_init in (True, False):
        tokenizer = RVQ(3, 8, epochs=60, batch_size=100, learning_rate=0.02, kmeans_init=kmeans_init).fit(x)
        assert quality_report(tokenizer, x).levels[-1].mse < 1.3 * best


def test_a_step_of_gradients_is_that_of_torch():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    settings = {"standardize": False, "batch_size": 50, "learning_rate": 0.1, "kmeans_init": False}
    got = RVQ(1, 5, epochs=3, revive_dead_codes=False, **settings).fit(x).codebooks_[0]
    words = torch.nn.Parameter(torch.from_numpy(RVQ(1, 5, **settings)._initial(x, 0, 5)))
    adam = torch.optim.Adam([words], lr=0.1)
    for epoch in range(3):
        adam.param_groups[0]["lr"] = 0.1 * (0.5 + 0.5 * np.cos(np.pi * epoch / 3))
        codes = assign_codes(x, [words.detach().numpy()])[:, 0]
        adam.zero_grad()
        torch.square(words[torch.from_numpy(codes.astype(np.int64))] - torch.from_numpy(x)).sum(
            1
        ).mean().backward()
        adam.step()
    np.testing.assert_allclose(got, words.detach().numpy(), atol=1e-5)
