"""VQ, VQ-VAE, R-VQ and trees of clusters: the contract, and what each is by definition."""

import numpy as np
import pytest
from tests.contracts.tokenizer_contract import TokenizerContract, clustered

from sidkit import assign_codes
from sidkit.errors import ConfigError, DataError
from sidkit.tokenizers import RVQ, VQ, VQVAE, HierarchicalKMeans, RQKMeans, load_tokenizer, quality_report


class TestVQ(TokenizerContract):
    def make(self, **settings):
        return VQ(8, **settings)


class TestVQVAE(TokenizerContract):
    def make(self, **settings):
        return VQVAE(8, latent=8, hidden=(32,), epochs=30, batch_size=64, learning_rate=5e-3, **settings)


class TestRVQ(TokenizerContract):
    def make(self, **settings):
        return RVQ(3, 8, epochs=10, batch_size=100, learning_rate=0.02, **settings)


class TestHierarchicalKMeans(TokenizerContract):
    def make(self, **settings):
        return HierarchicalKMeans(3, 8, **settings)


class TestUnbalancedTree(TokenizerContract):
    def make(self, **settings):
        return HierarchicalKMeans(3, [8, 2, 3], balanced=False, start="kmeans++", **settings)


def test_vq_is_the_first_level_of_residual_k_means():
    x = clustered()
    assert (VQ(8).fit(x).encode(x) == RQKMeans(3, 8).fit(x).encode(x)[:, :1]).all()
    with pytest.raises(ConfigError, match=r"codes must be one integer, since there is one level, not \[8\]"):
        VQ([8])


@pytest.mark.parametrize("make", [RVQ, RQKMeans, HierarchicalKMeans])
@pytest.mark.parametrize("standardize", [True, False])
def test_the_largest_vectors_to_learn_from_come_back(make, standardize):
    x = np.sign(clustered()) * np.float32(9.9e35)
    tokenizer = make(3, 8, standardize=standardize).fit(x)
    assert np.isfinite(tokenizer.decode(tokenizer.encode(x))).all()
    assert np.isfinite(tokenizer.decode([[0, 0, 0]])).all()


def test_gradients_come_near_to_k_means():
    x = clustered()
    best = quality_report(RQKMeans(3, 8).fit(x), x).levels[-1].mse
    for kmeans_start in (True, False):
        tokenizer = RVQ(3, 8, epochs=60, batch_size=100, learning_rate=0.02, kmeans_start=kmeans_start).fit(x)
        assert quality_report(tokenizer, x).levels[-1].mse < 1.3 * best


def test_a_step_of_gradients_is_that_of_torch():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    settings = {"standardize": False, "batch_size": 50, "learning_rate": 0.1, "kmeans_start": False}
    got = RVQ(1, 5, epochs=3, reset=False, **settings).fit(x).codebooks_[0]
    words = torch.nn.Parameter(torch.from_numpy(RVQ(1, 5, **settings)._start(x, 0, 5)))
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


def descend(tokenizer, vector):
    """The path of one vector, node by node, by distances in float64."""
    path, node = [], 0
    for centroids, offsets in zip(tokenizer.centroids_, tokenizer._offsets, strict=True):
        children = centroids[offsets[node] : offsets[node + 1]].astype(np.float64)
        path.append(int(np.square(children - vector).sum(axis=1).argmin()))
        node = offsets[node] + path[-1]
    return path


@pytest.mark.parametrize("balanced", [False, True])
def test_a_path_descends_to_the_nearest_child(balanced):
    x = clustered()
    tokenizer = HierarchicalKMeans(3, 4, balanced=balanced).fit(x)
    new = clustered(rows=60, seed=0) * np.float32(1.1)
    z = tokenizer.standardizer_.apply(new).astype(np.float64)
    assert tokenizer.encode(new).tolist() == [descend(tokenizer, row) for row in z]


def test_leaves_of_few_vectors_hold_one_each():
    x = clustered(rows=60)
    tokenizer = HierarchicalKMeans(2, 16).fit(np.concatenate([x, x[:10]]))
    codes = tokenizer.encode(x)
    assert quality_report(tokenizer, x).unique_rate == 1.0
    np.testing.assert_allclose(tokenizer.decode(codes), x, rtol=1e-4, atol=1e-3)


def test_balanced_splits_are_more_even():
    x = np.random.default_rng(0).standard_t(2, size=(600, 6)).astype(np.float32)
    even, uneven = (
        HierarchicalKMeans(1, 8, balanced=balanced, start="kmeans++").fit(x) for balanced in (True, False)
    )
    largest = [np.bincount(one.encode(x)[:, 0]).max() for one in (even, uneven)]
    assert largest[0] < largest[1]


def test_a_path_that_is_not_in_the_tree():
    tokenizer = HierarchicalKMeans(2, 16).fit(clustered(rows=60))
    children = np.diff(tokenizer._offsets[1])
    node = int(children.argmin())
    with pytest.raises(
        DataError, match=f"the codes of row 1 begin with {node}-15, but the node above has {children[node]}"
    ):
        tokenizer.decode([[node, 0], [node, 15]])


def test_alternatives_of_a_tree_are_the_nearest_leaves_if_enough_are_kept():
    x = clustered(rows=80)
    tokenizer = HierarchicalKMeans(2, 5).fit(x)
    leaves = len(tokenizer.centroids_[-1])
    choices = tokenizer.alternatives(x[:5], 1000)
    assert choices.shape == (5, leaves, 2)
    z = tokenizer.standardizer_.apply(x[:5])
    decoded = tokenizer.standardizer_.apply(tokenizer.decode(choices.reshape(-1, 2))).reshape(5, leaves, -1)
    far = np.square(decoded - z[:, None]).sum(axis=2)
    assert (np.diff(far, axis=1) > -1e-3).all()


def test_a_vq_vae_comes_back_from_its_file(tmp_path):
    tokenizer = VQVAE(4, latent=3, hidden=(), epochs=12).fit(clustered())
    tokenizer.save(tmp_path / "tokenizer")
    assert isinstance(load_tokenizer(tmp_path / "tokenizer"), VQVAE)
    assert "levels" not in tokenizer.settings()
