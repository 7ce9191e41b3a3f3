"""Alignment of recommenders: exact policies, rewards that rise inside the budget, and invalid input."""

import numpy as np
import polars as pl
import pytest
import torch
from tests.worlds import ITEMS, small_recommender, small_world

import sidkit
from sidkit.errors import ConfigError, DataError, NotFittedError
from sidkit.recommenders.alignment import ExactPolicy, TriePolicy
from sidkit.train import DPO, GRPO, IPO, Budget, Preferences, SoftmaxDPO
from sidkit.train.align import ItemAttribute, NextItem, Prompts, RewardHackingWarning

# Little data makes accuracy fall; the test of the warning looks for it.
pytestmark = pytest.mark.filterwarnings("ignore::sidkit.train.align.RewardHackingWarning")

GENERATIVE = ["rqtransformer", "decoderonly", "tiger", "actionpiece"]
THIRD = ItemAttribute((np.arange(ITEMS) % 3 == 0).astype(float))
FREE = Budget(kl=5.0, ndcg_loss=None)
QUICK = {
    "steps": 6,
    "batch_size": 16,
    "group_size": 6,
    "evaluate_every_steps": 6,
    "warmup_steps": 0,
    "beta": 0.1,
}


@pytest.fixture(scope="module")
def models():
    """Recommenders after a few steps, by method; not to be changed."""
    made = {}

    def model(method):
        if method not in made:
            few = {"max_steps": 8, "evaluate_every_steps": 8}
            made[method] = small_world().fit(small_recommender(method, **few), validation=None)
        return made[method]

    return model


def few_validation():
    return small_world().split.validation.take(np.arange(24))


def few_histories():
    return small_world().split.train.take(np.arange(24))


@pytest.mark.parametrize("method", GENERATIVE)
def test_probabilities_of_all_items_sum_to_one(models, method):
    model, world = models(method), small_world()
    histories = [world.ids[:3], world.ids[5:9], [world.ids[7]]]
    log_probs = model.log_probs(histories, [world.ids] * 3)
    assert np.exp(log_probs).sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.isneginf(log_probs[0, :3]).all() or np.exp(log_probs[0, :3]).max() < 1e-30
    seen = model.log_probs(histories, [world.ids] * 3, exclude_seen=False)
    assert np.exp(seen).sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert model.log_probs(histories, world.ids[10:13]) == pytest.approx(
        np.diag(log_probs[:, 10:13]), abs=1e-5
    )


@pytest.mark.parametrize("method", GENERATIVE)
def test_samples_have_the_probabilities_of_the_policy(models, method):
    model = models(method)
    policy = model._policy(exclude_seen=True)
    prompts = Prompts.of_examples(few_validation(), model.item_ids_)
    drawn = policy.sample(model.network_, prompts, 8, seed=1)
    with torch.no_grad():
        log_probs, _ = policy.log_probs(model.network_, prompts, drawn.items)
    torch.testing.assert_close(drawn.log_probs, log_probs, atol=1e-5, rtol=1e-5)
    best = policy.best(model.network_, prompts, 3)
    ranked, _ = model.recommend(few_validation(), k=3)
    assert (model._index.ids(best.items) == ranked).all()


def test_the_trie_and_the_softmax_over_all_items_agree_with_gradients(models):
    model = models("rqtransformer")
    network, sids = model.network_, model.sids_
    prompts = Prompts.of_examples(few_validation(), model.item_ids_)
    items = np.random.default_rng(0).integers(0, ITEMS, size=(len(prompts), 5))
    found = []
    for policy in (
        ExactPolicy(np.ones(ITEMS), np.ones(ITEMS, bool), exclude_seen=False),
        TriePolicy(sids.trie, sids.tokens, None, exclude_seen=False),
    ):
        log_probs, _ = policy.log_probs(network.eval(), prompts, items)
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        found.append((log_probs, torch.autograd.grad(log_probs.exp().sum(), weights, allow_unused=True)))
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-5, rtol=1e-4)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        if one is not None and other is not None:
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)
    network.eval()


@pytest.mark.parametrize("method", GENERATIVE[:3])
def test_every_recommender_learns_a_reward(models, method):
    model = models(method)
    before = {name: weight.clone() for name, weight in model.network_.state_dict().items()}
    settings = DPO(learning_rate=5e-3, **QUICK)
    examples = few_validation().take(np.arange(8))
    aligned = model.align(examples, reward=THIRD, method=settings, validation=examples, budget=FREE)
    assert aligned.alignment_.kept["reward"] > aligned.alignment_.reference["reward"] + 0.005
    assert aligned.alignment_.reference["kl"] == pytest.approx(0, abs=1e-5)
    assert aligned.method == model.method and not hasattr(model, "alignment_")
    for name, weight in model.network_.state_dict().items():
        assert torch.equal(weight, before[name])


@pytest.mark.parametrize("settings", [DPO, IPO, SoftmaxDPO, GRPO])
def test_every_method_learns_a_reward(models, settings):
    method = settings(learning_rate=5e-3, **QUICK | {"steps": 20, "evaluate_every_steps": 20, "beta": None})
    aligned = models("rqtransformer").align(
        few_histories(), reward=THIRD, method=method, validation=few_validation(), budget=FREE
    )
    assert aligned.alignment_.kept["reward"] > aligned.alignment_.reference["reward"] + 0.03
    assert aligned.alignment_.beta > 0


def test_the_same_seed_gives_the_same_weights(models):
    method = GRPO(updates_per_group=2, learning_rate=3e-3, **QUICK)
    one, other = (
        models("rqtransformer").align(few_histories(), reward=THIRD, method=method, budget=FREE)
        for _ in range(2)
    )
    for weight, same in zip(one.network_.parameters(), other.network_.parameters(), strict=True):
        assert torch.equal(weight, same)


def test_the_policy_stays_inside_its_budget(models):
    budget = Budget(kl=0.02, ndcg_loss=None)
    method = DPO(learning_rate=1e-2, **QUICK | {"steps": 24})
    aligned = models("rqtransformer").align(
        few_histories(), reward=THIRD, method=method, validation=few_validation(), budget=budget
    )
    kept, reference = aligned.alignment_.kept, aligned.alignment_.reference
    assert 0.01 < kept["kl"] <= 0.02
    assert kept["reward"] > reference["reward"]


def test_reward_hacking_is_named(models):
    """A reward of items that nobody takes next."""
    model, world = models("rqtransformer"), small_world()

    def against(histories, item_ids):
        following = [world.after(list(history)[-1]) for history in histories]
        return np.array(
            [[item != next_ for item in row] for row, next_ in zip(item_ids, following, strict=True)]
        )

    method = DPO(learning_rate=1e-2, **QUICK | {"steps": 18, "beta": 0.05})
    with pytest.warns(RewardHackingWarning, match="the reward rises while accuracy falls"):
        aligned = model.align(
            few_histories(),
            reward=against,
            method=method,
            validation=few_validation(),
            budget=Budget(kl=None, ndcg_loss=0.05),
        )
    assert aligned.alignment_.reward_hacking
    assert aligned.alignment_.reward == "against"
    assert aligned.alignment_.kept["ndcg@10"] >= 0.95 * aligned.alignment_.reference["ndcg@10"]


def test_preferences_are_learned(models):
    world = small_world()
    histories = [[item] for item in world.ids[8:]] * 2
    others = [[world.ids[1], world.ids[4]]] * len(histories)
    made = Preferences.from_ids(histories, [world.ids[0]] * len(histories), others, world.dataset.item_ids)
    method = SoftmaxDPO(learning_rate=5e-3, **QUICK | {"steps": 24})
    aligned = models("rqtransformer").align(made, method=method, budget=Budget(kl=None, ndcg_loss=None))
    assert aligned.alignment_.reference["reward"] == 0.5
    assert aligned.alignment_.kept["reward"] > 0.7
    assert aligned.alignment_.reward == "preferences"


def test_aligned_recommenders_are_saved(models, tmp_path):
    model = models("rqtransformer").align(
        few_histories(), reward=THIRD, method=GRPO(**QUICK), validation=few_validation(), budget=FREE
    )
    model.save(tmp_path)
    loaded = sidkit.load_model(tmp_path)
    assert loaded.alignment_ == model.alignment_
    history = [small_world().ids[:4]]
    assert (loaded.recommend(history)[0] == model.recommend(history)[0]).all()


def test_removed_items_have_no_probability(models):
    world = small_world()
    for method in ("rqtransformer", "decoderonly"):
        model = models(method)
        try:
            model.removed_[5] = True
            log_probs = model.log_probs([world.ids[8:10]], [world.ids])[0]
        finally:
            model.removed_[5] = False
        assert np.exp(log_probs[5]) == pytest.approx(0, abs=1e-12)
        assert np.exp(log_probs).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"reward": None}, ConfigError, "`reward` has the wrong type"),
        ({"reward": "rating"}, ConfigError, "`reward` has the wrong type"),
        ({"method": "grpo"}, ConfigError, "`method` or `budget` has the wrong type"),
        ({"budget": 0.5}, ConfigError, "`method` or `budget` has the wrong type"),
        ({"histories": [["item-00"]]}, DataError, "alignment needs many histories"),
        ({"histories": ["item-00", "item-01"]}, DataError, "alignment needs many histories"),
        ({"reward": lambda histories, item_ids: 1.0}, DataError, "has the wrong shape"),
        ({"validation": "all"}, DataError, "EvaluationSet|known item|wrong form"),
        ({"reward": ItemAttribute([1.0])}, DataError, "another catalogue"),
    ],
)
def test_invalid_arguments(models, arguments, error, message):
    given = {"histories": few_histories(), "reward": NextItem(), "method": GRPO(**QUICK)} | arguments
    with pytest.raises(error, match=message):
        models("rqtransformer").align(given.pop("histories"), **given)


def test_preferences_need_their_own_methods(models):
    world = small_world()
    made = Preferences.from_ids([[world.ids[0]]], [world.ids[1]], [[world.ids[2]]], world.dataset.item_ids)
    with pytest.raises(ConfigError, match="preferences and a reward cannot be combined"):
        models("rqtransformer").align(made, method=GRPO())
    with pytest.raises(ConfigError, match="preferences and a reward cannot be combined"):
        models("rqtransformer").align(made, method=DPO(), reward=NextItem())
    other = Preferences.from_ids([[1]], [2], [[3]], pl.Series("item_id", [1, 2, 3]))
    with pytest.raises(DataError, match="another catalogue"):
        models("rqtransformer").align(other, method=DPO())


def test_an_unfitted_recommender():
    with pytest.raises(NotFittedError):
        small_recommender("rqtransformer").align([["item-00", "item-01"]], reward=NextItem())


@pytest.mark.parametrize(
    ("histories", "items", "message"),
    [
        ([["item-00"]], [["item-99"]], "`item-99`|'item-99' is unknown"),
        ([["item-00"]], [["item-01"], ["item-02"]], "items do not fit the histories"),
        ([[]], [["item-01"]], "a history has no known item"),
    ],
)
def test_invalid_log_probs(models, histories, items, message):
    with pytest.raises(DataError, match=message):
        models("rqtransformer").log_probs(histories, items)
