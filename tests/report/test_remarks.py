import io
from pathlib import Path

import pytest
from rich.console import Console

from sidkit.evaluate import Metrics, Protocol, Result
from sidkit.report import print_report
from sidkit.report.collect import RunData
from sidkit.report.html.page import page
from sidkit.report.remarks import remarks


def run_of(values, *, distinct=None, history=None, trained="tiger", split="leave_last_out"):
    """A run whose models reached `values`; `history`, of `trained`: (last step, best step, validation)."""
    results = [Result(model, "all", "ndcg@10", value, (value, value)) for model, value in values.items()]
    results += [
        Result(model, "all", "distinct@10", float(value)) for model, value in (distinct or {}).items()
    ]
    histories = {}
    if history is not None:
        last, best, valid = history
        evaluations = [
            {"step": best, "metrics": {"ndcg@10": valid}},
            {"step": last, "metrics": {"ndcg@10": valid / 2}},
        ]
        steps = [{"step": last, "loss": 1.0}]
        histories[trained] = {"steps": steps, "evaluations": evaluations, "best_step": best}
    metrics = Metrics(Protocol(candidates=100, users=10, dataset="world", split=split), results)
    return RunData(path=Path("run"), metrics=metrics, histories=histories)


def test_nothing_is_said_of_a_model_that_does_well():
    run = run_of({"tiger": 0.05, "popularity": 0.02}, distinct={"tiger": 90, "popularity": 10})
    assert remarks(run) == []


def test_twice_popularity_is_enough_and_a_little_less_is_not():
    assert remarks(run_of({"tiger": 0.04, "popularity": 0.02})) == []
    (said,) = remarks(run_of({"tiger": 0.039, "popularity": 0.02}))
    assert "TIGER reaches NDCG@10 0.0390, 1.95 times that of popularity (0.0200)" in said


@pytest.mark.parametrize(
    ("history", "cause"),
    [
        (
            (1000, 900, 0.03),
            "still improving on validation near the end (best at step 900 of 1,000)",
        ),
        ((1000, 300, 0.03), "best at step 300 of 1,000: more steps do not help"),
        ((1000, 900, 0.06), "On validation it reached 0.0600: the last event of a user is harder to predict"),
    ],
)
def test_the_course_of_the_training_names_the_cause(history, cause):
    (said,) = remarks(run_of({"tiger": 0.03, "popularity": 0.02}, history=history))
    assert cause in said


def test_a_model_without_a_course_is_said_to_fall_short_and_no_more():
    (said,) = remarks(run_of({"tiger": 0.03, "popularity": 0.02}))
    assert said.endswith("2 times is expected.")


def test_a_split_by_time_has_no_last_event_of_a_user():
    run = run_of({"tiger": 0.03, "popularity": 0.02}, history=(1000, 900, 0.06), split="global_time")
    (said,) = remarks(run)
    assert "it reached 0.0600: the events of the test set are harder" in said and "last event" not in said


def test_every_ranking_of_one_training_has_its_course_but_validation_is_of_the_fused_one():
    values = {"rqtransformer": 0.03, "rqtransformer-fused": 0.03, "popularity": 0.02}
    tokens, fused = remarks(run_of(values, history=(1000, 900, 0.06), trained="rqtransformer"))
    assert tokens.startswith("RQTransformer ") and fused.startswith("RQ fused ")
    assert "best at step 900 of 1,000" in tokens and "best at step 900 of 1,000" in fused
    assert "On validation it reached 0.0600" in fused
    assert "it reached" not in tokens
    assert "best other model" not in tokens + fused
    del values["rqtransformer-fused"]
    (tokens,) = remarks(run_of(values, history=(1000, 900, 0.06), trained="rqtransformer"))
    assert "On validation it reached 0.0600" in tokens


@pytest.mark.parametrize(
    ("sasrec", "cause"),
    [
        (0.045, "2.25 times popularity: the order of events has little information"),
        (0.09, "more information than this model uses"),
    ],
)
def test_other_models_show_what_there_is_to_learn(sasrec, cause):
    (said,) = remarks(run_of({"tiger": 0.03, "sasrec": sasrec, "popularity": 0.02}))
    assert cause in said


def test_lists_that_are_the_same_for_everyone():
    (said,) = remarks(
        run_of(
            {"tiger": 0.05, "sasrec": 0.06, "popularity": 0.02},
            distinct={"tiger": 549, "sasrec": 8000, "popularity": 20},
        )
    )
    assert "All lists of TIGER together have 549 distinct items, those of SASRec 8,000" in said


def test_nothing_to_compare_with():
    assert remarks(run_of({"tiger": 0.01})) == []
    assert remarks(run_of({"tiger": 0.01, "popularity": 0.0})) == []
    assert remarks(RunData(path=Path("run"))) == []


def test_page_and_terminal_show_the_remarks():
    run = run_of({"tiger": 0.03, "popularity": 0.02}, history=(1000, 900, 0.03))
    out = io.StringIO()
    print_report(run, console=Console(file=out, width=400, color_system=None))
    assert "train it longer" in out.getvalue()
    assert "What stands out" in page(run) and "train it longer" in page(run)


def diagnosed(level_loss, bigram_loss):
    results = [Result("tiger", "all", "ndcg@10", 0.05)]
    losses = {"tiger": {"level_loss": level_loss, "bigram_loss": bigram_loss}}
    metrics = Metrics(Protocol(candidates=100, users=10, dataset="world"), results, diagnostics=losses)
    return RunData(path=Path("run"), metrics=metrics)


def test_levels_that_a_bigram_baseline_predicts_as_well():
    assert remarks(diagnosed([1.0, 2.0], [3.0, 2.5])) == []
    (said,) = remarks(diagnosed([1.0, 2.6], [3.0, 2.5]))
    assert "level 1 (2.60 against 2.50)" in said and "the first level is learned" in said
    (said,) = remarks(diagnosed([3.1, 2.6], [3.0, 2.5]))
    assert "level 0 (3.10 against 3.00), 1 (2.60 against 2.50)" in said and "train it longer" in said


def test_lists_that_would_do_for_anyone():
    results = [
        Result("tiger", "all", metric, value)
        for metric, value in (
            ("ndcg@10", 0.05),
            ("recall@10", 0.1),
            ("shuffled_history_recall@10", 0.06),
            ("list_overlap@10", 0.4),
        )
    ]
    protocol = Protocol(candidates=100, users=10, dataset="world")
    (said,) = remarks(RunData(path=Path("run"), metrics=Metrics(protocol, results)))
    assert "a Recall@10 of 0.0600 (with their own 0.1000), and two users share 40% of their lists" in said
    results[2] = Result("tiger", "all", "shuffled_history_recall@10", 0.04)
    assert remarks(RunData(path=Path("run"), metrics=Metrics(protocol, results))) == []
