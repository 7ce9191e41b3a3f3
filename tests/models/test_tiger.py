"""TIGER: shapes, causality, decoding step by step equal to teacher forcing, one pass equal to many."""

import pytest
import torch

from sidkit.errors import ConfigError
from sidkit.models import TIGERNetwork

SIZES = (7, 5, 3)
ENCODERS = ["bidirectional", "block_causal"]


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


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("user_buckets", [0, 10])
def test_steps_give_the_log_probabilities_of_teacher_forcing(user_buckets, encoder):
    model = small(user_buckets=user_buckets, encoder=encoder)
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


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("user_buckets", [0, 3])
def test_block_causal_items_are_encoded_from_earlier_items_alone(user_buckets, encoder):
    model = small(user_buckets=user_buckets, encoder=encoder)
    history, users = tokens(4, 5), torch.arange(4) % 3 if user_buckets else None
    other = history.clone()
    other[:, 3:] = tokens(4, 2)
    end = 3 * len(SIZES) + bool(user_buckets)
    one, two = (model.encode(each, users)[:, :end] for each in (history, other))
    assert torch.allclose(one, two, rtol=1e-5, atol=1e-6) == (encoder == "block_causal")


def test_tokens_of_an_item_attend_to_one_another():
    model = small(encoder="block_causal")
    history = tokens(4, 3)
    other = history.clone()
    other[:, 1, 2] = (other[:, 1, 2] + 1) % SIZES[2]
    one, two = model.encode(history), model.encode(other)
    torch.testing.assert_close(one[:, :3], two[:, :3])
    assert not torch.isclose(one[:, 3:], two[:, 3:]).all(-1).any()


LENGTHS = (4, 1, 3)


def sequences():
    """Three padded histories, the items after theirs, and which are real."""
    real = torch.arange(4) < torch.tensor(LENGTHS)[:, None]
    return tokens(3, 4), tokens(3, 4), real


@pytest.mark.parametrize("user_buckets", [0, 3])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_one_pass_gives_the_losses_and_gradients_of_every_prefix_on_its_own(user_buckets, smoothing):
    model = small(user_buckets=user_buckets, encoder="block_causal")
    history, target, real = sequences()
    users = torch.arange(3) if user_buckets else None
    losses = []
    for row, length in enumerate(LENGTHS):
        user = None if users is None else users[row : row + 1]
        for end in range(1, length + 1):
            prefix, following = history[row : row + 1, :end], target[row : row + 1, end - 1]
            losses.append(model(prefix, following, user, label_smoothing=smoothing))
    expected = torch.stack(losses).mean(0)
    expected.sum().backward()
    gradients = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    found = model.sequence_losses(history, target, real, users, label_smoothing=smoothing)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    found.sum().backward()
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad, gradients[name], rtol=1e-4, atol=1e-6)


def test_histories_packed_into_a_row_do_not_attend_to_each_other():
    model = small(encoder="block_causal")
    history, target, real = sequences()
    expected = model.sequence_losses(history, target, real)
    # The second and third history share a row.
    rows = [history[:1], torch.cat([history[1:2, :1], history[2:, :3]], 1)]
    targets = [target[:1], torch.cat([target[1:2, :1], target[2:, :3]], 1)]
    segments = torch.tensor([[0, 0, 0, 0], [0, 1, 1, 1]])
    everything = torch.ones(2, 4, dtype=torch.bool)
    packed = model.sequence_losses(torch.cat(rows), torch.cat(targets), everything, segments=segments)
    torch.testing.assert_close(packed, expected, rtol=1e-5, atol=1e-6)


def test_padding_has_no_effect_on_one_pass():
    model = small(encoder="block_causal")
    history, target, real = sequences()
    others = [torch.where(real[..., None], part, tokens(3, 4)) for part in (history, target)]
    found = model.sequence_losses(*others, real)
    torch.testing.assert_close(found, model.sequence_losses(history, target, real))


def test_a_pass_over_all_prefixes_refuses_what_it_does_not_support():
    history, target, real = sequences()
    with pytest.raises(ConfigError, match="one pass over all prefixes needs a block-causal encoder"):
        small().sequence_losses(history, target, real)
    with pytest.raises(ValueError, match="histories are too long: expected at most 3 items, got 4"):
        small(encoder="block_causal", max_items=3).sequence_losses(history, target, real)
    segments = torch.zeros(3, 4, dtype=torch.int64)
    model = small(encoder="block_causal", user_buckets=2)
    with pytest.raises(ConfigError, match="packed histories cannot have user tokens"):
        model.sequence_losses(history, target, real, torch.zeros(3).long(), segments=segments)
    with pytest.raises(ConfigError, match="unknown encoder mask: expected `bidirectional` or"):
        small(encoder="causal")
