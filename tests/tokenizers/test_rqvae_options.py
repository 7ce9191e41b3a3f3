"""Options of RQ-VAE: estimators, codebook updates, cosine, Sinkhorn, whitening."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.contracts.tokenizer_contract import TokenizerContract, clustered
from tests.tokenizers.test_rqvae import Interrupt, interrupt_at, small, tiny

from sidkit import assign_codes
from sidkit.errors import ConfigError
from sidkit.tokenizers import EMA, RQVAE, Gumbel, Sinkhorn, load_tokenizer
from sidkit.tokenizers.parts.whiten import Whitener
from sidkit.tokenizers.rqvae.estimators import gumbel_words, rotated, straight_through
from sidkit.tokenizers.rqvae.sinkhorn import balanced_codes
from sidkit.tokenizers.rqvae.spherical import equal_lengths
from sidkit.tokenizers.rqvae.training import Training


class TestAveragesAndRotation(TokenizerContract):
    def make(self, **settings):
        return small(codebook_update="ema", estimator="rotation", refit=False, **settings)


class TestCosine(TokenizerContract):
    def make(self, **settings):
        return small(distance="cosine", **settings)


class TestGumbelAndWhitening(TokenizerContract):
    def make(self, **settings):
        return small(estimator="gumbel", whiten=10, **settings)


OPTIONS = [
    {"codebook_update": "ema"},
    {"codebook_update": "ema", "distance": "cosine"},
    {"estimator": "rotation", "refit": False},
    {"estimator": "gumbel"},
    {"distance": "cosine", "refit": False},
    {"sinkhorn": "all", "refit": False},
    {"sinkhorn": "last", "kmeans_init": False},
    {"whiten": 5, "revive_dead_codes": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_training_learns_and_can_be_interrupted(options, tmp_path):
    x, path = clustered(), tmp_path / "checkpoint"
    whole = small(epochs=20, **options).fit(x)
    assert whole.history_[-1]["reconstruction"] < 0.6 * whole.history_[0]["reconstruction"]
    assert whole.notes == ()
    with pytest.raises(Interrupt):
        small(epochs=20, **options).fit(x, checkpoint=path, progress=interrupt_at(15))
    resumed = small(epochs=20, **options).fit(x, checkpoint=path)
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.history_ == whole.history_


@pytest.mark.parametrize(
    "options", [{}, {"codebook_update": "ema"}, {"estimator": "gumbel"}, {"distance": "cosine"}], ids=str
)
def test_codes_in_training_are_those_of_the_kernel(options):
    training = Training(small(**options)._settings(), clustered())
    training.maintenance.initialize(training._latents(), 0)
    losses = training.network(training.x)
    words = [codebook.detach().numpy() for codebook in training.network.codebooks]
    assert (losses.codes == assign_codes(losses.latent.detach().numpy(), words)).all()
    torch.testing.assert_close(losses.residuals[0], losses.latent.detach())


rows = arrays(np.float32, (6, 3), elements=st.floats(-4, 4, width=32))


@given(rows, rows, rows)
def test_the_rotation_turns_and_stretches(latent, quantized, gradient):
    """Against the matrix itself: q/|q| = R e/|e|, and the gradient is turned back by R and stretched."""
    e = torch.from_numpy(latent).double().requires_grad_(True)
    q = torch.from_numpy(quantized).double()
    result = rotated(e, q)
    torch.testing.assert_close(result, q)
    (got,) = torch.autograd.grad(result, e, torch.from_numpy(gradient).double())
    for row in range(len(latent)):
        start, end = latent[row].astype(float), quantized[row].astype(float)
        a, b = np.linalg.norm(start), np.linalg.norm(end)
        if min(a, b) <= 1e-12:
            assert np.allclose(got[row], gradient[row])
            continue
        start, end = start / a, end / b
        middle = start + end
        if np.linalg.norm(middle) < 1e-3:  # opposite: any plane of rotation will do
            continue
        middle /= np.linalg.norm(middle)
        turn = np.eye(3) - 2 * np.outer(middle, middle) + 2 * np.outer(end, start)
        assert np.allclose(turn @ turn.T, np.eye(3), atol=1e-6)
        assert np.allclose(got[row], b / a * turn.T @ gradient[row], atol=1e-4)


def test_the_straight_way():
    e, q = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3)
    result = straight_through(e, q)
    torch.testing.assert_close(result, q)
    (gradient,) = torch.autograd.grad(result.sum(), e)
    assert (gradient == 1).all()


def test_gumbel_draws_codewords_as_often_as_their_softmax():
    table = torch.tensor([[0.0], [1.0], [2.0]])
    residual = torch.full((40_000, 1), 0.6)
    noise = torch.Generator().manual_seed(0)
    drawn = gumbel_words(residual, table, 1e-3, noise)
    shares = torch.tensor([(drawn.round() == value).float().mean() for value in (0, 1, 2)])
    torch.testing.assert_close(shares, torch.softmax(-(table[:, 0] - 0.6).square(), 0), atol=0.01, rtol=0)


@given(st.integers(0, 50), st.integers(1, 9), st.sampled_from([0.003, 0.02]))
def test_sinkhorn_balances(seed, size, epsilon):
    rng = np.random.default_rng(seed)
    residual = (rng.normal(size=(90, 4)) + rng.normal(size=4) * 5).astype(np.float32)
    words = rng.normal(size=(size, 4)).astype(np.float32)
    codes = balanced_codes(residual, words, epsilon, iterations=500)
    assert codes.dtype == np.uint16 and codes.max() < size
    counts = np.bincount(codes, minlength=size)
    nearest = np.bincount(assign_codes(residual, [words])[:, 0], minlength=size)
    assert counts.max() <= 1.7 * 90 / size + 3
    assert counts.max() <= nearest.max() + 3


def test_sinkhorn_against_the_definition():
    """The plan of exact iterations in logarithms, on a case where it is far from the nearest codes."""
    rng = np.random.default_rng(3)
    residual, words = rng.normal(size=(40, 2)) + 2, rng.normal(size=(5, 2))
    distances = np.square(residual[:, None] - words[None]).sum(axis=2)
    cost = distances / (np.ptp(distances) / 2) / 0.05
    rows, columns = np.zeros((40, 1)), np.zeros((1, 5))
    for _ in range(2000):
        columns = -np.logaddexp.reduce(rows - cost, axis=0, keepdims=True) + np.log(8)
        rows = -np.logaddexp.reduce(columns - cost, axis=1, keepdims=True)
    expected_codes = (rows + columns - cost).argmax(axis=1)
    got = balanced_codes(residual.astype(np.float32), words.astype(np.float32), 0.05, iterations=2000)
    assert (got == expected_codes).mean() > 0.97
    assert (got != distances.argmin(axis=1)).any()


def test_equal_distances_give_codes_in_turn():
    same = np.ones((7, 2), np.float32)
    assert np.bincount(balanced_codes(same, np.ones((3, 2), np.float32), 0.05)).tolist() == [3, 2, 2]


def test_the_nearest_codeword_of_one_length_has_the_smallest_angle():
    rng = np.random.default_rng(0)
    words = equal_lengths(rng.normal(size=(20, 5)).astype(np.float32))
    x = rng.normal(size=(300, 5)).astype(np.float32)
    lengths = np.linalg.norm(words, axis=1)
    assert np.allclose(lengths, lengths[0], rtol=1e-6)
    assert (assign_codes(x, [words])[:, 0] == (x @ words.T).argmax(axis=1)).all()


def test_a_tokenizer_of_cosine_keeps_codewords_of_one_length():
    for refit in (True, False):
        books = small(distance="cosine", refit=refit).fit(clustered()).codebooks_
        for level in range(3):
            assert np.ptp(np.linalg.norm(books[level], axis=1)) < 1e-5 * np.linalg.norm(books[level][0])


def test_moving_averages_are_those_of_the_definition():
    training = Training(small(codebook_update=EMA(0.5), warmup_epochs=0)._settings(), clustered())
    assert all(not codebook.requires_grad for codebook in training.network.codebooks)
    training.maintenance.initialize(training._latents(), 0)
    start = training.network.codebooks[0].numpy().copy()
    losses = training.network(training.x[:64])
    residual, codes = losses.residuals[0].numpy(), losses.codes[:, 0]
    training.maintenance.after_step(losses)
    for code in range(8):
        mine = residual[codes == code]
        expected_codes = (0.5 * start[code] + 0.5 * mine.sum(axis=0)) / (0.5 + 0.5 * len(mine))
        np.testing.assert_allclose(
            training.network.codebooks[0][code].numpy(), expected_codes, rtol=1e-4, atol=1e-6
        )


def test_whitened_vectors_have_the_unit_matrix_as_covariance():
    x = clustered(dim=6)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    x[:, 4] = 0
    whitener = Whitener.fit(x, 6)
    z = whitener.apply(x)
    np.testing.assert_allclose(np.cov(z.T, ddof=0), np.diag([1, 1, 1, 1, 1, 0]), atol=1e-3)
    np.testing.assert_allclose(whitener.invert(z), x, atol=1e-4)
    few = Whitener.fit(x, 2)
    error = np.square(few.invert(few.apply(x)) - x).sum(axis=1).mean()
    assert error == pytest.approx(np.sort(np.linalg.eigvalsh(x.T @ x / len(x)))[:-2].sum(), rel=1e-3)


def test_the_estimator_changes_the_gradient_and_not_the_value():
    torch.manual_seed(0)
    x, found = torch.randn(7, 4), {}
    for estimator in ("straight-through", "rotation"):
        torch.manual_seed(1)
        network = tiny(rotation=estimator == "rotation")
        for codebook in network.codebooks:
            torch.nn.init.normal_(codebook)
        losses = network(x)
        (gradient,) = torch.autograd.grad(losses.reconstruction, network.encoder[0].weight)
        found[estimator] = losses.reconstruction.item(), gradient
    straight, turned = found.values()
    assert straight[0] == pytest.approx(turned[0], rel=1e-6)
    assert not torch.allclose(straight[1], turned[1])


def test_invalid_options():
    for arguments, message in [
        (
            {"estimator": "ste"},
            "`estimator` is invalid: expected one of straight-through, rotation, gumbel, Gumbel.*, got 'ste'",
        ),
        ({"codebook_update": "adam"}, "`codebook_update` is invalid: expected one of gradient, ema, EMA"),
        ({"distance": "dot"}, "`distance` is invalid: expected one of l2, cosine"),
        ({"sinkhorn": "first"}, "`sinkhorn` is invalid: expected one of None, last, all, Sinkhorn"),
        ({"on_collapse": "ignore"}, "`on_collapse` is invalid: expected one of repair, stop, warn"),
        ({"estimator": "gumbel", "sinkhorn": "last"}, "`estimator` and `sinkhorn` contradict each other"),
        ({"whiten": 4, "standardize": False}, "`whiten` needs centred vectors"),
        ({"whiten": 0}, "`whiten` is invalid: expected an integer >= 1, got 0"),
    ]:
        with pytest.raises(ConfigError, match=message):
            RQVAE(**arguments)
    with pytest.raises(
        ConfigError, match="`whiten` is invalid: expected at most the 12 dimensions of the vectors, got 13"
    ):
        small(whiten=13).fit(clustered())
    for make, message in [
        (lambda: EMA(1.0), "`decay` is invalid: expected a number < 1, got 1.0"),
        (lambda: Gumbel(0), "`temperature` is invalid: expected a number > 0, got 0"),
        (lambda: Sinkhorn(epsilon=0.001), "`epsilon` is invalid: expected a number >= 0.003, got 0.001"),
        (lambda: Sinkhorn("first"), "`levels` is invalid: expected one of last, all, got 'first'"),
    ]:
        with pytest.raises(ConfigError, match=message):
            make()


SHORTHANDS = [
    ({"estimator": "gumbel"}, {"estimator": Gumbel()}),
    ({"codebook_update": "ema"}, {"codebook_update": EMA(decay=0.99)}),
    ({"sinkhorn": "last"}, {"sinkhorn": Sinkhorn()}),
    ({"sinkhorn": "all"}, {"sinkhorn": Sinkhorn("all", epsilon=0.05)}),
]


@pytest.mark.parametrize(("short", "full"), SHORTHANDS, ids=str)
def test_a_shorthand_is_the_object_with_its_defaults(short, full, tmp_path):
    assert small(**short)._settings() == small(**full)._settings() != small()._settings()
    tokenizer = small(epochs=12, **full).fit(clustered(rows=100))
    tokenizer.save(tmp_path / "tokenizer")
    again = load_tokenizer(tmp_path / "tokenizer")
    assert repr(again) == repr(tokenizer)
    assert again.get_params() == tokenizer.get_params()
