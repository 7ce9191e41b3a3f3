"""Comparison on a world with a known answer: items of one cluster are liked by one half of the users."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from sidkit import SidLayout
from sidkit.errors import ConfigError, FormatError
from sidkit.ranking import (
    REPRESENTATIONS,
    Comparison,
    Impressions,
    RankedItems,
    RankModel,
    RankSettings,
    Result,
    compare,
    fit_ranker,
    item_vectors,
    predict_ranker,
    split_by_time,
)

ITEMS, USERS, EVENTS = 200, 20, 6000
LAYOUT = SidLayout([2, 4, 4])


@pytest.fixture(scope="module")
def world():
    random = np.random.default_rng(0)
    codes = np.stack([random.integers(0, size, ITEMS) for size in LAYOUT.sizes], axis=1).astype(np.uint16)
    vectors = np.eye(2, 6, dtype=np.float32)[codes[:, 0]] + random.normal(0, 0.1, (ITEMS, 6)).astype(
        np.float32
    )
    users, items = random.integers(0, USERS, EVENTS), random.integers(0, ITEMS // 2, EVENTS)
    # The other half of the items appears in the test period only.
    late = np.arange(EVENTS) >= EVENTS * 9 // 10
    items = items + late * (ITEMS // 2)
    labels = (codes[items, 0] == users % 2).astype(np.float32)
    empty = np.full((EVENTS, 3), -1)
    times = np.arange(EVENTS, dtype=np.float64)
    events = Impressions(users, items, times, labels, empty, np.zeros((EVENTS, 2), np.float32))
    return split_by_time(events, ITEMS), RankedItems(pl.Series(range(ITEMS)), vectors, codes, LAYOUT)


def budget(num_embeddings, dim, **settings):
    return RankSettings(num_embeddings=num_embeddings, dim=dim, **settings)


def test_semantic_ids_know_new_items_and_a_random_hash_does_not(world):
    split, catalogue = world
    found = compare(
        split,
        catalogue,
        representations=["random", "prefix"],
        settings=budget(100, 4, seeds=[0, 1], epochs=6, batch_size=128),
    )
    means = {
        (row["representation"], row["slice"]): row["mean"]
        for row in found.summary().filter(pl.col("metric") == "auc").to_dicts()
    }
    assert means["prefix", "new items"] > 0.95
    assert means["random", "new items"] < 0.7
    assert found.parameters == {"random": 400, "prefix": 400}
    again = Comparison.from_json(found.to_json())
    assert again.to_json() == found.to_json()
    assert again.settings == found.settings and again.parameters == found.parameters
    assert [replace(each, value=0) for each in again.results] == [
        replace(each, value=0) for each in found.results
    ]
    np.testing.assert_allclose(
        [each.value for each in again.results], [each.value for each in found.results], atol=1e-6
    )


def part(name, value, **settings):
    result = Result(name, 0, "all", "auc", value, 10)
    return Comparison(
        [result], {"seeds": [0], "num_embeddings": 5, "codebook_sizes": [2]} | settings, {name: 10}
    )


def test_comparisons_are_combined_under_different_names():
    both = part("random", 0.5).combined(part("all", 0.75, codebook_sizes=[4]).renamed("all", "mine"))
    assert both.parameters == {"random": 10, "mine": 10}
    rows = {row["representation"]: row for row in both.summary().to_dicts()}
    assert rows["mine"]["mean"] == 0.75 and rows["mine"]["difference"] == 0.25


def test_comparisons_of_other_settings_or_the_same_representation_are_not_combined():
    with pytest.raises(ConfigError, match=r"settings that differ: \['num_embeddings'\]"):
        part("random", 0.5).combined(part("all", 0.5, num_embeddings=6))
    with pytest.raises(ConfigError, match=r"representations in both: \['random'\]"):
        part("random", 0.5).combined(part("random", 0.5))


@pytest.mark.parametrize("text", ["", "[]", '{"settings": {}}', '{"results": [{}]}'])
def test_invalid_json_of_a_comparison_is_refused(text):
    with pytest.raises(FormatError, match="not the JSON of a comparison"):
        Comparison.from_json(text)


def test_half_of_the_training_events_have_no_user_embedding(world):
    _, catalogue = world
    items = item_vectors("prefix", catalogue, known=np.ones(ITEMS, bool), settings=budget(50, 2))
    users = torch.arange(USERS).repeat(50)
    same = (users, torch.zeros_like(users), torch.full((len(users), 1), -1), torch.zeros(len(users), 2))
    model = RankModel(items, USERS, 2)
    torch.nn.init.constant_(model.users.weight, 3.0)
    # All users look alike, so there are two answers: with the user and without.
    values, counts = model.train()(*same).detach().round(decimals=4).unique(return_counts=True)
    assert len(values) == 2 and 400 < counts[0] < 600
    assert len(model.eval()(*same).detach().round(decimals=4).unique()) == 1
    with pytest.raises(ConfigError, match="`user_dropout` is invalid"):
        RankModel(items, USERS, 2, user_dropout=1.5)
    with pytest.raises(ConfigError, match="`users` is invalid: expected an integer >= 0, got -1"):
        RankModel(items, -1, 2)


def test_summary_is_means_with_paired_differences(world):
    split, catalogue = world
    found = compare(
        split,
        catalogue,
        representations=["random", "unigram"],
        settings=budget(50, 2, seeds=[0, 1, 2], epochs=1),
    )
    values = {
        name: np.array(
            [r.value for r in found.results if (r.representation, r.slice, r.metric) == (name, "all", "auc")]
        )
        for name in ("random", "unigram")
    }
    row = found.summary().row(
        by_predicate=(pl.col("representation") == "unigram")
        & (pl.col("slice") == "all")
        & (pl.col("metric") == "auc"),
        named=True,
    )
    apart = values["unigram"] - values["random"]
    assert row["mean"] == pytest.approx(values["unigram"].mean())
    assert row["difference"] == pytest.approx(apart.mean())
    assert row["difference_half_width"] == pytest.approx(4.303 * apart.std(ddof=1) / 3**0.5)


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_every_representation_keeps_to_the_budget(world, name):
    split, catalogue = world
    made = item_vectors(name, catalogue, known=split.train_counts > 0, settings=budget(500, 8))
    assert made().shape == (ITEMS, 8)
    parameters = sum(each.numel() for each in made.parameters())
    assert abs(parameters - 500 * 8) <= 500 * 8 * 0.01


def test_training_with_a_seed_can_be_repeated(world):
    split, catalogue = world
    probabilities = []
    for _ in range(2):
        items = item_vectors("all", catalogue, known=split.train_counts > 0, settings=budget(50, 2), seed=5)
        model = RankModel(items, USERS, 2)
        losses = fit_ranker(model, split.train, split.validation, epochs=2, seed=5)
        assert losses[-1] == min(losses)
        probabilities.append(predict_ranker(model, split.test))
    np.testing.assert_array_equal(*probabilities)


def test_the_model_does_not_see_the_padding_of_histories(world):
    _, catalogue = world
    made = item_vectors("prefix", catalogue, known=np.ones(ITEMS, bool), settings=budget(50, 2))
    model = RankModel(made, USERS, 2).eval()
    users, items, context = torch.tensor([0, 1]), torch.tensor([3, 4]), torch.zeros(2, 2)
    short = model(users, items, torch.tensor([[7, 8], [-1, -1]]), context)
    long = model(users, items, torch.tensor([[7, -1, 8, -1], [-1] * 4]), context)
    torch.testing.assert_close(short, long)


def test_bad_settings_are_refused(world):
    split, catalogue = world
    with pytest.raises(ConfigError, match="1 to 10 different numbers"):
        RankSettings(seeds=[1, 1])
    with pytest.raises(ConfigError, match="unknown representation `other`: expected one of random, content"):
        compare(
            split,
            catalogue,
            representations=["random", "other"],
            settings=RankSettings(seeds=[0]),
            progress=lambda done, total: pytest.fail("a training ended before the mistake was reported"),
        )
    bare = RankedItems(catalogue.item_ids, catalogue.vectors)
    with pytest.raises(ConfigError, match="items without Semantic IDs"):
        compare(split, bare, representations=["random", "prefix"], settings=RankSettings(seeds=[0]))
    items = item_vectors("prefix", catalogue, known=np.ones(ITEMS, bool), settings=budget(50, 2))
    with pytest.raises(ConfigError, match="`epochs` is invalid: expected an integer >= 1"):
        fit_ranker(RankModel(items, USERS, 2), split.train, split.validation, epochs=0)
