import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from sidkit.errors import ConfigError, DataError
from sidkit.evaluate import Metrics, Protocol, Result, TargetRanks, bootstrap_interval
from sidkit.report.tables.__main__ import KINDS, main
from sidkit.report.tables.documents import update_documents
from sidkit.report.tables.results import results_tables
from sidkit.report.tables.stored import settings_of, stored_name, stored_runs

ROOT = Path(__file__).parents[2]

PROTOCOL = Protocol(candidates=100, users=50, dataset="beauty", exclude_seen=False)
SERVED = dataclasses.replace(PROTOCOL, exclude_seen=True)

PROTOCOLS = "all 100 items are candidates; 50 users; {}; 95 % bootstrap intervals over users, 1,000 samples."
TABLE = f"""\
**Seen items excluded, tied timestamps in source order**

| model | seeds | Recall@10 | NDCG@10 | training, s | CPU, s |
| --- | ---: | ---: | ---: | ---: | ---: |
| **Models** |  |  |  |  |  |
| TIGER | 0 | 0.0613 (0.0580–0.0650) | – | – | – |

No baseline is stored under this protocol.

Evaluation protocol: beauty, test set; leave-last-out split; tied timestamps in source order; \
seen items excluded; {PROTOCOLS.format("seed 0")}

**Seen items included, tied timestamps in source order**

| model | seeds | Recall@10 | NDCG@10 | training, s | CPU, s |
| --- | ---: | ---: | ---: | ---: | ---: |
| **Models** |  |  |  |  |  |
| RQTransformer | 0 | 0.0613 (0.0580–0.0650) | 0.0400 | 1,234 | – |
| RQ fused | 0 | 0.0613 (0.0580–0.0650) | 0.0400 | 1,234 | – |
| TIGER, beam50 | 0 | 0.0613 (0.0580–0.0650) | – | – | – |
| **Baselines** |  |  |  |  |  |
| SASRec | 1 | 0.0613 (0.0580–0.0650) | 0.0317 | – | – |

The only baseline is SASRec. Models without stored ranks are not compared with it.

Evaluation protocol: beauty, test set; leave-last-out split; tied timestamps in source order; \
seen items included; {PROTOCOLS.format("seeds 0, 1")}
"""


def store(results, name, *models, ndcg=None, seconds=None, protocol=PROTOCOL):
    found = []
    for setting in protocol.exclude_seen:
        found += [Result(model, "all", "recall@10", 0.0613, (0.058, 0.065), setting) for model in models]
        if ndcg is not None:
            found += [Result(model, "all", "ndcg@10", ndcg, None, setting) for model in models]
    folder = results / "beauty" / name
    folder.mkdir(parents=True)
    seed = int(name.rpartition("-seed")[2])
    Metrics(dataclasses.replace(protocol, seeds=(seed,)), found, seconds=seconds or {}).save(
        folder / "metrics.json"
    )
    return folder


@pytest.fixture
def results(tmp_path):
    path = tmp_path / "results"
    store(path, "tiger-seed0", "tiger", protocol=SERVED)
    store(path, "tiger-beam50-seed0", "tiger")
    store(path, "sasrec-seed1", "sasrec", ndcg=0.0317)
    ways = ("rqtransformer", "rqtransformer-fused")
    store(path, "rqtransformer-seed0", *ways, ndcg=0.04, seconds={"train.rqtransformer": 1234.4})
    return path


def with_users(results, name, model, places, seconds=None):
    """Store a run whose targets stand at `places`, 0 for nowhere, with all files a run of today has."""
    seed = int(name.rpartition("-seed")[2])
    places = np.array(places)
    users = np.arange(len(places), dtype=np.int32)
    ranks = TargetRanks(users, users, {(model, False): places}, {(model, False): 10})
    found = [
        Result(model, "all", m, float(ranks.metric(model, m).mean()), None, False)
        for m in ("recall@10", "ndcg@10")
    ]
    folder = results / "beauty" / name
    folder.mkdir(parents=True)
    protocol = dataclasses.replace(PROTOCOL, users=len(places), seeds=(seed,))
    Metrics(protocol, found).save(folder / "metrics.json")
    ranks.save(folder / "ranks.parquet")
    if seconds is not None:
        history = {"seconds": seconds, "cpu_seconds": seconds / 2, "steps": [], "evaluations": []}
        (folder / "history.json").write_text(json.dumps(history))


def test_the_tables(results):
    assert results_tables(stored_runs(results, "beauty")) == TABLE


def test_seeds_are_averaged_user_by_user(tmp_path):
    # SASRec finds everyone's target in one seed and nobody's in the other: the mean of each user is a half,
    # so that there is no spread over users, and much over seeds.
    with_users(tmp_path, "sasrec-seed0", "sasrec", [1] * 20, seconds=100)
    with_users(tmp_path, "sasrec-seed1", "sasrec", [0] * 20, seconds=200)
    with_users(tmp_path, "tiger-seed0", "tiger", [1] * 20)
    table = results_tables(stored_runs(tmp_path, "beauty"))
    cell = "0.5000 ± 0.7071 (0.5000–0.5000)"
    assert f"| SASRec | 0, 1 | {cell} | {cell} | 150 | 75 |" in table
    gain = "+0.5000 (+0.5000 to +0.5000) | ≤ 0.001"
    assert f"| TIGER | 0 against 0, 1 | {gain} | {gain} |" in table
    assert "| Δ vs SASRec (the only baseline) | seeds | Recall@10 | p | NDCG@10 | p |" in table


def test_a_training_on_a_gpu_is_marked(tmp_path):
    with_users(tmp_path, "tiger-seed0", "tiger", [1] * 20, seconds=115)
    path = tmp_path / "beauty" / "tiger-seed0" / "metrics.json"
    dataclasses.replace(Metrics.load(path), machine={"gpu": "NVIDIA H200"}).save(path)
    assert " | 115 (NVIDIA H200) | " in results_tables(stored_runs(tmp_path, "beauty"))


def test_a_pairing_finds_what_two_intervals_hide(tmp_path):
    random = np.random.default_rng(0)
    hit = random.random(400) < 0.3
    better = hit.copy()
    better[np.flatnonzero(~hit)[:12]] = True  # all that SASRec finds, and 12 users more
    with_users(tmp_path, "sasrec-seed0", "sasrec", np.where(hit, 1, 0))
    with_users(tmp_path, "tiger-seed0", "tiger", np.where(better, 1, 0))
    ours, theirs = settings_of(stored_runs(tmp_path, "beauty"))[0].entries
    gain = ours.gain_over(theirs, "recall@10")
    assert gain.sum() == 12 and set(gain) == {0.0, 1.0}
    apart = [bootstrap_interval(entry.per_user("recall@10")) for entry in (ours, theirs)]
    assert apart[0][0] < apart[1][1]  # two intervals that overlap
    low, high = bootstrap_interval(gain)
    assert 0 < low < 0.03 < high
    assert "| TIGER | 0 against 0 | +0.0300 (+0.01" in results_tables(stored_runs(tmp_path, "beauty"))


def test_seeds_without_ranks_have_no_interval(tmp_path):
    with_users(tmp_path, "sasrec-seed0", "sasrec", [1, 0])
    with_users(tmp_path, "sasrec-seed1", "sasrec", [1, 1])
    (tmp_path / "beauty" / "sasrec-seed1" / "ranks.parquet").unlink()
    assert "| SASRec | 0, 1 | 0.7500 ± 0.3536 |" in results_tables(stored_runs(tmp_path, "beauty"))


def test_runs_of_other_users_are_not_averaged(tmp_path):
    with_users(tmp_path, "sasrec-seed0", "sasrec", [1, 0])
    with_users(tmp_path, "sasrec-seed1", "sasrec", [1, 0])
    ranks = TargetRanks(
        *(np.array([0, 7], np.int32),) * 2, {("sasrec", False): np.array([1, 0])}, {("sasrec", False): 10}
    )
    ranks.save(tmp_path / "beauty" / "sasrec-seed1" / "ranks.parquet")
    with pytest.raises(DataError, match="sasrec-seed1: `sasrec` and `sasrec` have different users"):
        results_tables(stored_runs(tmp_path, "beauty"))


def test_names_of_directories():
    shuffled = dataclasses.replace(PROTOCOL, ties="shuffle", tie_seed=4)
    assert stored_name("rqtransformer", "joint", shuffled, 3) == "rqtransformer-joint-shuffled-seed3"
    assert stored_name("sasrec", "", PROTOCOL, 0) == "sasrec-seed0"
    for variant in ("shuffled", "a b", "a-b"):
        with pytest.raises(ConfigError, match="invalid variant: expected one word"):
            stored_name("sasrec", variant, PROTOCOL, 0)


def test_a_name_that_contradicts_its_file(results):
    (results / "beauty" / "sasrec-seed1").rename(results / "beauty" / "sasrec-shuffled-seed1")
    with pytest.raises(DataError, match="must have `shuffled` exactly if tied timestamps were shuffled"):
        stored_runs(results, "beauty")
    (results / "beauty" / "sasrec-shuffled-seed1").rename(results / "beauty" / "sasrec-seed2")
    with pytest.raises(DataError, match=r"expected results of seed 2, got \[1\]"):
        stored_runs(results, "beauty")


def test_a_run_with_both_settings_is_in_two_tables(tmp_path):
    both = dataclasses.replace(PROTOCOL, exclude_seen=(True, False))
    folder = store(tmp_path, "sasrec-seed0", "sasrec", ndcg=0.03, protocol=both)
    users = np.arange(4, dtype=np.int32)
    places = {("sasrec", True): np.array([1, 1, 1, 0]), ("sasrec", False): np.array([1, 0, 0, 0])}
    TargetRanks(users, users, places, dict.fromkeys(places, 10)).save(folder / "ranks.parquet")
    excluded, included = settings_of(stored_runs(tmp_path, "beauty"))
    assert excluded.title.startswith("Seen items excluded") and included.title.startswith(
        "Seen items included"
    )
    assert excluded.entries[0].per_user("recall@10").tolist() == [1, 1, 1, 0]
    assert included.entries[0].per_user("recall@10").tolist() == [1, 0, 0, 0]


def test_a_document_is_updated_once(results, tmp_path):
    document = tmp_path / "README.md"
    document.write_text("# A\n\n<!-- results:beauty -->\nold | numbers\n<!-- /results -->\n\nafter\n")
    assert update_documents(KINDS, results, [document], check=True) == [document]
    assert "old | numbers" in document.read_text()
    assert update_documents(KINDS, results, [document]) == [document]
    expected = f"# A\n\n<!-- results:beauty -->\n\n{TABLE}\n<!-- /results -->\n\nafter\n"
    assert document.read_text() == expected
    assert update_documents(KINDS, results, [document]) == []


def test_the_command(results, tmp_path, capsys):
    document = tmp_path / "README.md"
    document.write_text("<!-- results:beauty -->\n<!-- /results -->\n")
    assert main([str(results), str(document), "--check"]) == 1
    assert main([str(results), str(document)]) == 0
    assert main([str(results), str(document), "--check"]) == 0
    assert capsys.readouterr().out == f"{document}: out of date\n{document}: updated\n"


def test_a_mark_without_an_end(results, tmp_path):
    document = tmp_path / "README.md"
    document.write_text("<!-- results:beauty -->\n")
    with pytest.raises(DataError, match="must have a line `<!-- /results -->` after its table"):
        update_documents(KINDS, results, [document])


def test_a_dataset_without_runs(results, tmp_path, capsys):
    document = tmp_path / "README.md"
    document.write_text("<!-- results:toys -->\n<!-- /results -->\n")
    with pytest.raises(DataError, match="no stored run of `toys`"):
        update_documents(KINDS, results, [document])
    with pytest.raises(SystemExit) as caught:
        main([str(results), str(document)])
    assert caught.value.code == 2
    assert "no stored run of `toys`" in capsys.readouterr().err


def test_a_directory_with_an_invalid_name(results):
    (results / "beauty" / "sasrec-seed1").rename(results / "beauty" / "sasrec")
    with pytest.raises(DataError, match=r"invalid name: expected <model>\[-<variant>\]\[-shuffled\]-seed<n>"):
        stored_runs(results, "beauty")


def test_a_directory_of_another_model(results):
    (results / "beauty" / "sasrec-seed1").rename(results / "beauty" / "popularity-seed1")
    with pytest.raises(DataError, match=r"expected results of `popularity`, got \['sasrec'\]"):
        stored_runs(results, "beauty")


def test_the_tables_of_this_project_equal_what_its_stored_runs_give():
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    assert update_documents(KINDS, ROOT / "benches" / "results", documents, check=True) == []
