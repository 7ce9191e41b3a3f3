import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from sidkit.errors import DataError
from sidkit.ranking import Cell, Comparison, Result, Sweep, Swept
from sidkit.report.sweep_plot import sweep_plot
from sidkit.report.tables.__main__ import KINDS, main
from sidkit.report.tables.documents import update_documents
from sidkit.tokenizers.quality.coherence import coherence_json, prefix_coherence

ROOT = Path(__file__).parents[2]

TABLE = """\
<!-- ranking:comparison toys/small -->

**toys, 1,000 embeddings of 4**: 2,500 items, so 2.5 per embedding of the random hash; 90 test \
events, 9 on new items; Semantic IDs of 8×8; mean of 2 seeds, 95 % intervals (Student's t).

| representation | AUC, all | AUC within users, all | log-loss, all | AUC, new items \
| AUC within users, new items | log-loss, new items |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| random | 0.550 ± 0.635 | – | – | 0.500 ± 0.000 | – | – |
| all | 0.700 ± 0.000 | – | – | – | – | – |

Paired differences from `random`, by seed:

| representation | AUC, all | AUC within users, all | log-loss, all | AUC, new items \
| AUC within users, new items | log-loss, new items |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| all | +0.150 ± 0.635 | – | – | – | – | – |

<!-- /ranking -->
"""


def comparison(figures, events):
    results = [
        Result(name, seed, part, "auc", value, events[part])
        for (name, part), values in figures.items()
        for seed, value in enumerate(values)
    ]
    settings = {
        "seeds": [0, 1],
        "num_embeddings": 1000,
        "dim": 4,
        "items": 2500,
        "test": 90,
        "codebook_sizes": [8, 8],
    }
    return Comparison(results, settings, dict.fromkeys((name for name, _ in figures), 4000))


@pytest.fixture
def results(tmp_path):
    run = tmp_path / "results" / "ranking" / "toys" / "small"
    run.mkdir(parents=True)
    nan = float("nan")
    found = comparison(
        {
            ("random", "all"): [0.5, 0.6],
            ("random", "new items"): [0.5, 0.5],
            ("all", "all"): [0.7, 0.7],
            ("all", "new items"): [nan, nan],
        },
        {"all": 90, "new items": 9},
    )
    (run / "rank.json").write_text(found.to_json())
    (run / "coherence.json").write_text(
        coherence_json(prefix_coherence([[1, 0], [1, 0], [0, 1]], [[0], [0], [1]]))
    )
    return tmp_path / "results"


def test_the_table_of_a_comparison(results, tmp_path, capsys):
    page = tmp_path / "rank.md"
    page.write_text("before\n\n<!-- ranking:comparison toys/small -->\nold\n<!-- /ranking -->\n\nafter\n")
    assert main([str(results), str(page), "--check"]) == 1
    assert main([str(results), str(page)]) == 0
    assert page.read_text() == f"before\n\n{TABLE}\nafter\n"
    assert main([str(results), str(page), "--check"]) == 0
    assert capsys.readouterr().out == f"{page}: out of date\n{page}: updated\n"


def test_the_table_of_prefixes(results, tmp_path):
    page = tmp_path / "rank.md"
    page.write_text("<!-- ranking:coherence toys/small -->\n<!-- /ranking -->\n")
    assert update_documents(KINDS, results, [page]) == [page]
    assert "| 0 | 1 | 3 | 3 | 0.333 |\n| 1 | 1 | 2 | 1 | 1.000 |\n" in page.read_text()


@pytest.mark.parametrize(
    ("mark", "wrong"),
    [
        ("<!-- ranking:comparison toys/large -->\n<!-- /ranking -->", "no stored run `toys/large`"),
        ("<!-- ranking:plots toys/small -->\n<!-- /ranking -->", "unknown table `plots`"),
        ("<!-- ranking:comparison -->\n<!-- /ranking -->", "must name a stored run"),
        ("<!-- ranking:comparison toys/small -->", "must have a line `<!-- /ranking -->`"),
    ],
)
def test_invalid_marks(results, tmp_path, mark, wrong):
    page = tmp_path / "rank.md"
    page.write_text(f"{mark}\n")
    with pytest.raises(DataError, match=wrong):
        update_documents(KINDS, results, [page])
    with pytest.raises(SystemExit):
        main([str(results), str(page)])


def test_the_tables_of_this_project_equal_what_its_stored_runs_give():
    pages = sorted((ROOT / "docs" / "results").glob("ranking*.md"))
    assert pages and update_documents(KINDS, ROOT / "benches" / "results", pages, check=True) == []


def test_a_sweep_is_drawn_with_a_mark_for_every_shape():
    cells = [Cell("pq", levels, codes) for levels in (1, 2) for codes in (4, 16)]
    events = {"all": 90}
    base = comparison({("random", "all"): [0.5, 0.6], ("content", "all"): [0.6, 0.6]}, events)
    swept = [Swept(cell, 1.0, comparison({(cell.name, "all"): [0.7, 0.8]}, events)) for cell in cells]
    drawing = ET.fromstring(sweep_plot(Sweep("all", base, swept)))
    hints = [each.text for each in drawing.iter() if each.tag.endswith("title")]
    assert sum(hint.startswith("pq-") for hint in hints) == len(cells)
    assert any(hint.startswith("pq-2x16: 0.7500 ±") for hint in hints)
    texts = [each.text for each in drawing.iter() if each.tag.endswith("text")]
    assert "product quantization, all" in texts and "1 level" in texts and "2 levels" in texts
    # Marks lie inside the drawing, the higher value higher.
    width, height = float(drawing.get("width")), float(drawing.get("height"))
    for dot in (each for each in drawing.iter() if each.tag.endswith("circle")):
        assert 0 < float(dot.get("cx")) < width and 0 < float(dot.get("cy")) < height
