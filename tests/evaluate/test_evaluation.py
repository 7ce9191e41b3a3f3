import numpy as np
import pytest

from sidkit.errors import ConfigError, DataError
from sidkit.evaluate import Evaluation, Predictions, Protocol, user_metrics

USERS = 40
PROTOCOL = Protocol(candidates=100, users=1, dataset="shop", beam=20)


def predict(model="tiger", *, exclude_seen, hits):
    """Lists of 10 items; the target of each of the first `hits` users is on top."""
    random = np.random.default_rng(hits)
    items = np.array([random.permutation(99)[:10] for _ in range(USERS)], np.int32)
    targets = np.full(USERS, 99, np.int32)
    items[:hits, 0] = 99
    scores = np.tile(-np.arange(10, dtype=np.float32), (USERS, 1))
    return Predictions(model, np.arange(USERS, dtype=np.int32), items, scores, targets, exclude_seen)


@pytest.fixture(scope="module")
def both():
    lists = [predict(exclude_seen=False, hits=10), predict(exclude_seen=True, hits=20)]
    return Evaluation.of(lists, PROTOCOL, ks=(5, 10), slices={"few": np.arange(USERS) < 10})


def test_values_are_those_of_the_lists_and_the_served_setting_is_the_default(both):
    assert both["recall@10"] == both["ndcg@5"] == 0.5
    assert both.result("recall@10", exclude_seen=False).value == 0.25
    assert both.result("recall@10", slice="few").value == 1.0
    made = predict(exclude_seen=True, hits=20)
    for metric, values in user_metrics(made, 100, (5, 10)).items():
        assert both[metric] == values.mean()
    low, high = both.result("recall@10").ci95
    assert low < 0.5 < high


def test_the_protocol_is_completed_from_the_lists(both):
    assert both.model == "tiger"
    assert both.protocol.users == USERS and both.protocol.exclude_seen == (True, False)
    assert both.protocol.beam == 20 and both.metrics.slices == {"all": USERS, "few": 10}


def test_the_frame_has_every_result(both):
    frame = both.to_polars()
    assert frame.columns == ["model", "slice", "exclude_seen", "metric", "value", "low", "high"]
    assert len(frame) == len(both.metrics.results)
    row = frame.filter(metric="ndcg@10", slice="all", exclude_seen=False).row(0, named=True)
    assert row["value"] == 0.25 and row["low"] < 0.25 < row["high"]
    assert frame.filter(metric="coverage@10")["low"].null_count() == 2


def test_the_table_shows_both_settings_and_the_protocol(both):
    heads, *rows = repr(both).splitlines()
    assert heads.split("  ")[0] == "tiger"
    assert heads.index("seen items excluded") < heads.index("seen items included")
    assert [row.split()[0] for row in rows[:6]] == [
        "Recall@5",
        "NDCG@5",
        "MRR@5",
        "Recall@10",
        "NDCG@10",
        "MRR@10",
    ]
    assert "0.5000 (" in rows[0] and "0.2500 (" in rows[0]
    assert "seen items excluded and included" in " ".join(rows)
    written = both._repr_html_()
    assert written.count("<tr>") == 7 and "<td>Recall@5</td><td>0.5000 (" in written


def test_bad_input_is_refused(both):
    with pytest.raises(DataError, match="no predictions to evaluate"):
        Evaluation.of([], PROTOCOL)
    lists = [predict(exclude_seen=True, hits=1), predict("sasrec", exclude_seen=True, hits=1)]
    with pytest.raises(ConfigError, match="expected one, got tiger, sasrec"):
        Evaluation.of(lists, PROTOCOL)
    with pytest.raises(ConfigError, match=r"expected 1\.\.10, got 20"):
        Evaluation.of([predict(exclude_seen=True, hits=1)], PROTOCOL)
    with pytest.raises(ConfigError, match="`ndcg@7` of `all` was not measured"):
        both["ndcg@7"]


def test_the_table_of_a_cold_start_split_shows_warm_and_cold_targets():
    protocol = Protocol(candidates=100, users=1, split="cold_items", cold_share=0.1, cold_seed=0)
    cold = np.arange(USERS) >= 16
    popularity = np.arange(100)  # item 0 is cold
    lists = [predict(exclude_seen=True, hits=20)]
    evaluation = Evaluation.of(
        lists, protocol, slices={"warm": ~cold, "cold": cold}, popularity=popularity, ks=(5, 10)
    )
    assert evaluation.result("recall@10", slice="warm").value == 1.0
    assert evaluation.result("recall@10", slice="cold").value == pytest.approx(4 / 24)
    assert evaluation["cold@10"] == pytest.approx((lists[0].items == 0).mean())
    rows = repr(evaluation).splitlines()[7:12]
    assert [row.split("  ")[0] for row in rows] == [
        "Recall@10, warm targets",
        "NDCG@10, warm targets",
        "Recall@10, cold targets",
        "NDCG@10, cold targets",
        "Cold items in the top 10",
    ]
    assert "1.0000 (1.0000–1.0000)" in rows[0] and "0.1667 (" in rows[2]
    assert rows[4].split()[-1] == f"{evaluation['cold@10']:.4f}"
