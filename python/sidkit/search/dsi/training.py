"""Training of DSI: indexing and retrieval together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from sidkit.search.dsi.network import TextToSid
from sidkit.search.dsi.text_vectors import TextVectors

__all__ = ["Examples", "TrainingPlan", "train_text_to_sid"]

Int64 = npt.NDArray[np.int64]

_WARM_UP = 0.05  # of all steps


@dataclass(frozen=True, eq=False)
class Examples:
    """Texts and their targets.

    Attributes:
        documents: token vectors of documents, n.
        queries: token vectors of training queries, m.
        tokens: tokens of the Semantic ID of every document, (n, L).
        pairs: query rows and document rows of relevant pairs, int64 (pairs,) each.
    """

    documents: TextVectors
    queries: TextVectors
    tokens: npt.NDArray[np.integer]
    pairs: tuple[Int64, Int64]


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """Settings of `train_text_to_sid`.

    Attributes:
        epochs: passes over all documents.
        batch_size: texts of a step, documents and queries.
        learning_rate: peak learning rate of AdamW, after a short warm-up; it decays linearly to zero.
        documents_per_query: indexing examples per retrieval example.
        evaluate_every: epochs between two evaluations.
        seed: seed of the order of examples and of dropout.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    documents_per_query: float
    evaluate_every: int
    seed: int


def train_text_to_sid(
    network: TextToSid, examples: Examples, plan: TrainingPlan, quality: Callable[[], float]
) -> npt.NDArray[np.float64]:
    """Train a network in place, and leave it with the weights of the best evaluation.

    Args:
        network: with its initial weights.
        examples: texts and targets.
        plan: settings.
        quality: NDCG@10 of the network on the validation queries; NaN if there are none, in which case the
            last weights are kept.

    Returns:
        Of each evaluation, the epoch from 1, the mean loss of that epoch (natural log, per Semantic ID), and
        the quality, float64 (evaluations, 3).
    """
    random = np.random.default_rng(plan.seed)
    torch.manual_seed(plan.seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate(plan, examples))
    curve, best, kept = [], -np.inf, None
    for epoch in range(1, plan.epochs + 1):
        network.train()
        losses = [_step(network, optimizer, schedule, batch) for batch in _batches(examples, plan, random)]
        if epoch % plan.evaluate_every and epoch != plan.epochs:
            continue
        network.eval()
        found = quality()
        curve.append((epoch, float(np.mean(losses)), found))
        if not found <= best:  # NaN is kept too
            best = found if found == found else best
            kept = {name: value.clone() for name, value in network.state_dict().items()}
    if kept is not None:
        network.load_state_dict(kept)
    network.eval()
    return np.array(curve)


Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def _step(
    network: TextToSid,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    batch: Batch,
) -> float:
    loss = network(*batch).sum()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    return float(loss.detach())


def _sizes(examples: Examples, plan: TrainingPlan) -> tuple[int, int]:
    """Return the indexing and the retrieval examples of an epoch."""
    documents = len(examples.documents)
    queries = round(documents / plan.documents_per_query) if len(examples.pairs[0]) else 0
    return documents, queries


def _rate(plan: TrainingPlan, examples: Examples) -> Callable[[int], float]:
    steps = -(-sum(_sizes(examples, plan)) // plan.batch_size) * plan.epochs
    warm = max(1, round(_WARM_UP * steps))
    return lambda step: min((step + 1) / warm, max(0.0, (steps - step) / max(1, steps - warm)))


def _batches(examples: Examples, plan: TrainingPlan, random: np.random.Generator) -> list[Batch]:
    """Draw the batches of an epoch: every document once, and queries with a relevant document each."""
    documents, queries = _sizes(examples, plan)
    drawn = _drawn_pairs(examples.pairs, queries, random)
    rows = np.concatenate([np.arange(documents), drawn[0]])
    targets = np.concatenate([np.arange(documents), drawn[1]])
    is_query = np.arange(len(rows)) >= documents
    order = random.permutation(len(rows))
    return [
        _batch(examples, rows[some], targets[some], is_query[some])
        for some in np.split(order, range(plan.batch_size, len(order), plan.batch_size))
    ]


def _drawn_pairs(pairs: tuple[Int64, Int64], count: int, random: np.random.Generator) -> tuple[Int64, Int64]:
    """Draw queries evenly, and one of the relevant documents of each."""
    if not count:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    order = np.argsort(pairs[0], kind="stable")
    rows, first, counts = np.unique(pairs[0][order], return_index=True, return_counts=True)
    chosen = random.integers(0, len(rows), count)
    places = first[chosen] + (random.random(count) * counts[chosen]).astype(np.int64)
    return rows[chosen], pairs[1][order][places]


def _batch(examples: Examples, rows: Int64, targets: Int64, is_query: npt.NDArray[np.bool_]) -> Batch:
    texts = [(examples.queries if query else examples.documents) for query in is_query]
    lengths = np.array([each.lengths[row] for each, row in zip(texts, rows, strict=True)])
    width = int(lengths.max())
    vectors = np.stack([each.values[row, :width] for each, row in zip(texts, rows, strict=True)])
    tokens = examples.tokens[targets].astype(np.int64)
    return torch.from_numpy(vectors), torch.from_numpy(lengths), torch.from_numpy(tokens)
