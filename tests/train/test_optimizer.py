"""AdamW for dense and sparse gradients, and the clipping of both."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from sidkit.train.checkpoint import TrainingState
from sidkit.train.optimizer import LazyAdamW, adamw, clip_gradients

ROWS, WIDTH = 7, 4


class Table(nn.Module):
    """A table of which some rows are read, and a projection."""

    def __init__(self, sparse):
        super().__init__()
        torch.manual_seed(0)
        self.rows = nn.Embedding(ROWS, WIDTH, sparse=sparse)
        self.project = nn.Linear(WIDTH, 3)

    def backward(self, rows, scale=1.0):
        """Set the gradients of a loss that reads the rows, of which one may occur several times."""
        (self.project(self.rows(torch.tensor(rows))).sin().sum() * scale).backward()


def optimizer_of(network):
    return adamw(network, learning_rate=0.05, weight_decay=0.1)


def trained(network, steps, optimizer=None):
    optimizer = optimizer or optimizer_of(network)
    for rows in steps:
        network.backward(rows)
        optimizer.step()
        optimizer.zero_grad()
    return network, optimizer


def assert_close(one, other):
    for ours, theirs in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_it_is_adamw_if_every_row_has_a_gradient():
    steps = [np.random.default_rng(step).permutation([*range(ROWS), 0, 0, 3]).tolist() for step in range(6)]
    sparse, optimizer = trained(Table(sparse=True), steps)
    assert isinstance(optimizer, LazyAdamW)
    dense, _ = trained(Table(sparse=False), steps)
    reference = Table(sparse=False)
    groups = [
        {"params": [reference.rows.weight, reference.project.weight], "weight_decay": 0.1},
        {"params": [reference.project.bias], "weight_decay": 0.0},
    ]
    trained(reference, steps, torch.optim.AdamW(groups, lr=0.05, betas=(0.9, 0.98)))
    assert_close(sparse, reference)
    assert_close(dense, reference)


def test_rows_without_a_gradient_rest():
    network, optimizer = trained(Table(sparse=True), [[0, 1, 2], [1, 2, 3]])
    state = optimizer.state[network.rows.weight]
    before = copy.deepcopy([network.rows.weight.data, state["exp_avg"], state["exp_avg_sq"]])
    trained(network, [[5, 5, 2]], optimizer)
    for was, now in zip(before, [network.rows.weight, state["exp_avg"], state["exp_avg_sq"]], strict=True):
        assert [row for row in range(ROWS) if not torch.equal(was[row], now[row])] == [2, 5]


def test_a_row_is_updated_by_the_formula_at_the_steps_that_read_it():
    """Row 1 at steps 1 and 3: two updates of its running means, and the bias correction of each step."""
    table = nn.Embedding(3, 2, sparse=True)
    optimizer = LazyAdamW(table.parameters(), lr=0.1, betas=(0.9, 0.98), weight_decay=0.2)
    expected = table.weight[1].detach().double().numpy().copy()
    mean, square = np.zeros(2), np.zeros(2)
    gradients = np.array([[1.0, -2.0], [7.0, 7.0], [0.5, 3.0]])
    for step, (row, gradient) in enumerate(zip([1, 0, 1], gradients, strict=True), 1):
        table.weight.grad = torch.sparse_coo_tensor(
            [[row]], gradient[None], (3, 2), dtype=torch.float32, check_invariants=True
        )
        optimizer.step()
        if row == 1:
            mean = 0.9 * mean + 0.1 * gradient
            square = 0.98 * square + 0.02 * gradient**2
            expected *= 1 - 0.1 * 0.2
            root = np.sqrt(square / (1 - 0.98**step)) + 1e-8
            expected -= 0.1 * mean / (1 - 0.9**step) / root
    np.testing.assert_allclose(table.weight[1].detach(), expected, rtol=1e-5)


@pytest.mark.parametrize("sparse", [False, True])
def test_the_running_means_survive_a_checkpoint(sparse, tmp_path):
    first, later = [[0, 1, 2], [2, 3, 3]], [[1, 4, 2], [0, 2, 6]]
    whole, _ = trained(Table(sparse), first + later)
    network, optimizer = trained(Table(sparse), first)
    weights = dict(network.named_parameters())
    moments = TrainingState.moments_of(network, optimizer)
    TrainingState({}, len(first), {}, weights, {}, moments).save(tmp_path / "checkpoint")
    fresh = Table(sparse)
    optimizer = optimizer_of(fresh)
    TrainingState.load(tmp_path / "checkpoint", {}).restore(fresh, optimizer)
    trained(fresh, later, optimizer)
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, fresh.state_dict()[name]), name


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_gradients_are_scaled_to_a_joint_norm(sparse, scale):
    rows = [0, 4, 4, 2]  # the two gradients of row 4 are added before the norm is taken
    network, dense = Table(sparse), Table(sparse=False)
    network.backward(rows, scale)
    dense.backward(rows, scale)
    norm = torch.nn.utils.clip_grad_norm_(dense.parameters(), 1.5)
    assert (norm > 1.5) == (scale == 100.0)
    clip_gradients(network, 1.5)
    assert network.rows.weight.grad.is_sparse == sparse
    for ours, theirs in zip(network.parameters(), dense.parameters(), strict=True):
        torch.testing.assert_close(ours.grad.to_dense(), theirs.grad)


def test_parameters_without_a_gradient_are_no_part_of_the_norm():
    network = Table(sparse=False)
    network.rows(torch.tensor([0])).sum().mul(3.0).backward()  # norm 6
    clip_gradients(network, 2.0)
    assert network.project.weight.grad is None
    torch.testing.assert_close(network.rows.weight.grad[0], torch.ones(WIDTH))
