"""TIGER: shapes, causality, and decoding step by step equal to teacher forcing."""

import pytest
import torch

from sidkit.models import TIGERNetwork

SIZES = (7, 5, 3)


def small(**changes) -> TIGERNetwork:
    torch.manual_seed(0)
    settings = {"d_model": 32, "heads": 2, "d_head": 8, "d_ff": 48, "encoder_layers": 2, "decoder_layers": 2}
    return TIGERNetwork(SIZES, **(settings | changes)).eval()


def tokens(*shape: int) -> torch.Tensor:
    return torch.stack([torch.randint(0, size, shape) for size in SIZES], dim=-1)


def test_the_paper_sized_model_has_five_million_parameters():
    model = TIGERNetwork((256, 256, 256, 32))
    assert 4_500_000 < sum(weight.numel() for weight in model.parameters()) < 5_500_000


def test_forward_gives_one_loss_a_level_near_uniform_at_first():
    losses = small()(tokens(16, 4), tokens(16))
    assert losses.shape == (3,)
    uniform = torch.tensor(SIZES).float().log()
    assert torch.all((losses - uniform).abs() < 1.0)


@pytest.mark.parametrize("user_buckets", [0, 10])
def test_steps_give_the_log_probabilities_of_teacher_forcing(user_buckets):
    model = small(user_buckets=user_buckets)
    history, target = tokens(6, 4), tokens(6)
    users = torch.arange(6) if user_buckets else None
    expected = model(history, target, users)
    state = model.start(history, users)
    stay = torch.arange(6)
    for level in range(3):
        parents, written = (None, None) if level == 0 else (stay, target[:, level - 1])
        log_probs = model.next_log_probs(state, parents, written)
        assert log_probs.shape == (6, SIZES[level])
        given = log_probs.gather(1, target[:, level : level + 1]).mean()
        torch.testing.assert_close(-given, expected[level], rtol=1e-5, atol=1e-5)


def test_beams_share_their_users_memory():
    """Three beams of two users, reordered, equal six decodings on their own."""
    model = small()
    history = tokens(2, 4)
    state = model.start(history)
    model.next_log_probs(state, None, None)
    first = torch.tensor([0, 1, 2, 3, 4, 5])
    model.next_log_probs(state, torch.tensor([0, 0, 0, 1, 1, 1]), first)
    second = torch.tensor([4, 3, 2, 1, 0, 0])
    parents = torch.tensor([2, 0, 0, 5, 4, 3])
    together = model.next_log_probs(state, parents, second)
    for row in range(6):
        alone = model.start(history[row // 3 : row // 3 + 1])
        model.next_log_probs(alone, None, None)
        model.next_log_probs(alone, torch.tensor([0]), first[parents[row]][None])
        expected = model.next_log_probs(alone, torch.tensor([0]), second[row][None])
        torch.testing.assert_close(together[row], expected[0], rtol=1e-5, atol=1e-5)


def test_a_later_token_never_changes_an_earlier_loss():
    model = small()
    history, target = tokens(4, 3), tokens(4)
    other = target.clone()
    other[:, 2] = (other[:, 2] + 1) % SIZES[2]
    torch.testing.assert_close(model(history, target)[:2], model(history, other)[:2])


def test_only_the_most_recent_items_are_read():
    model = small(max_items=3)
    history = tokens(4, 8)
    torch.testing.assert_close(model.encode(history), model.encode(history[:, -3:]))


def test_the_order_of_the_history_matters():
    model = small()
    history, target = tokens(4, 5), tokens(4)
    assert not torch.allclose(model(history, target), model(history.flip(1), target))


def test_user_tokens_ask_for_users():
    with pytest.raises(ValueError, match="pass `users`, one bucket per history"):
        small(user_buckets=4)(tokens(2, 3), tokens(2))


def test_every_parameter_learns():
    model = small().train()
    model(tokens(8, 4), tokens(8)).sum().backward()
    silent = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert silent == []
