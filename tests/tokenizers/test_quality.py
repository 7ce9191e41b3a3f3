"""The quality report, on codes whose figures are known."""

import json

import numpy as np
import pytest

from sidkit.errors import ConfigError, NotFittedError
from sidkit.tokenizers import CodebookCollapseWarning, RQKMeans, quality_report, random_unique_rate
from sidkit.tokenizers.quality.usage import entropy, gini, perplexity


@pytest.fixture(scope="module")
def corners():
    """The corners of a square, the first one four times as often as each other."""
    return np.repeat(np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], np.float32), [4, 1, 1, 1], axis=0)


def test_perplexity_of_known_histograms():
    assert perplexity(np.array([5, 5, 5, 5])) == pytest.approx(4)
    assert perplexity(np.array([7, 0, 0])) == pytest.approx(1)
    assert perplexity(np.array([0, 0])) == 0
    assert perplexity(np.array([2, 1, 1])) == pytest.approx(2**1.5)


def test_entropy_and_gini_of_known_histograms():
    assert entropy(np.array([5, 5, 5, 5])) == pytest.approx(2)
    assert entropy(np.array([9, 0])) == entropy(np.array([0, 0])) == 0
    assert gini(np.array([5, 5, 5, 5])) == gini(np.array([0, 0])) == 0
    assert gini(np.array([0, 0, 0, 8])) == pytest.approx(3 / 4)
    counts = np.random.default_rng(0).integers(0, 50, 30)
    slow = np.abs(counts[:, None] - counts).mean() / (2 * counts.mean())
    assert gini(counts) == pytest.approx(slow)


def test_random_unique_rate_agrees_with_drawing():
    rng = np.random.default_rng(0)
    drawn = [len(np.unique(rng.integers(64, size=100))) / 100 for _ in range(400)]
    assert random_unique_rate(100, (8, 8)) == pytest.approx(np.mean(drawn), abs=0.01)
    assert random_unique_rate(10, (1,)) == 0.1
    assert random_unique_rate(0, (4,)) == 0.0
    assert random_unique_rate(12101, (65536,) * 8) == pytest.approx(1)
    with pytest.raises(ConfigError, match="expected items >= 0 and sizes >= 1"):
        random_unique_rate(3, (4, 0))


def test_a_report_of_known_figures(corners):
    tokenizer = RQKMeans(1, 4).fit(corners)
    report = quality_report(tokenizer, corners)
    assert report.items == 7
    assert report.levels[0].used == 4
    assert report.levels[0].mse == pytest.approx(0, abs=1e-9)
    assert report.levels[0].perplexity == pytest.approx(perplexity(np.array([4, 1, 1, 1])))
    assert report.unique_rate == pytest.approx(4 / 7)
    assert report.collisions == {1: 3, 4: 1}
    assert report.largest_collision == 4


def test_mse_is_in_units_of_the_variance():
    x = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32) * [1, 10, 100]
    x = np.column_stack([x, np.full(5000, 3.0)]).astype(np.float32)
    tokenizer = RQKMeans(2, 1).fit(x)  # one code: the mean, which explains nothing
    assert [level.mse for level in quality_report(tokenizer, x).levels] == pytest.approx([1, 1], abs=1e-4)
    half = RQKMeans(1, 2).fit(x)
    slow = np.square((x - half.decode(half.encode(x)))[:, :3] / x[:, :3].std(axis=0)).mean()
    assert quality_report(half, x).levels[0].mse == pytest.approx(slow, rel=1e-5)


def test_the_report_as_text_and_json(corners):
    report = quality_report(RQKMeans(1, 4).fit(corners), corners)
    assert str(report).splitlines() == [
        "rqkmeans, 7 items",
        "level  codes   used  perplexity  entropy   gini  mse (of variance)",
        f"    0      4      4  {report.levels[0].perplexity:>10.1f}  {report.levels[0].entropy:>7.2f}  "
        f"{report.levels[0].gini:>5.3f}  {report.levels[0].mse:>17.4f}",
        f"unique rate 0.5714 (random codes: {report.random_unique_rate:.4f})",
        "largest collision 4 items",
    ]
    flat = json.loads(json.dumps(report.to_dict()))
    assert flat["collisions"] == {"1": 3, "4": 1}
    assert flat["levels"][0]["codebook_size"] == 4
    assert flat["largest_collision"] == 4


def test_collapse_is_a_warning_that_says_what_to_do():
    x = np.zeros((64, 2), np.float32)
    x[0] = 1
    with pytest.warns(CodebookCollapseWarning) as caught:
        RQKMeans(2, 32).fit(x)
    assert len(caught) == 1
    assert str(caught[0].message).startswith(
        "level 0 of RQKMeans has collapsed: expected a perplexity of at least 3.2, got 1.1 with 2 of 32 codes"
    )
    assert caught[0].filename == __file__


def test_a_tokenizer_that_is_not_fitted(corners):
    with pytest.raises(NotFittedError):
        quality_report(RQKMeans(1, 4), corners)
