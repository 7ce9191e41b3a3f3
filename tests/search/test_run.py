"""Runs over collections, from files to the command line."""

import json

import pytest
from tests.search.worlds import topic_collection

from sidkit.cli import main
from sidkit.errors import ConfigError, RunDirectoryError
from sidkit.run.search import open_search_run, run_search
from sidkit.search import read_trec_run

METHODS = ("bm25", "sid")
QUICK = {"sid": {"epochs": 2, "beam": 8}}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    directory = tmp_path_factory.mktemp("topics")
    world = topic_collection(foreign=False)
    for name in ("documents", "queries", "qrels"):
        getattr(world, name).write_parquet(directory / f"{name}.parquet")
    return directory


@pytest.fixture
def sid(capsys, monkeypatch):
    """Run a command; returns its exit code, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "200")

    def type_command(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        written = capsys.readouterr()
        return caught.value.code or 0, written.out, written.err

    return type_command


def test_a_run_and_its_files(source, tmp_path):
    run = run_search(source, tmp_path / "run", methods=METHODS, settings=QUICK)
    assert run.metrics["evaluated_on"] == "test" and run.metrics["queries"] == 30
    assert run.metrics["results"]["bm25"]["ndcg@10"]["mean"] > 0.9
    assert {each["model"]: each["baseline"] for each in run.metrics["comparisons"]} == {"sid": "bm25"}
    trec = read_trec_run(tmp_path / "run" / "runs" / "sid.trec")
    assert trec["query_id"].n_unique() == 30 and trec["rank"].max() == 80
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<script" not in page and "relevance 2" in page and run.collection.split("test").texts[0] in page
    assert (open_search_run(tmp_path / "run").retriever().search("d3w0 d3w1")[0] != None).all()  # noqa: E711


def test_a_run_continues_and_refuses_other_settings(source, tmp_path):
    run_search(source, tmp_path, methods=["bm25"])
    steps = []
    run_search(source, tmp_path, methods=["bm25"], on_step=steps.append)
    assert "fit bm25" not in steps
    other = {"bm25": {"k1": 1.5}}
    with pytest.raises(RunDirectoryError, match="a run with other settings"):
        run_search(source, tmp_path, methods=["bm25"], settings=other)
    steps.clear()
    run_search(source, tmp_path, methods=["bm25"], settings=other, force=True, on_step=steps.append)
    assert "fit bm25" in steps


def test_documents_without_queries_can_be_searched(tmp_path):
    (tmp_path / "docs").mkdir()
    world = topic_collection(foreign=False)
    world.documents.write_parquet(tmp_path / "docs" / "documents.parquet")
    run = run_search(tmp_path / "docs", tmp_path / "run", methods=METHODS)
    assert run.metrics == {} and run.retriever("sid").search("d2w1", 1)[0][0].startswith("D")


def test_invalid_runs(source, tmp_path):
    with pytest.raises(ConfigError, match="there is no retriever `bm52`"):
        run_search(source, tmp_path / "a", methods=["bm52"])
    with pytest.raises(ConfigError, match="`bm25` has no setting `k2`"):
        run_search(source, tmp_path / "a", methods=["bm25"], settings={"bm25": {"k2": 1}})
    with pytest.raises(ConfigError, match="the run has no retriever `sid`"):
        run_search(source, tmp_path / "a", methods=["bm25"], settings=QUICK)
    assert not (tmp_path / "a").exists()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "letter").write_text("x")
    with pytest.raises(RunDirectoryError, match="holds other files"):
        run_search(source, tmp_path / "b", methods=["bm25"])
    with pytest.raises(RunDirectoryError, match="is not a run over documents"):
        open_search_run(tmp_path / "b")


def test_command_line(sid, source, tmp_path):
    out = tmp_path / "run"
    options = ["--set", "search.methods=bm25,sid", "--set", "sid.epochs=2", "--out", out]
    code, shown, errors = sid("run", source, *options)
    assert (code, errors) == (0, "") and "ndcg@10" in shown and "sid − bm25" in shown
    code, shown, _ = sid("search", out, "d3w0 d3w1", "-k", 3)
    assert code == 0 and shown.count("topic3") == 3 and "sid" in shown
    code, shown, _ = sid("search", out, "d3w0", "--model", "bm25", "--json")
    found = json.loads(shown)
    assert found["model"] == "bm25" and found["documents"][0]["sid"] is None
    code, _, errors = sid("search", out, "d3w0", "--model", "hybrid")
    assert code == 1 and "expected one of bm25, sid, got `hybrid`" in errors
    code, _, errors = sid("run", source, "--preset", "demo")
    assert code == 1 and "no presets" in errors
    code, shown, errors = sid("run", out)
    assert (code, errors) == (0, "") and "fit" not in shown


def test_command_line_refuses_unknown_settings(sid, source):
    code, _, errors = sid("run", source, "--set", "search.depth=3")
    assert code == 1 and "got `search.depth`" in errors
    code, _, errors = sid("run", source, "--set", "depth")
    assert code == 1 and "expected SECTION.KEY=VALUE" in errors
