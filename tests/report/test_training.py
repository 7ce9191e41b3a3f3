"""What trainings took, as the page and `sidkit inspect` show it; older histories tell less."""

import json

import pytest

from sidkit.report import read_run
from sidkit.report.costs import cost_rows
from sidkit.report.numbers import operations, share


def test_costs_of_old_and_new_histories(finished, dataset):
    file = finished / "models" / "tiger" / "history.json"
    new = json.loads(file.read_text()) | {
        "tokens_per_second": 1234.5,
        "flops": 56 * 10**12,
        "gemm_share": 0.312,
    }
    file.write_text(json.dumps(new))
    titles, *rows = cost_rows(read_run(finished, dataset=dataset))
    found = {row[0]: dict(zip(titles, row, strict=True)) for row in rows}
    shown = ("tokens per second", "Tflop", "share of matmul speed")
    assert [found["TIGER"][title] for title in shown] == ["1,234", "56", "31 %"]
    assert [found["SASRec"][title] for title in shown] == ["900", "–", "–"]


@pytest.mark.parametrize(
    ("flops", "text"),
    [(None, "–"), (0, "–"), (4.2e9, "0.0042"), (5.67e14, "567"), (1.234e16, "12,340")],
)
def test_operations(flops, text):
    assert operations(flops) == text


def test_shares():
    assert [share(value) for value in (None, 0.004, 0.5, 1.02)] == ["–", "0 %", "50 %", "102 %"]
