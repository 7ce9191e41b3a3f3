"""RQ-KMeans: the contract, a world with a known answer, and the figures on real vectors."""

import numpy as np
import pytest
from tests.contracts.tokenizer_contract import TokenizerContract

from sidkit.errors import ConfigError
from sidkit.quantize import RQKMeans, load_tokenizer, quality_report


class TestContract(TokenizerContract):
    def make(self, **settings):
        return RQKMeans(3, 8, **settings)


@pytest.mark.parametrize("start", ["bisect", "kmeans++"])
def test_a_grid_of_sums_is_found_exactly(start):
    """Sixteen places, each the sum of one of four coarse and one of four fine offsets."""
    coarse = np.array([[100, 0], [0, 100], [-100, 0], [0, -100]])
    fine = np.array([[10, 0], [0, 10], [-10, 0], [0, -10]])
    places = (coarse[:, None] + fine).reshape(-1, 2).astype(np.float32)
    x = np.tile(places, (30, 1))
    tokenizer = RQKMeans(2, 4, standardize=False, start=start).fit(x)
    codes = tokenizer.encode(places)
    assert len(np.unique(codes, axis=0)) == 16
    assert (codes[:, 0].reshape(4, 4) == codes[::4, :1]).all()
    np.testing.assert_allclose(tokenizer.decode(codes), places, atol=1e-4)
    assert quality_report(tokenizer, x).levels[1].mse == pytest.approx(0, abs=1e-9)


def test_levels_of_different_sizes():
    x = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    tokenizer = RQKMeans(3, [16, 4, 1]).fit(x)
    assert tokenizer.sizes == tokenizer.codebooks_.sizes == (16, 4, 1)
    assert tokenizer.encode(x).max(axis=0).tolist() == [15, 3, 0]


@pytest.mark.filterwarnings("ignore::sidkit.quantize.CodebookCollapseWarning")
@pytest.mark.parametrize("start", ["bisect", "kmeans++"])
def test_fewer_distinct_vectors_than_codes(start):
    x = np.tile(np.eye(3, dtype=np.float32), (20, 1))
    tokenizer = RQKMeans(2, 32, start=start).fit(x)
    np.testing.assert_allclose(tokenizer.decode(tokenizer.encode(x)), x, atol=1e-6)


def test_settings_that_make_no_sense():
    for arguments, message in [
        ({"levels": 0}, "levels must be an integer of at least 1, not 0"),
        ({"codes": 0}, r"codes must be integers in 1..65536, not 0"),
        ({"codes": 65537}, r"codes must be integers in 1..65536, not 65537"),
        ({"codes": [4, 4]}, "codes has 2 sizes for 3 levels; hint: one number, or one a level"),
        ({"iterations": 0}, "iterations must be at least 1, not 0"),
        ({"start": "random"}, r"unknown start `random`; hint: one of bisect, kmeans\+\+"),
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
