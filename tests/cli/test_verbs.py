"""The verbs, as a person types them."""

import json
import re
import subprocess
import sys

import pytest
from tests.run.world import QUICK

import sidkit
from sidkit.report import comparison_page, read_run

VERBS = [
    "fetch",
    "run",
    "embed",
    "tokenize",
    "train",
    "evaluate",
    "recommend",
    "rank",
    "sweep",
    "drift",
    "inspect",
    "report",
    "store",
    "beams",
    "tokenizers",
    "tune",
]


def settings(*more):
    return [part for setting in (*QUICK, *more) for part in ("--set", setting)]


def test_the_version(sid):
    assert sid("--version") == (0, f"sidkit {sidkit.__version__}\n", "")


def test_help_lists_every_verb(sid):
    code, out, _ = sid("--help")
    assert code == 0
    assert [verb for verb in VERBS if not re.search(rf"\b{verb}\b", out)] == []


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

    code, said, wrong = sid("train", out, "--set", 'recommenders.use=["popularity", "sasrec"]')
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


def test_inspect(sid, run):
    code, said, _ = sid("inspect", run)
    assert code == 0 and "train.tiger" in said and "sids.parquet" in said
    for expected in ("trainings", "unique codes", "items on one code", "mean cosine", "are among the 10"):
        assert expected in said
    code, said, _ = sid("inspect", run, "--json")
    told = json.loads(said)
    assert (code, told["sids"]["items"]) == (0, 24)
    assert [level["size"] for level in told["codebook_size"]["quality"]["levels"]] == [8, 8]
    assert told["codebook_size"]["neighbours"]["queries"] == 24 and "embed" in told["stages"]
    assert told["training"]["tiger"]["tokens_per_second"] > 0 < told["training"]["tiger"]["gemm_share"]
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
