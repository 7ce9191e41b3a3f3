"""Settings, budgets, and the strength of the penalty that fits a budget."""

import math

import pytest
import torch

from sidkit.errors import ConfigError, FormatError
from sidkit.train import DPO, GRPO, Budget, History
from sidkit.train.align import METHODS, AlignmentRecord
from sidkit.train.align.beta import beta_for


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GRPO(clip=1.0), "GRPO: .*clip"),
        (lambda: GRPO(group_size=1), "group_size"),
        (lambda: DPO(beta=0.0), "DPO: .*beta"),
        (lambda: DPO(learning_rate=float("nan")), "learning_rate"),
        (lambda: GRPO(expectation="best"), "expectation"),
        (lambda: Budget(kl=-1.0), "Budget: .*kl"),
        (lambda: Budget(ndcg_loss=1.5), "ndcg_loss"),
    ],
)
def test_settings_out_of_range(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_methods_by_name():
    assert set(METHODS) == {"grpo", "dpo", "ipo", "sdpo"}
    assert all(METHODS[name].method == name for name in METHODS)


def test_beta_gives_the_divergence_of_the_budget():
    generator = torch.Generator().manual_seed(0)
    log_probs = torch.randn(20, 12, generator=generator).log_softmax(-1)
    rewards = torch.rand(20, 12, generator=generator)
    order = log_probs.argsort(-1, descending=True)
    log_probs, rewards = log_probs.gather(1, order), rewards.gather(1, order)
    beta = beta_for(0.3, rewards, log_probs, torch.ones(20, 12, dtype=torch.bool))
    tilted = (log_probs + rewards / beta).log_softmax(-1)
    assert float((tilted.exp() * (tilted - log_probs)).sum(-1).mean()) == pytest.approx(0.3, abs=1e-3)


def test_beta_of_equal_rewards_is_finite():
    beta = beta_for(
        0.3, torch.ones(2, 3), torch.full((2, 3), 1 / 3).log(), torch.ones(2, 3, dtype=torch.bool)
    )
    assert math.isfinite(beta) and beta > 0


def test_budget_scores():
    reference = {"reward": 0.1, "kl": 0.0, "ndcg@10": 0.5}
    budget = Budget(kl=0.2, ndcg_loss=0.1)
    assert budget.score({"reward": 0.3, "kl": 0.2, "ndcg@10": 0.45}, reference) == 0.3
    assert budget.score({"reward": 0.3, "kl": 0.21, "ndcg@10": 0.5}, reference) == -math.inf
    assert budget.score({"reward": 0.3, "kl": 0.1, "ndcg@10": 0.44}, reference) == -math.inf
    assert Budget(kl=None, ndcg_loss=None).score({"reward": 0.3, "kl": 9.0, "ndcg@10": 0.0}, reference) == 0.3
    assert budget.score({"reward": 0.3, "kl": 0.1}, reference) == 0.3  # without validation


def test_records_are_saved_whole(tmp_path):
    history = History("align.grpo", 3, evaluations=[{"step": 0, "metrics": {"reward": 0.5}}])
    record = AlignmentRecord({"method": "grpo"}, "NextItem", 0.2, {"kl": 0.5}, False, history)
    record.save(tmp_path / "alignment.json")
    assert AlignmentRecord.load(tmp_path / "alignment.json") == record
    assert record.kept == record.reference == {"reward": 0.5}
    (tmp_path / "alignment.json").write_text('{"method": {}}')
    with pytest.raises(FormatError, match="is not the record of an alignment"):
        AlignmentRecord.load(tmp_path / "alignment.json")
