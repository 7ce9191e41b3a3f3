"""The verbs of the command line."""

import json
import re
import subprocess
import sys

import polars as pl
import pytest
from tests.run.world import QUICK

import sidkit
from sidkit.report import comparison_page, read_run
from sidkit.run import read_config

DAILY = [
    *("run", "fetch", "embed", "tokenize", "train", "evaluate", "recommend"),
    *("serve", "search", "export", "inspect", "report"),
]
RESEARCH = ["rank", "sweep", "drift", "tokenizers", "tune", "beams", "frontier", "align", "store"]
VERBS = DAILY + RESEARCH


def settings(*more):
    return [part for setting in (*QUICK, *more) for part in ("--set", setting)]


def test_the_version(sid):
    assert sid("--version") == (0, f"sidkit {sidkit.__version__}\n", "")


def test_help_lists_every_verb_in_its_panel(sid):
    code, out, _ = sid("--help")
    assert code == 0
    _, daily, research = re.split("─ (?:Daily use|Research) ─", out)
    assert re.findall(r"^│ (\w+) ", daily, re.MULTILINE) == DAILY
    assert re.findall(r"^│ (\w+) ", research, re.MULTILINE) == RESEARCH


def test_help_imports_no_verb():
    code = (
        "import sys; from sidkit.cli import main\n"
        "try: main(['--help'])\n"
        "finally: assert 'polars' not in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_a_misspelt_verb_comes_with_the_right_one(sid):
    code, _, wrong = sid("recomend")
    assert code == 2 and "Did you mean 'recommend'" in wrong


@pytest.mark.parametrize("verb", VERBS)
def test_every_help_shows_an_example(sid, verb):
    code, out, _ = sid(verb, "--help")
    assert code == 0
    assert f"sidkit {verb} " in out.partition("For example")[2]


def test_a_run_from_the_first_word_to_the_last(sid, world, tmp_path):
    out = tmp_path / "run"
    code, said, wrong = sid(
        "tokenize", world, "--out", out, *settings(f"embed.vectors={world / 'vectors.npy'}")
    )
    assert (code, wrong) == (0, "")
    assert (out / "sids.parquet").exists() and not (out / "metrics.json").exists()

    code, said, wrong = sid("train", out, "--set", "recommenders.use=popularity,sasrec")
    assert (code, wrong) == (0, "")
    assert (out / "models" / "sasrec" / "model.safetensors").exists()

    code, said, wrong = sid("run", out)
    assert (code, wrong) == (0, "")
    assert "NDCG@10" in said and "SASRec" in said
    for name in ("metrics.json", "report.html"):
        assert str(out / name) in said
    assert set(json.loads((out / "metrics.json").read_text())) >= {"protocol", "results", "seconds"}


def test_evaluate_and_report_show_the_metrics(sid, run):
    for verb in ("evaluate", "report"):
        code, said, wrong = sid(verb, run)
        assert (code, wrong) == (0, "")
        assert "NDCG@10" in said and "opularity" in said and "TIGER" in said
        assert "report.html" in said
    assert sid("run", run)[0] == 0


def test_report_compares_runs(sid, run, finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, said, wrong = sid("report", run, finished)
    assert (code, said, wrong) == (0, "comparison.html\n", "")
    page = (tmp_path / "comparison.html").read_text()
    assert page == comparison_page([read_run(run), read_run(finished)])
    assert sid("report", finished, run, "--out", tmp_path / "page.html")[:2] == (0, f"{tmp_path}/page.html\n")
    assert (tmp_path / "page.html").read_text() != page


def test_recommend_to_a_user(sid, run):
    code, said, wrong = sid("recommend", run, "--user", "1007", "-k", "3")
    assert (code, wrong) == (0, "")
    assert "of user 1007" in said and "rqtransformer recommends" in said and "thing" in said


@pytest.mark.parametrize("model", ["tiger", "sasrec"])
def test_recommend_after_a_history(sid, run, model):
    code, said, wrong = sid(
        "recommend", run, "--history", "item-03,item-04,item-05", "-k", "1", "--model", model
    )
    assert (code, wrong) == (0, "")
    assert re.search(r"item-06\b.*green thing 6\b.*\d+-\d+-\d+", said)
    assert "item-07" not in said


def test_recommend_after_a_history_of_every_item(sid, run):
    everything = ",".join(f"item-{item:02}" for item in range(24))
    code, said, wrong = sid("recommend", run, "--history", everything)
    assert (code, wrong) == (0, "")
    assert "nothing is left to recommend" in said and "--include-seen" in said
    assert re.search(r"item-\d\d", sid("recommend", run, "--history", everything, "--include-seen")[1])


def test_recommend_with_filters_and_scoring(sid, run, tmp_path):
    base = ("recommend", run, "--history", "item-03", "-k", "2", "--scoring", "fused")
    code, said, wrong = sid(*base, "--exclude", "item-04, item-05")
    assert (code, wrong) == (0, "") and "item-04" not in said and "item-05" not in said
    (tmp_path / "ids.txt").write_text("item-09\nitem-04\n")
    code, said, wrong = sid(*base, "--allow", tmp_path / "ids.txt")
    assert (code, wrong) == (0, "")
    assert set(re.findall(r"│ (item-\d\d)", said)) == {"item-04", "item-09"}


def test_recommend_as_json(sid, run):
    code, said, wrong = sid("recommend", run, "--user", "1007", "-k", "3", "--json")
    found = json.loads(said)
    assert (code, wrong, found["model"], found["scoring"]) == (0, "", "rqtransformer", "sid")
    assert len(found["recommendations"]) == 3 and set(found["history"]) <= {
        f"item-{item:02}" for item in range(24)
    }
    best = found["recommendations"][0]
    assert set(best) == {"item_id", "title", "sid", "score"} and best["score"] < 0


def test_columns_of_other_names(sid, world, tmp_path):
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    events = pl.read_parquet(world / "interactions.parquet")
    events.rename({"user_id": "reviewerID", "item_id": "asin"}).write_parquet(
        renamed / "interactions.parquet"
    )
    items = pl.read_parquet(world / "items.parquet")
    items.rename({"item_id": "asin"}).write_parquet(renamed / "items.parquet")
    use = ("--set", "recommenders.use=popularity")
    columns = ("--columns", "user_id=reviewerID,item_id=asin")
    code, _, wrong = sid("train", renamed, "--out", tmp_path / "run", *columns, *use)
    assert (code, wrong) == (0, "")
    assert read_config(tmp_path / "run" / "run.toml").data.columns == {
        "user_id": "reviewerID",
        "item_id": "asin",
    }
    assert sid("run", tmp_path / "run")[0] == 0
    code, _, wrong = sid("train", renamed, "--columns", "asin", *use)
    assert code == 1 and "--columns must be NAME=COLUMN pairs" in wrong


def test_a_preset_states_the_shape_that_it_chose(sid, world, tmp_path):
    use = ("--set", "recommenders.use=popularity", "--set", f"embed.vectors={world / 'vectors.npy'}")
    code, said, wrong = sid("tokenize", world, "--out", tmp_path / "run", "--preset", "demo", *use)
    assert (code, wrong) == (0, "")
    assert "preset demo: 2 levels x 16 codewords for 24 items" in said


def test_inspect(sid, run):
    code, said, _ = sid("inspect", run)
    assert code == 0 and "train.tiger" in said and "sids.parquet" in said
    for expected in (
        "trainings",
        "unique codes",
        "items per code sequence",
        "mean cosine",
        "are among the 10",
    ):
        assert expected in said
    code, said, _ = sid("inspect", run, "--json")
    found = json.loads(said)
    assert (code, found["sids"]["items"]) == (0, 24)
    assert [level["codebook_size"] for level in found["codes"]["quality"]["levels"]] == [8, 8]
    assert found["codes"]["neighbours"]["queries"] == 24 and "embed" in found["stages"]
    assert found["training"]["tiger"]["tokens_per_second"] > 0 < found["training"]["tiger"]["gemm_share"]
    assert sid("inspect", run, "--json", "--item", "item-04")[0] == 1
    assert sid("inspect", run, "--prefix", "1", "--item", "item-04")[0] == 1
    code, said, _ = sid("inspect", run, "--item", "item-04")
    assert code == 0 and "red thing 4" in said
    prefix = re.search(r"(\d+)-\d+-\d+", said)[1]
    code, said, _ = sid("inspect", run, "--prefix", prefix)
    assert code == 0 and "red thing 4" in said and "items under" in said


def test_without_typer_the_extra_is_named():
    code = "import sys; sys.modules['typer'] = None; from sidkit.cli import main; main(['--version'])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(
        "error: the command line needs more than the library: `typer` is not installed"
    )
    assert "pip install 'sidkit[cli]'" in result.stderr


def test_a_warning_is_one_line():
    code = (
        "import sidkit.cli.app as module, warnings\n"
        "module.app = lambda *_, **__: warnings.warn('level 1 uses 3 of 256 codes', UserWarning)\n"
        "from sidkit.cli import main\n"
        "main(['run'])\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr == "warning: level 1 uses 3 of 256 codes\n"
