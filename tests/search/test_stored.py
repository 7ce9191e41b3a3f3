"""Tables of stored results, and the real collections."""

import json
from pathlib import Path

import pytest

from sidkit.errors import DataError, FormatError
from sidkit.report.tables.__main__ import KINDS
from sidkit.report.tables.documents import update_documents
from sidkit.report.tables.search import search_table
from sidkit.search import BM25, load_collection

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"


def figures(mean):
    names = ("ndcg@10", "recall@10", "recall@100", "mrr@10", "success@1")
    return {name: {"mean": mean, "interval": [mean - 0.1, mean + 0.1]} for name in names}


def test_tables_of_retrievers(tmp_path):
    compared = {"difference": 0.1, "interval": [0.05, 0.15], "p_value": 0.01}
    stored = {
        "collection": "topics",
        "documents": 80,
        "queries": {"test": 30},
        "seeds": [0, 1],
        "results": {
            "bm25": {**figures(0.3), "facts": {"fit_seconds": 2.0}},
            "sid-seed0": {**figures(0.5), "facts": {"fit_seconds": 8.0}},
            "sid-seed1": {**figures(0.7), "facts": {"fit_seconds": 10.0}},
            "ivf": {**figures(0.2), "facts": {}},
        },
        "comparisons": [{"model": "sid-seed0", "baseline": "bm25", **compared}],
    }
    (tmp_path / "topics" / "search").mkdir(parents=True)
    (tmp_path / "topics" / "search" / "search.json").write_text(json.dumps(stored))
    text = search_table(tmp_path, "topics/search")
    assert "| SidRetriever | 0.6000 ± 0.1414 (0.400–0.600) |" in text and "| 9 |" in text
    assert "| SidRetriever, seed 0 − BM25 | +0.1000 | +0.0500 … +0.1500 | 0.0100 |" in text
    (tmp_path / "curve.json").write_text(json.dumps(stored | {"curve": [[5.0, 3.25, 0.125]]}))
    assert "| 5 | 3.250 | 0.1250 |" in search_table(tmp_path, "curve")


def test_tables_of_growing_collections(tmp_path):
    kind = {"queries": 3, "recall@100": 0.5, "ndcg@10": 0.25}
    stored = {
        "collection": "topics",
        "evaluated_on": "test",
        "runs": [
            {
                "steps": [{"batch": 0, "old": kind}, {"batch": 1, "old": kind, "new": kind}],
                "refitted": {"old": kind, "new": kind, "all": kind},
                "untrained": {"old": kind, "new": {**kind, "recall@100": 0.4}, "all": kind},
                "without_bias": {"old": kind, "new": kind, "all": kind},
            }
        ],
    }
    (tmp_path / "growing.json").write_text(json.dumps(stored))
    text = search_table(tmp_path, "growing")
    assert "| 0 | 0.5000 | 0.2500 | – | – | – | – | – |" in text
    assert "| fitted again | 0.5000 | 0.2500 | 0.5000" in text
    assert (
        "| text vectors, no training | 0.5000 | 0.2500 | 0.4000 | 0.2500 | 0.5000 | 0.2500 | 0.80 |" in text
    )


def test_missing_and_damaged_runs(tmp_path):
    with pytest.raises(DataError, match="no stored run `nothing`"):
        search_table(tmp_path, "nothing")
    (tmp_path / "run.json").write_text('{"results": {}}')
    with pytest.raises(FormatError, match="is damaged"):
        search_table(tmp_path, "run")


def test_the_page_shows_the_stored_runs():
    page = ROOT / "docs" / "results" / "search.md"
    assert update_documents(KINDS, ROOT / "benches" / "results", [page], check=True) == []


@pytest.mark.data
def test_bm25_reaches_its_reference_numbers():
    """NDCG@10 of `bm25s` with the same words is 0.3203 on NFCorpus."""
    if not (DATA / "nfcorpus").is_dir():
        pytest.skip("the collection nfcorpus is not beside the project, in ../shared/data")
    collection = load_collection(DATA / "nfcorpus")
    assert (len(collection), len(collection.qrels)) == (3633, 134_294)
    found = BM25().fit(collection).evaluate(collection.split("test"), ["ndcg@10"])
    assert found["ndcg@10"] == pytest.approx(0.3203, abs=5e-4)
