"""Training and prediction of the ranking model."""

from __future__ import annotations

import copy
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from sidkit._arguments import Bounds, Count, Seed, checked
from sidkit.ranking.impressions import Impressions
from sidkit.ranking.metrics import log_loss
from sidkit.ranking.model import RankModel

__all__ = ["fit_ranker", "predict_ranker"]

PREDICT_BATCH = 8192


@checked
def fit_ranker(
    model: RankModel,
    train: Impressions,
    validation: Impressions,
    *,
    epochs: Count = 8,
    batch_size: Count = 1024,
    learning_rate: Annotated[float, Bounds(gt=0.0, le=1e6)] = 2e-3,
    seed: Seed = 0,
) -> list[float]:
    """Train until the validation log-loss increases, and keep the best epoch.

    Args:
        model: the model, trained in place.
        train: training events, shuffled in every epoch.
        validation: events for early stopping.
        epochs: maximum number of epochs.
        batch_size: events per step.
        learning_rate: learning rate of Adam.
        seed: seed of the shuffling.

    Returns:
        The validation log-loss after each epoch.

    Raises:
        ConfigError: if a setting is out of range.
    """
    random = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses: list[float] = []
    best = None
    for _ in range(epochs):
        model.train()
        for rows in np.array_split(random.permutation(len(train)), max(1, len(train) // batch_size)):
            batch = train.take(rows)
            loss = F.binary_cross_entropy_with_logits(_logits(model, batch), torch.from_numpy(batch.labels))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        losses.append(log_loss(validation.labels, predict_ranker(model, validation)))
        if losses[-1] > min(losses):
            break
        best = copy.deepcopy(model.state_dict())
    if best is not None:
        model.load_state_dict(best)
    return losses


@checked
@torch.no_grad()
def predict_ranker(model: RankModel, events: Impressions) -> npt.NDArray[np.float64]:
    """Predict the probability that each event has a positive label, float64 (n,)."""
    model.eval()
    parts = [
        events.take(slice(begin, begin + PREDICT_BATCH)) for begin in range(0, len(events), PREDICT_BATCH)
    ]
    probabilities = [torch.sigmoid(_logits(model, part)).double().numpy() for part in parts]
    return np.concatenate([np.empty(0), *probabilities])


def _logits(model: RankModel, events: Impressions) -> Tensor:
    columns = (events.users, events.items, events.histories, events.context)
    logits: Tensor = model(*(torch.from_numpy(column) for column in columns))
    return logits
