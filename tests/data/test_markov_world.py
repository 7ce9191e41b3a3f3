"""The synthetic catalogue whose optimal recommendations are known."""

import numpy as np
import polars as pl
import pytest

from sidkit.data import MarkovWorld, load_dataset
from sidkit.embed import load_vectors
from sidkit.errors import ConfigError

WORLD = MarkovWorld(items=503, clusters=20, dim=8, max_events=12)  # clusters of 25 and of 26 items
SESSIONS = WORLD.sessions(0, 4000)


def probabilities(world, cluster):
    """The distribution of the next item after an item of a cluster, one item after the other."""
    found = np.zeros(world.items)
    clusters = world.cluster_of(np.arange(world.items))
    for successor, share in zip(world._successors[cluster], world.transitions, strict=True):
        rows = np.flatnonzero(clusters == successor)
        by_rank = rows[np.argsort(world._slots(rows))]
        weights = (1.0 + np.arange(len(rows))) ** -world.popularity_exponent
        found[by_rank] += share * weights / weights.sum()
    return found


def test_rows_are_distributed_over_clusters_of_equal_size():
    assert set(np.bincount(WORLD.cluster_of(np.arange(503)))) == {25, 26}
    rows = np.arange(503)
    slots = WORLD._slots(rows)
    assert np.array_equal(WORLD._rows_at(slots % 20, slots // 20), rows)


def test_successors_are_distinct_and_each_cluster_follows_equally_often():
    successors = WORLD._successors
    assert all(len({cluster, *row}) == 4 for cluster, row in enumerate(successors.tolist()))
    assert all(sorted(column) == list(range(20)) for column in successors.T.tolist())


def test_the_best_items_are_those_of_the_distribution():
    last = np.arange(0, 503, 7)
    rows, log_probabilities = WORLD.best_items(last, 30)
    for row, cluster in enumerate(WORLD.cluster_of(last)):
        expected = probabilities(WORLD, cluster)
        order = np.lexsort((np.arange(503), -expected))[:30]
        assert np.array_equal(rows[row], order)
        assert np.allclose(log_probabilities[row], np.log(expected[order]), atol=1e-6)
    everything, scores = WORLD.best_items([0], 100)
    assert (everything[0, 76:] >= 0).sum() <= 2 and np.isneginf(scores[0, 78:]).all()


def test_the_expected_recall_is_that_of_sampled_sessions():
    targets, last = SESSIONS.values[SESSIONS.offsets[1:] - 1], SESSIONS.values[SESSIONS.offsets[1:] - 2]
    hits = (WORLD.best_items(last, 10)[0] == targets[:, None]).any(1)
    expected = WORLD.expected_recall(10)
    assert 0.2 < expected < 0.7 and abs(hits.mean() - expected) < 4 * np.sqrt(0.25 / len(hits))
    counts = np.bincount(SESSIONS.values, minlength=503)
    popular = np.isin(targets, np.argsort(-counts)[:10]).mean()
    assert abs(popular - WORLD.popularity_recall(10)) < 0.05 and popular < expected / 2


def test_vectors_show_the_clusters():
    vectors = WORLD.vectors(0, 503).astype(np.float32)
    nearest = ((vectors[:, None] - WORLD._centres) ** 2).sum(2).argmin(1)
    assert (nearest == WORLD.cluster_of(np.arange(503))).mean() > 0.9


def test_written_files_are_a_dataset(tmp_path):
    seen = []
    WORLD.write(tmp_path / "world", 300, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(503, 803), (803, 803)]
    data = load_dataset(tmp_path / "world")
    histories, expected = data.histories(), WORLD.sessions(0, 300)
    assert np.array_equal(histories.values, expected.values)
    assert np.array_equal(histories.offsets, expected.offsets)
    assert data.items["cluster"].to_list() == WORLD.cluster_of(np.arange(503)).tolist()
    vectors = load_vectors(tmp_path / "world" / "vectors.npy", data.item_ids)
    assert np.array_equal(vectors, WORLD.vectors(0, 503).astype(np.float32))
    frame = pl.read_parquet(tmp_path / "world" / "interactions.parquet")
    assert frame.height == len(expected.values) and frame["timestamp"].is_between(1.7e9, 1.74e9).all()


def test_the_same_settings_give_the_same_world():
    one, other = (MarkovWorld(items=items, clusters=20, dim=8) for items in (503, 503))
    assert np.array_equal(one.sessions(65_536, 65_540).values, other.sessions(65_536, 65_540).values)
    assert not np.array_equal(
        one.vectors(0, 9), MarkovWorld(items=503, clusters=20, dim=8, seed=1).vectors(0, 9)
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clusters": 3}, "expected 4 to 50"),
        ({"clusters": 51}, "expected 4 to 50"),
        ({"transitions": (0.5, 0.4)}, "whose sum is 1"),
        ({"min_events": 9, "max_events": 8}, "min_events <= max_events"),
    ],
)
def test_settings_out_of_range_are_errors(settings, message):
    with pytest.raises(ConfigError, match=message):
        MarkovWorld(items=50, **settings)
