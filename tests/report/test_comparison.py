import shutil

import pytest

from sidkit.errors import ConfigError
from sidkit.evaluate import Metrics, Predictions, measure
from sidkit.report import comparison_page, read_run, write_comparison


@pytest.fixture
def other(finished, dataset):
    """The same run again, but with popularity's lists under the name of TIGER, and other settings."""
    run = finished.parent / "other"
    shutil.copytree(finished, run)
    popular = Predictions.load(run / "predictions" / "popularity.parquet")
    worse = Predictions("tiger", popular.users, popular.items, popular.scores, popular.targets)
    worse.save(run / "predictions" / "tiger.parquet")
    metrics = Metrics.load(run / "metrics.json")
    metrics.merged(Metrics(metrics.protocol, measure(worse, 40, ks=(5, 10)))).save(run / "metrics.json")
    (run / "run.toml").write_text(
        '[data]\nsource = "nowhere"\n[tokenize]\ncodebook_size = 512\nname = "<b>"\n'
    )
    return run


def test_two_runs(finished, other, dataset):
    html = comparison_page([read_run(path, dataset=dataset) for path in (finished, other)])
    assert html.count("<h2 ") == 5
    for expected in ("run and other", "run · TIGER", "other · TIGER", "other · TIGER − run · TIGER"):
        assert expected in html
    # Only what differs is listed, and no text becomes markup.
    assert "tokenize.codebook_size" in html and "data.split" in html and "data.source" not in html
    assert "&lt;b&gt;" in html and "<b>" not in html.partition("<main>")[2]


def test_the_difference_is_that_of_the_users(finished, other, dataset):
    first, second = (read_run(path, dataset=dataset) for path in (finished, other))
    lost = second.metrics.find("tiger", "ndcg@10").value - first.metrics.find("tiger", "ndcg@10").value
    assert lost < 0
    html = comparison_page([first, second])
    assert f"<td>{lost:+.4f}</td>" in html


def test_a_run_without_predictions_is_named(finished, other, dataset):
    (other / "predictions" / "tiger.parquet").unlink()
    html = comparison_page([read_run(path, dataset=dataset) for path in (finished, other)])
    assert (
        "predictions of &#x27;tiger&#x27; are missing" in html or "predictions of 'tiger' are missing" in html
    )


def test_runs_on_different_users_are_not_compared(finished, other, dataset):
    found = Predictions.load(other / "predictions" / "tiger.parquet")
    half = slice(0, len(found) // 2)
    Predictions("tiger", found.users[half], found.items[half], found.scores[half], found.targets[half]).save(
        other / "predictions" / "tiger.parquet"
    )
    html = comparison_page([read_run(path, dataset=dataset) for path in (finished, other)])
    assert "have different users or targets" in html


def test_different_protocols_give_a_warning(finished, other, dataset):
    text = (other / "metrics.json").read_text()
    (other / "metrics.json").write_text(text.replace('"ties": "source"', '"ties": "shuffle"'))
    html = comparison_page([read_run(path, dataset=dataset) for path in (finished, other)])
    assert "their metrics are not comparable" in html and "tied timestamps shuffled" in html


def test_the_common_settings_are_compared(finished, other, dataset):
    Metrics.load(other / "metrics.json").under(False).save(other / "metrics.json")
    html = comparison_page([read_run(path, dataset=dataset) for path in (finished, other)])
    assert "Seen items included." in html and "Seen items excluded." not in html
    assert "their metrics are not comparable" not in html
    Metrics.load(finished / "metrics.json").under(True).save(finished / "metrics.json")
    html = comparison_page([read_run(path, dataset=dataset) for path in (finished, other)])
    assert "their metrics are not comparable" in html


def test_a_run_without_results_is_shown_without(finished, tokenizer_only, dataset):
    bare = finished.parent / "bare"
    bare.mkdir()
    shutil.copy(tokenizer_only / "sids.parquet", bare)
    html = comparison_page([read_run(path, dataset=dataset) for path in (bare, finished)])
    assert "run · TIGER" in html and "bare · " not in html


def test_equal_directory_names_are_distinguished(finished, tmp_path):
    twin = tmp_path / "b" / "run"
    shutil.copytree(finished, twin)
    html = write_comparison([finished, twin], tmp_path / "comparison.html").read_text()
    assert f"{tmp_path.name}/run" in html and "b/run" in html


def test_too_little_to_compare(finished, tokenizer_only):
    with pytest.raises(ConfigError, match="a comparison needs at least two runs, got 1"):
        write_comparison([finished], finished / "c.html")
    (tokenizer_only / "metrics.json").unlink()
    with pytest.raises(ConfigError, match=r"none of the runs .* has results to compare. Evaluate them first"):
        write_comparison([tokenizer_only, tokenizer_only], finished / "c.html")
