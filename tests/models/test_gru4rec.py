"""GRU4Rec: its state against a plain formula, and a rule it must learn."""

import pytest
import torch

from sidkit.data import cyclic_world
from sidkit.models import GRU4RecNetwork
from sidkit.recommenders import RECOMMENDERS


def small(**changes) -> GRU4RecNetwork:
    torch.manual_seed(0)
    return GRU4RecNetwork(20, **({"d_model": 16, "layers": 2, "max_items": 8} | changes)).eval()


def test_the_state_is_that_of_the_formula():
    model = small(layers=1)
    history = torch.randint(0, 20, (1, 4))
    gru, state = model.layers[0], torch.zeros(16)
    for item in history[0]:
        read = model.item.weight[item] @ gru.weight_ih_l0.T + gru.bias_ih_l0
        kept = state @ gru.weight_hh_l0.T + gru.bias_hh_l0
        reset, update = torch.sigmoid(read[:16] + kept[:16]), torch.sigmoid(read[16:32] + kept[16:32])
        state = (1 - update) * torch.tanh(read[32:] + reset * kept[32:]) + update * state
    torch.testing.assert_close(model.hidden(history)[0, -1], model.norm(state), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["gru4rec", "sasrec"])
@pytest.mark.parametrize(
    "loss", [{}, {"loss": "sampled", "negatives": 8}, {"loss": "sampled", "negatives_by": "popularity"}]
)
def test_it_learns_what_follows_what(name, loss):
    split = cyclic_world(users=100, items=12).dataset.split()
    settings = {"max_steps": 60, "learning_rate": 0.02, "warmup_steps": 5, "evaluate_every_steps": 60}
    settings |= {"negatives": 6, "d_model": 32, "dropout": 0.0}
    recommender = RECOMMENDERS[name](**(settings | loss))
    model = recommender.fit(split.train, validation=split.validation).network_
    history = torch.arange(12)[:, None]
    with torch.inference_mode():
        best = model.scores(model.hidden(history)[:, -1]).argmax(1)
    assert (best == (history[:, 0] + 1) % 12).float().mean() > 0.9
