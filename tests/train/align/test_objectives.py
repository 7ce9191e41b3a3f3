"""Objectives on a catalogue that is small enough to enumerate, in float64."""

from itertools import permutations

import pytest
import torch

from sidkit.train.align import DPO, GRPO, IPO, Group, SoftmaxDPO, expectation_weights

ITEMS, HISTORIES, BETA = 6, 3, 0.4


@pytest.fixture
def tables():
    """Logits of a policy with gradients, those of a reference, and rewards, each (HISTORIES, ITEMS)."""
    generator = torch.Generator().manual_seed(3)
    shape = HISTORIES, ITEMS
    policy, reference, rewards = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    return policy.requires_grad_(), reference, rewards


def group_of(tables, items, **changes):
    """The group of the given items, int64 (HISTORIES, G), drawn from the policy itself."""
    policy, reference, rewards = tables
    own, fixed = policy.log_softmax(-1), reference.log_softmax(-1)
    values = {
        "log_probs": own.gather(1, items),
        "reference": fixed.gather(1, items),
        "drawn": own.detach().gather(1, items),
        "valid": torch.ones_like(items, dtype=torch.bool),
        "rewards": rewards.gather(1, items),
    }
    return Group(**values | changes)


def everything():
    return torch.arange(ITEMS).expand(HISTORIES, -1)


def enumerated(policy, reference, rewards):
    """The objective of GRPO over the whole catalogue."""
    own, fixed = policy.log_softmax(-1), reference.log_softmax(-1)
    chances = own.exp()
    return (BETA * (chances * (own - fixed)).sum(-1) - (chances * rewards).sum(-1)).sum()


def gradient(loss, policy):
    return torch.autograd.grad(loss, policy)[0]


def ordered_samples(log_probs, size):
    """Every ordered sample without replacement from one distribution, with its probability."""
    chances = log_probs.exp().tolist()
    for sample in permutations(range(len(chances)), size):
        probability, left = 1.0, 1.0
        for item in sample:
            probability, left = probability * chances[item] / left, left - chances[item]
        yield torch.tensor(sample), probability


@pytest.mark.parametrize("size", [1, 2, 3])
def test_weights_of_samples_without_replacement_are_unbiased(size):
    log_probs = torch.tensor([0.1, 0.5, -1.0, 0.3, 1.2], dtype=torch.float64).log_softmax(-1)
    values = torch.tensor([3.0, -1.0, 0.5, 7.0, 2.0], dtype=torch.float64)
    mean = total = 0.0
    for sample, probability in ordered_samples(log_probs, size):
        weights = expectation_weights(log_probs[sample][None], torch.ones(1, size, dtype=torch.bool))[0]
        assert weights.sum().item() == pytest.approx(1)
        mean += probability * float(weights @ values[sample])
        total += probability
    assert total == pytest.approx(1)
    assert mean == pytest.approx(float(log_probs.exp() @ values), abs=1e-9)


def test_weights_of_a_whole_catalogue_are_its_probabilities():
    log_probs = torch.tensor([[0.2, 0.5, 0.3, 1.0]]).log()
    valid = torch.tensor([[True, True, True, False]])
    assert expectation_weights(log_probs, valid)[0].tolist() == pytest.approx([0.2, 0.5, 0.3, 0.0])


@pytest.mark.parametrize("expectation", ["sampled", "top"])
@pytest.mark.parametrize("exact", [True, False])
def test_gradient_of_grpo_over_the_whole_catalogue(tables, expectation, exact):
    policy, reference, _ = tables
    own = policy.log_softmax(-1)
    kl = (own.exp() * (own - reference.log_softmax(-1))).sum(-1) if exact else None
    group = group_of(tables, everything(), kl=kl)
    found = gradient(GRPO(expectation=expectation).losses(group, BETA).sum(), policy)
    torch.testing.assert_close(found, gradient(enumerated(*tables), policy), atol=1e-5, rtol=0)


def test_gradient_of_the_sampled_divergence_is_unbiased(tables):
    policy, reference, _ = tables
    own, fixed = policy[:1].log_softmax(-1), reference[:1].log_softmax(-1)
    expected = gradient((own.exp() * (own - fixed)).sum(), policy)[0]
    found = torch.zeros_like(expected)
    for sample, probability in ordered_samples(own[0].detach(), 3):
        group = group_of(
            (policy, reference, torch.zeros_like(reference)), sample.expand(HISTORIES, -1)
        )  # no reward: the loss is the divergence alone
        found += probability * gradient(GRPO().losses(group, 1.0)[0], policy)[0]
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


def test_probability_ratios_beyond_the_clip_have_no_gradient(tables):
    rewards = torch.tensor([1.0, -1.0]).double().repeat(HISTORIES, ITEMS // 2)
    drawn = tables[0].detach().log_softmax(-1) - rewards  # good items are far more probable already
    group = group_of(tables, everything(), drawn=drawn, rewards=rewards)
    near = GRPO(expectation="top", clip=0.2).losses(group, 0.0).sum()
    group = group_of(tables, everything(), drawn=drawn + 0.9 * rewards, rewards=rewards)
    far = GRPO(expectation="top", clip=0.2).losses(group, 0.0).sum()
    assert gradient(near, tables[0]).abs().max() < 1e-12 < gradient(far, tables[0]).abs().max()


@pytest.mark.parametrize("method", [DPO(), SoftmaxDPO()])
def test_gradient_of_a_pair(tables, method):
    policy, reference, _ = tables
    items = torch.tensor([[0, 1], [2, 5], [4, 3]])
    preferred = torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(HISTORIES, -1)
    group = group_of(tables, items, rewards=None, preferred=preferred)
    found = gradient(method.losses(group, BETA).sum(), policy)
    ratios = (policy.log_softmax(-1) - reference.log_softmax(-1)).detach().gather(1, items)
    slope = -BETA * torch.sigmoid(-BETA * (ratios[:, 0] - ratios[:, 1]))  # of the loss in the margin
    expected = torch.zeros_like(policy).scatter_(1, items, torch.stack([slope, -slope], 1))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_gradient_of_ipo(tables):
    policy, reference, _ = tables
    items = torch.tensor([[0, 1], [2, 5], [4, 3]])
    preferred = torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(HISTORIES, -1)
    group = group_of(tables, items, rewards=None, preferred=preferred)
    found = gradient(IPO().losses(group, BETA).sum(), policy)
    ratios = (policy.log_softmax(-1) - reference.log_softmax(-1)).detach().gather(1, items)
    slope = 2 * (ratios[:, 0] - ratios[:, 1] - 1 / (2 * BETA))
    expected = torch.zeros_like(policy).scatter_(1, items, torch.stack([slope, -slope], 1))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_loss_and_gradient_of_softmax_dpo_are_those_of_the_paper(tables):
    policy, reference, _ = tables
    items = torch.tensor([[0, 1, 2, 3], [2, 5, 0, 1], [4, 3, 1, 0]])
    preferred = torch.zeros(items.shape, dtype=torch.float64)
    preferred[:, 0] = 1.0
    loss = SoftmaxDPO().losses(group_of(tables, items, rewards=None, preferred=preferred), BETA)
    ratios = BETA * (policy.log_softmax(-1) - reference.log_softmax(-1)).gather(1, items)
    paper = -torch.nn.functional.logsigmoid(-(ratios[:, 1:] - ratios[:, :1]).logsumexp(-1))
    torch.testing.assert_close(loss, paper)
    expected = gradient(paper.sum(), policy)
    torch.testing.assert_close(gradient(loss.sum(), policy), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", [GRPO(), GRPO(expectation="top"), DPO(), SoftmaxDPO()])
def test_all_methods_have_the_same_optimum(tables, method):
    """The reference times exp(reward / beta), at which no gradient is left."""
    _, reference, rewards = tables
    policy = (reference + rewards / BETA).requires_grad_()
    own = policy.log_softmax(-1)
    kl = (own.exp() * (own - reference.log_softmax(-1))).sum(-1)
    group = group_of((policy, reference, rewards), everything(), kl=kl)
    assert gradient(method.losses(group, BETA).sum(), policy).abs().max() < 1e-7


@pytest.mark.parametrize("method", [GRPO(), GRPO(normalize=True), DPO(), IPO(), SoftmaxDPO()])
def test_padding_has_no_effect(tables, method):
    policy = tables[0]
    items = everything()[:, :4]
    losses = method.losses(group_of(tables, items), BETA)
    group = group_of(tables, torch.cat([items, items[:, :2]], 1))
    group.valid[:, 4:] = False
    group.drawn[:, 4:] = -torch.inf
    padded = method.losses(group, BETA)
    torch.testing.assert_close(padded, losses)
    assert torch.isfinite(gradient(padded.sum(), policy)).all()


@pytest.mark.parametrize("method", [GRPO(), DPO(), IPO(), SoftmaxDPO()])
def test_a_group_of_one_item_teaches_nothing(tables, method):
    group = group_of(tables, everything()[:, :1], kl=torch.zeros(HISTORIES, dtype=torch.float64))
    assert method.losses(group, BETA).abs().max() == 0
