import numpy as np
import pytest

from sidkit.evaluate import Metrics, Protocol, Result, TargetRanks
from sidkit.report.tables.baselines import BASELINES, COMPARED, findings, gains_over, strongest_baseline
from sidkit.report.tables.independent import IndependentResult
from sidkit.report.tables.resampling import Resampled
from sidkit.report.tables.results import results_tables
from sidkit.report.tables.stored import Entry, StoredRun

USERS = 200


def entry(model, share, *, ranking="", variant="", options=None):
    """One seed of a model that ranks the targets of the first `share` of the users first."""
    ranking = ranking or model
    places = np.where(np.arange(USERS) < share * USERS, 1, 0)
    users = np.arange(USERS, dtype=np.int32)
    ranks = TargetRanks(users, users, {(ranking, True): places}, {(ranking, True): 10})
    results = [Result(ranking, "all", metric, share, None, True) for metric in ("recall@10", "ndcg@10")]
    protocol = Protocol(candidates=500, users=USERS, dataset="toys", seeds=(0,))
    run = StoredRun("run", "toys", model, variant, 0, Metrics(protocol, results), {}, options or {}, ranks)
    return Entry(ranking, variant, [run])


def published(model, ndcg):
    return IndependentResult(
        dataset="toys",
        model=model,
        source="a paper",
        ties="source",
        exclude_seen=True,
        metrics={"recall@10": ndcg, "ndcg@10": ndcg},
    )


def summary(entries, independent=()):
    baseline = strongest_baseline(entries)
    gains = [] if baseline is None else gains_over(baseline, entries, Resampled.of(entries, COMPARED))
    return findings(entries, baseline, gains, independent)


@pytest.mark.parametrize("name", BASELINES)
def test_the_strongest_baseline_has_the_highest_ndcg(name):
    others = [entry(other, 0.1 + place / 100) for place, other in enumerate(BASELINES) if other != name]
    entries = [entry("tiger", 0.9), *others, entry(name, 0.5)]
    assert strongest_baseline(entries).ranking == name


def test_a_variant_of_a_baseline_is_a_baseline():
    sampled = entry("sasrec", 0.4, variant="sampled")
    renamed = entry("tuned", 0.5, options={"method": "gru4rec"})
    assert strongest_baseline([entry("sasrec", 0.3), sampled]) is sampled
    assert strongest_baseline([sampled, renamed, entry("rqtransformer", 0.6)]) is renamed


def test_no_baseline():
    assert strongest_baseline([entry("tiger", 0.9)]) is None
    assert summary([entry("tiger", 0.9)]) == "No baseline is stored under this protocol."


def test_models_and_other_baselines_are_compared():
    entries = [entry("tiger", 0.5), entry("sasrec", 0.3), entry("popularity", 0.1)]
    gains = gains_over(strongest_baseline(entries), entries, Resampled.of(entries, COMPARED))
    assert [gain.entry.title for gain in gains] == ["TIGER", "Popularity"]
    differences = [[round(found.difference, 6) for found in gain.comparisons] for gain in gains]
    assert differences == [[0.2, 0.2], [-0.2, -0.2]]


def test_the_summary_sorts_the_models():
    entries = [
        entry("rqtransformer", 0.5),
        entry("rqtransformer", 0.6, ranking="rqtransformer-fused"),
        entry("actionpiece", 0.305),
        entry("tiger", 0.2),
        entry("sasrec", 0.3),
        entry("popularity", 0.1),
    ]
    groups = (
        "Significantly better: RQTransformer; RQ fused. No significant difference: ActionPiece. "
        "Significantly worse: TIGER."
    )
    assert summary(entries) == (
        "The strongest of 2 baselines is SASRec. Compared with it:\n\n"
        f"- **Recall@10.** {groups}\n- **NDCG@10.** {groups}"
    )


def test_the_summary_says_where_a_baseline_is_best():
    entries = [entry("rqtransformer", 0.3), entry("transition_graph", 0.305), entry("popularity", 0.1)]
    text = summary(entries)
    same = "No model is significantly better. No significant difference: RQTransformer."
    assert f"- **NDCG@10.** {same}\n" in text
    for metric in ("Recall@10", "NDCG@10"):
        line = f"- The highest {metric} of this table is that of a baseline, Transition graph."
        assert line in text.splitlines()


def test_the_summary_names_published_results_above_ours():
    entries = [entry("rqtransformer", 0.5), entry("sasrec", 0.3)]
    text = summary(entries, [published("HSTU", 0.4), published("BSARec", 0.55)])
    assert "- Published with a higher NDCG@10 than every row measured here: BSARec (0.5500)." in text
    assert "HSTU" not in text


def test_the_heading_of_the_differences_names_the_baseline():
    runs = [one.runs[0] for one in (entry("tiger", 0.5), entry("gru4rec", 0.3), entry("sasrec", 0.2))]
    table = results_tables(runs)
    assert "| Δ vs GRU4Rec (the strongest of 2 baselines) | seeds | Recall@10 | p | NDCG@10 | p |" in table
    assert "| SASRec | 0 against 0 | −0.1000 (−0.1" in table
    assert table.index("| TIGER | 0 |") < table.index("**Baselines**") < table.index("| GRU4Rec | 0 |")
