from pathlib import Path

import pytest

from sidkit.errors import DataError
from sidkit.evaluate import Metrics, Protocol, Result
from sidkit.report.tables import main, results_table, stored_runs, update_tables

ROOT = Path(__file__).parents[2]

PROTOCOL = Protocol(candidates=100, users=50, dataset="beauty")

TABLE = """\
| model | setting | seed | Recall@10 | NDCG@10 | training, s |
| --- | --- | ---: | ---: | ---: | ---: |
| RQTransformer | default | 0 | 0.0613 (0.0580–0.0650) | 0.0400 | 1,234 |
| RQ dense | default | 0 | 0.0613 (0.0580–0.0650) | 0.0400 | 1,234 |
| SASRec | default | 1 | 0.0613 (0.0580–0.0650) | 0.0317 | – |
| TIGER | masked-beam50 | 0 | 0.0613 (0.0580–0.0650) | – | – |

Measured on: beauty, test part; leave-last-out split; equal times as in the source; nothing masked; \
all 100 items are candidates; 50 users; seed 0; 95 % bootstrap intervals over users, 1,000 samples.
"""


def store(results, name, *models, ndcg=None, seconds=None):
    found = [Result(model, "all", "recall@10", 0.0613, (0.058, 0.065)) for model in models]
    if ndcg is not None:
        found += [Result(model, "all", "ndcg@10", ndcg, None) for model in models]
    folder = results / "beauty" / name
    folder.mkdir(parents=True)
    Metrics(PROTOCOL, found, seconds=seconds or {}).save(folder / "metrics.json")


@pytest.fixture
def results(tmp_path):
    path = tmp_path / "results"
    store(path, "tiger-masked-beam50-seed0", "tiger")
    store(path, "sasrec-seed1", "sasrec", ndcg=0.0317)
    ways = ("rqtransformer", "rqtransformer-dense")
    store(path, "rqtransformer-seed0", *ways, ndcg=0.04, seconds={"train.rqtransformer": 1234.4})
    return path


def test_the_table(results):
    assert results_table(stored_runs(results, "beauty")) == TABLE


def test_a_document_is_renewed_once(results, tmp_path):
    document = tmp_path / "README.md"
    document.write_text("# A\n\n<!-- results:beauty -->\nold | numbers\n<!-- /results -->\n\nafter\n")
    assert update_tables(results, [document], check=True) == [document]
    assert "old | numbers" in document.read_text()
    assert update_tables(results, [document]) == [document]
    wanted = f"# A\n\n<!-- results:beauty -->\n\n{TABLE}\n<!-- /results -->\n\nafter\n"
    assert document.read_text() == wanted
    assert update_tables(results, [document]) == []


def test_the_command(results, tmp_path, capsys):
    document = tmp_path / "README.md"
    document.write_text("<!-- results:beauty -->\n<!-- /results -->\n")
    assert main([str(results), str(document), "--check"]) == 1
    assert main([str(results), str(document)]) == 0
    assert main([str(results), str(document), "--check"]) == 0
    assert capsys.readouterr().out == f"{document}: out of date\n{document}: renewed\n"


def test_a_mark_without_an_end(results, tmp_path):
    document = tmp_path / "README.md"
    document.write_text("<!-- results:beauty -->\n")
    with pytest.raises(DataError, match="needs a line `<!-- /results -->` after its table"):
        update_tables(results, [document])


def test_a_dataset_without_runs(results, tmp_path, capsys):
    document = tmp_path / "README.md"
    document.write_text("<!-- results:toys -->\n<!-- /results -->\n")
    with pytest.raises(DataError, match="no stored run of `toys`"):
        update_tables(results, [document])
    with pytest.raises(SystemExit) as caught:
        main([str(results), str(document)])
    assert caught.value.code == 2
    assert "no stored run of `toys`" in capsys.readouterr().err


def test_a_folder_with_a_wrong_name(results):
    (results / "beauty" / "sasrec-seed1").rename(results / "beauty" / "sasrec")
    with pytest.raises(DataError, match="must be named <model>-<setting>-seed<n>"):
        stored_runs(results, "beauty")


def test_a_folder_of_another_model(results):
    (results / "beauty" / "sasrec-seed1").rename(results / "beauty" / "popularity-seed1")
    with pytest.raises(
        DataError, match=r"expected results of `popularity`, as the folder says, got \['sasrec'\]"
    ):
        stored_runs(results, "beauty")


def test_the_tables_of_this_project_equal_what_its_stored_runs_give():
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    assert update_tables(ROOT / "docs" / "results", documents, check=True) == []
