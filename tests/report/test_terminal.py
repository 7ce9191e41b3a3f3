import io

import pytest
from rich.console import Console

from sidkit.report import print_report, read_run


def printed(run, width=140):
    out = io.StringIO()
    print_report(run, console=Console(file=out, width=width, color_system=None))
    return out.getvalue()


def test_the_tables_of_a_finished_run(finished, dataset):
    text = printed(read_run(finished, dataset=dataset))
    for expected in ("Accuracy on <i>shop</i>", "TIGER", "Popularity", "NDCG@10", "perplexity", "beam 20"):
        assert expected in text
    assert text.index("TIGER") < text.index("SASRec") < text.index("Popularity")


def test_only_a_tokenizer(tokenizer_only):
    text = printed(tokenizer_only)
    assert "Semantic IDs" in text and "Accuracy" not in text


@pytest.mark.parametrize("width", [80, 60])
def test_every_number_is_whole_on_a_narrow_terminal(finished, dataset, width):
    run = read_run(finished, dataset=dataset)
    text = printed(run, width)
    assert "…" not in text
    found = run.metrics.find("tiger", "ndcg@10")
    assert f"{found.value:.4f}" in text


def test_brackets_in_a_name_are_no_markup(finished, dataset):
    object.__setattr__(dataset, "name", "[bold]shop[/bold] [link=x]")
    assert "[bold]shop[/bold]" in printed(read_run(finished, dataset=dataset))
