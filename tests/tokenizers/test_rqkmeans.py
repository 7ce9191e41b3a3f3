"""RQ-KMeans: the contract, data with a known answer, and the figures on real vectors."""

import numpy as np
import pytest
from tests.contracts.tokenizer_contract import TokenizerContract

from sidkit import _vectors
from sidkit.errors import ConfigError, DataError
from sidkit.tokenizers import RQKMeans, load_tokenizer, quality_report
from sidkit.tokenizers.quality.usage import perplexity


class TestContract(TokenizerContract):
    def make(self, **settings):
        return RQKMeans(3, 8, **settings)


@pytest.mark.parametrize("init", ["bisect", "k-means++"])
def test_a_grid_of_sums_is_found_exactly(init):
    """Sixteen points, each the sum of one of four coarse and one of four fine offsets."""
    coarse = np.array([[100, 0], [0, 100], [-100, 0], [0, -100]])
    fine = np.array([[10, 0], [0, 10], [-10, 0], [0, -10]])
    places = (coarse[:, None] + fine).reshape(-1, 2).astype(np.float32)
    x = np.tile(places, (30, 1))
    tokenizer = RQKMeans(2, 4, standardize=False, init=init).fit(x)
    codes = tokenizer.encode(places)
    assert len(np.unique(codes, axis=0)) == 16
    assert (codes[:, 0].reshape(4, 4) == codes[::4, :1]).all()
    np.testing.assert_allclose(tokenizer.decode(codes), places, atol=1e-4)
    assert quality_report(tokenizer, x).levels[1].mse == pytest.approx(0, abs=1e-9)


class TestBalancedContract(TokenizerContract):
    def make(self, **settings):
        return RQKMeans(3, 8, balanced=True, **settings)


class TestMiniBatchContract(TokenizerContract):
    def make(self, **settings):
        return RQKMeans(3, 8, batch_size=50, iterations=2, **settings)


class TestSubsampleContract(TokenizerContract):
    def make(self, **settings):
        return RQKMeans(3, 8, subsample=150, **settings)


def test_a_subsample_is_learned_from_and_all_vectors_are_encoded(tmp_path):
    x = skewed(2000).astype(np.float16)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    fitted = RQKMeans(2, 8, subsample=500, seed=3).fit(mapped)
    rows = fitted._sample(2000)
    assert len(set(rows.tolist())) == 500 and (np.diff(rows) > 0).all() and rows[-1] > 1900
    by_hand = RQKMeans(2, 8, seed=3).fit(x[rows].astype(np.float32))
    assert fitted.fingerprint == by_hand.fingerprint
    assert np.array_equal(fitted.encode(mapped), by_hand.encode(x.astype(np.float32)))
    assert RQKMeans(2, 8, subsample=2000).fit(x).fingerprint == RQKMeans(2, 8).fit(x).fingerprint


def test_blocks_do_not_change_codes_or_the_rows_of_messages(monkeypatch):
    x = skewed(100) * np.float32(1e-3)
    fitted = RQKMeans(2, 8).fit(x)
    expected = fitted.encode(x)
    monkeypatch.setattr(_vectors, "_BLOCK_BYTES", 4 * 16 * 7)  # seven rows
    assert np.array_equal(fitted.encode(x), expected)
    for value, message in ((np.nan, "row 60 at dimension 3"), (3e38, "row 60 of `x` is too large")):
        wrong = x.copy()
        wrong[60, 3] = value
        with pytest.raises(DataError, match=message):
            fitted.encode(wrong)
    wrong[60, 3] = 3e38
    with pytest.raises(DataError, match="row 60 of `x` is too large to learn from"):
        RQKMeans(2, 8, subsample=99, seed=1).fit(wrong)


def skewed(n=3000, dim=16):
    """One dense cloud that holds nearly all vectors, and a thin far-reaching one."""
    rng = np.random.default_rng(0)
    scale = np.where(rng.random(n) < 0.1, 5.0, 1.0)[:, None]
    return (scale * rng.normal(size=(n, dim))).astype(np.float32)


def test_balanced_codes_are_used_more_evenly():
    x = skewed()
    plain, balanced = RQKMeans(2, 32).fit(x), RQKMeans(2, 32, balanced=True).fit(x)
    for level in range(2):
        plainly, evenly = (
            np.bincount(fitted.encode(x)[:, level], minlength=32) for fitted in (plain, balanced)
        )
        assert evenly.max() < 0.8 * plainly.max()
        assert perplexity(evenly) > 1.2 * perplexity(plainly)


def test_codewords_of_a_balanced_level_are_means_of_equal_shares():
    """Then their mean is that of all vectors, here of a dense group of nine and a far one of three."""
    x = np.array([[place] for place in [*range(9), 100, 101, 102]], np.float32)
    plain, balanced = (
        RQKMeans(1, 3, balanced=balanced, standardize=False).fit(x).codebooks_[0]
        for balanced in (False, True)
    )
    assert balanced.mean() == pytest.approx(x.mean())
    assert plain.mean() > 1.2 * x.mean()


def test_mini_batches_come_near_the_whole():
    x = skewed()
    full = quality_report(RQKMeans(2, 32).fit(x), x).levels[-1]
    quick = quality_report(RQKMeans(2, 32, batch_size=256, iterations=4).fit(x), x).levels[-1]
    assert quick.mse < 1.1 * full.mse
    assert quick.perplexity > 0.9 * full.perplexity


@pytest.mark.parametrize("settings", [{}, {"balanced": True}, {"batch_size": 300}, {"init": "k-means++"}])
def test_results_do_not_depend_on_threads(settings):
    x = skewed()
    one, three = (RQKMeans(2, 32, iterations=5, threads=threads, **settings).fit(x) for threads in (1, 3))
    assert one.fingerprint == three.fingerprint


def test_progress_comes_after_every_level():
    calls = []
    RQKMeans(3, 8).fit(skewed(), progress=lambda *call, **figures: calls.append((*call, figures)))
    assert calls == [(1, 3, {}), (2, 3, {}), (3, 3, {})]


def test_levels_of_different_sizes():
    x = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    tokenizer = RQKMeans(3, [16, 4, 1]).fit(x)
    assert tokenizer.codebook_sizes == tokenizer.codebooks_.sizes == (16, 4, 1)
    assert tokenizer.encode(x).max(axis=0).tolist() == [15, 3, 0]


@pytest.mark.filterwarnings("ignore::sidkit.tokenizers.CodebookCollapseWarning")
@pytest.mark.parametrize("init", ["bisect", "k-means++"])
def test_fewer_distinct_vectors_than_codes(init):
    x = np.tile(np.eye(3, dtype=np.float32), (20, 1))
    tokenizer = RQKMeans(2, 32, init=init).fit(x)
    np.testing.assert_allclose(tokenizer.decode(tokenizer.encode(x)), x, atol=1e-6)


def test_invalid_parameters():
    for arguments, message in [
        ({"levels": 0}, r"`levels` is invalid: expected an integer in 1\.\.128, got 0"),
        ({"levels": 10**9}, r"`levels` is invalid: expected an integer in 1\.\.128, got 1000000000"),
        ({"codebook_size": None}, r"`codebook_size` is invalid: expected integers in 1\.\.65536, got None"),
        ({"codebook_size": 8.5}, r"`codebook_size` is invalid: expected integers in 1\.\.65536, got 8.5"),
        ({"codebook_size": 0}, r"`codebook_size` is invalid: expected integers in 1\.\.65536, got 0"),
        ({"codebook_size": 65537}, r"`codebook_size` is invalid: expected integers in 1\.\.65536, got 65537"),
        ({"codebook_size": [4, 4]}, "`codebook_size` does not fit `levels`: expected one size or 3, got 2"),
        ({"iterations": 0}, "`iterations` is invalid: expected an integer >= 1, got 0"),
        ({"iterations": 1.5}, "`iterations` is invalid: expected an integer >= 1, got 1.5"),
        ({"iterations": None}, "`iterations` is invalid: expected an integer >= 1, got None"),
        ({"iterations": True}, "`iterations` is invalid: expected an integer >= 1, got True"),
        ({"batch_size": 0}, "`batch_size` is invalid: expected an integer >= 1, got 0"),
        (
            {"balanced": True, "batch_size": 9},
            "`balanced` does not work with mini-batches: expected batch_size=None, got 9",
        ),
        ({"seed": "1"}, "`seed` is invalid: expected an integer >= 0, got '1'"),
        ({"seed": -1}, "`seed` is invalid: expected an integer >= 0, got -1"),
        (
            {"init": "random"},
            r"`init` is invalid: expected one of bisect, k-means\+\+, k-means\|\|, got 'random'",
        ),
    ]:
        with pytest.raises(ConfigError, match=message):
            RQKMeans(**arguments)


@pytest.mark.slow
@pytest.mark.data
def test_figures_on_beauty(tmp_path, beauty):
    """Better than plain k-means at every level: perplexity 200/114/84, MSE .56/.46/.39, unique rate .848."""
    x = np.load(beauty / "emb_minilm_l6_v2_f16.npy").astype(np.float32)
    tokenizer = RQKMeans(iterations=15).fit(x)
    report = quality_report(tokenizer, x)
    assert all(level.perplexity > least for level, least in zip(report.levels, (215, 210, 210), strict=True))
    assert all(level.mse < most for level, most in zip(report.levels, (0.562, 0.45, 0.386), strict=True))
    assert report.unique_rate > 0.88
    tokenizer.save(tmp_path / "beauty.safetensors")
    assert (load_tokenizer(tmp_path / "beauty.safetensors").encode(x) == tokenizer.encode(x)).all()


def test_integers_of_numpy_are_integers(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    RQKMeans(levels=np.int64(2), codebook_size=np.array([4, 2])).fit(x).save(
        tmp_path / "tokenizer.safetensors"
    )
    again = RQKMeans.load(tmp_path / "tokenizer.safetensors")
    assert again.get_params()["codebook_size"] == [4, 2]
    assert again.get_params()["levels"] == 2
    assert RQKMeans(codebook_size=np.int32(8)).codebook_sizes == (8, 8, 8)
    with pytest.raises(
        DataError, match="there is nothing to learn from: expected one vector per item, got 0"
    ):
        RQKMeans(codebook_size=1).fit(x[:0])
