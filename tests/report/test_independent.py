import dataclasses
from pathlib import Path

import pytest

from sidkit.errors import FormatError
from sidkit.evaluate import Metrics, Protocol, Result
from sidkit.report.tables.independent import read_independent
from sidkit.report.tables.results import results_tables
from sidkit.report.tables.stored import StoredRun

ROOT = Path(__file__).parents[2]

ROW = """\
[[result]]
dataset = "toys"
model = "BSARec"
source = "a repository"
url = "https://example.org"
ties = "source"
exclude_seen = true
"recall@10" = 0.1
"ndcg@10" = 0.06
seeds = 3
settings = "d 64"
remark = "another loss"
"""


@pytest.fixture
def write(tmp_path):
    def written(text):
        path = tmp_path / "independent.toml"
        path.write_text(text)
        return path

    return written


def test_a_row_is_read(write, tmp_path):
    (row,) = read_independent(write(ROW))
    assert (row.model, row.seeds, row.settings) == ("BSARec", 3, "d 64")
    assert row.metrics == {"recall@10": 0.1, "ndcg@10": 0.06}
    assert read_independent(tmp_path / "missing.toml") == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'model = "BSARec"\n',
            "",
            r"row 1: expected the keys of a result, .* missing \['model'\]",
        ),
        ("remark =", "notes =", r"unknown \['notes'\], missing \[\]"),
        ('"a repository"', '" "', "`source`: expected a text, got ' '"),
        ('"d 64"', "64", "`settings`: expected a text, got 64"),
        ('ties = "source"', 'ties = "any"', "`ties`: expected one of source, shuffle, unknown, got 'any'"),
        ("exclude_seen = true", 'exclude_seen = "yes"', "`exclude_seen`: expected true or false, got 'yes'"),
        ("= 0.1\n", "= 10.1\n", r"`recall@10`: expected a number in \(0, 1\], got 10.1"),
        ("= 0.06", '= "0.06"', r"`ndcg@10`: expected a number in \(0, 1\], got '0.06'"),
        ("= 0.06", "= nan", r"`ndcg@10`: expected a number in \(0, 1\], got nan"),
        ("= 0.06", "= 0.11", "`ndcg@10`: expected at most the Recall@10 of 0.1, got 0.11"),
        ("seeds = 3", "seeds = 0", "`seeds`: expected an integer of at least 1, got 0"),
        ("seeds = 3", "seeds = true", "`seeds`: expected an integer of at least 1, got True"),
        ("[[result]]", "[result]", r"expected the array of tables `result` only, got \['result'\]"),
        ("[[result]]", "[[results]]", r"expected the array of tables `result` only, got \['results'\]"),
        ("[[result]]", "[[result", "not a TOML file"),
    ],
)
def test_bad_rows_are_refused(write, old, new, message):
    assert old in ROW
    path = write(ROW.replace(old, new, 1))
    with pytest.raises(FormatError, match=message) as caught:
        read_independent(path)
    assert str(path) in str(caught.value)


def test_a_second_row_of_the_same_result_is_refused(write):
    with pytest.raises(FormatError, match="row 2: `BSARec` of a repository: expected one row, got two"):
        read_independent(write(f"{ROW}\n{ROW}"))
    shuffled = ROW.replace('ties = "source"', 'ties = "shuffle"')
    assert len(read_independent(write(f"{ROW}\n{shuffled}"))) == 2


@pytest.mark.parametrize(
    ("ties", "changes", "matches"),
    [
        ("source", {}, True),
        ("unknown", {}, True),
        ("shuffle", {}, False),
        ("shuffle", {"ties": "shuffle", "tie_seed": 4}, True),
        ("unknown", {"ties": "shuffle"}, False),
        ("source", {"exclude_seen": False}, False),
        ("source", {"dataset": "beauty"}, False),
        ("source", {"split": "global_time"}, False),
        ("source", {"evaluated_on": "validation"}, False),
    ],
)
def test_a_result_belongs_to_one_table(write, ties, changes, matches):
    (row,) = read_independent(write(ROW.replace('ties = "source"', f'ties = "{ties}"')))
    protocol = Protocol(candidates=100, users=50, dataset="toys")
    assert row.matches(dataclasses.replace(protocol, **changes)) is matches


def test_published_rows_are_set_apart(write):
    protocol = Protocol(candidates=100, users=50, dataset="toys", exclude_seen=(True,), seeds=(0,))
    results = [Result("tiger", "all", metric, 0.05, None, True) for metric in ("recall@10", "ndcg@10")]
    run = StoredRun("run", "toys", "tiger", "", 0, Metrics(protocol, results))
    unknown = ROW.replace('ties = "source"', 'ties = "unknown"').replace("BSARec", "RPG")
    table = results_tables([run], read_independent(write(f"{ROW}\n{unknown}")))
    assert (
        "| **Published elsewhere** |  |  |  |  |  |\n"
        "| BSARec, a repository | 3 seeds | 0.1000 | 0.0600 | – | – |\n"
    ) in table
    assert "- BSARec, [a repository](https://example.org): d 64; another loss.\n" in table
    assert "another loss; order of tied timestamps not stated.\n" in table


def test_the_rows_of_this_project():
    rows = read_independent(ROOT / "benches" / "results" / "independent.toml")
    assert {row.dataset for row in rows} >= {"beauty"}
    assert all(row.url.startswith("https://") for row in rows)
