"""Training of the vectors of prefixes, documents and queries on pairs of queries and relevant documents.

The vector of a document is its content vector plus a learned offset for each of its prefixes and for the
document itself; that of a query is its content vector plus a learned linear map of it. All offsets begin at
zero, so that the search begins as that over content vectors, and weight decay pulls them back there. The loss
is the cross-entropy of the relevant documents in a softmax over candidates: all documents of a small
collection, else the relevant documents of the batch and the documents that the beam search finds for its
queries, which are refreshed in every epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sidkit.search.prefixes.tree import PrefixTree, prefix_starts

__all__ = ["PrefixTraining", "TrainedVectors", "train_vectors"]

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class PrefixTraining:
    """Settings of `train_vectors`.

    Attributes:
        epochs: passes over the queries.
        batch_size: queries of a step.
        learning_rate: peak learning rate of Adam, which decays linearly to zero.
        weight_decay: decay of the offsets towards zero, as in AdamW.
        temperature: divisor of the inner products in the softmax.
        negatives: documents that the beam search finds for each query, in collections of more than
            `exact_below` documents.
        exact_below: number of documents up to which the softmax is over all of them.
        beam: width of that beam search.
        seed: seed of the order of queries.
    """

    epochs: int = 10
    batch_size: int = 256
    learning_rate: float = 0.003
    weight_decay: float = 1.0
    temperature: float = 0.05
    negatives: int = 100
    exact_below: int = 2**15
    beam: int = 64
    seed: int = 0


@dataclass(frozen=True, eq=False)
class TrainedVectors:
    """Learned offsets.

    Attributes:
        documents: offset of every document, those of its prefixes included, float32 (n, d).
        queries: the linear map of query vectors, float32 (d, d).
    """

    documents: Float32
    queries: Float32


class _Vectors(nn.Module):
    """Content vectors with learned offsets."""

    def __init__(self, content: Float32, nodes: list[Int64]) -> None:
        super().__init__()
        count, dim = content.shape
        self.content = torch.from_numpy(np.ascontiguousarray(content))  # (n, d)
        self.nodes = [torch.from_numpy(each) for each in nodes]  # of each level, (n,)
        self.leaves = nn.Parameter(torch.zeros(count, dim))
        self.levels = nn.ParameterList(nn.Parameter(torch.zeros(int(each.max()) + 1, dim)) for each in nodes)
        self.map = nn.Parameter(torch.zeros(dim, dim))

    def shared(self, rows: Tensor | None = None) -> Tensor:
        """Sum the offsets of the prefixes of documents, (n, d)."""
        parts = [
            F.embedding(nodes if rows is None else nodes[rows], table)
            for nodes, table in zip(self.nodes, self.levels, strict=True)
        ]
        return torch.stack(parts).sum(0)

    def documents(self, rows: Tensor | None = None) -> Tensor:
        """Compute the vectors of documents, all of them or these rows, (n, d)."""
        if rows is None:
            return self.content + self.leaves + self.shared()
        return self.content[rows] + F.embedding(rows, self.leaves) + self.shared(rows)

    def queries(self, x: Tensor) -> Tensor:
        """Compute the vectors of queries from their content vectors, (m, d)."""
        mapped: Tensor = x + x @ self.map
        return mapped


def train_vectors(
    content: Float32,
    tokens: npt.NDArray[np.integer],
    queries: Float32,
    pairs: tuple[Int64, Int64],
    training: PrefixTraining,
    on_epoch: Callable[[int, float, Callable[[], TrainedVectors]], None] | None = None,
) -> TrainedVectors:
    """Learn offsets from pairs of queries and relevant documents.

    Args:
        content: content vectors of documents, float32 (n, d).
        tokens: tokens of documents, (n, levels).
        queries: content vectors of queries, float32 (m, d).
        pairs: query rows and document rows of relevant pairs, int64 (pairs,) each.
        training: settings.
        on_epoch: called after every epoch with its number from 1, the mean loss, and a function that returns
            the offsets at this point.

    Returns:
        The offsets after the last epoch.
    """
    generator = torch.Generator().manual_seed(training.seed)
    model = _Vectors(content, node_of_each(tokens))
    x = torch.from_numpy(np.ascontiguousarray(queries))
    groups = [
        {"params": [model.leaves, *model.levels], "lr": training.learning_rate},
        {"params": [model.map], "lr": training.learning_rate * _MAP_RATE},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=training.weight_decay)
    relevant = _Relevant(len(queries), len(content), *pairs)
    steps = -(-len(queries) // training.batch_size)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 1e-3, total_iters=steps * training.epochs)
    small = len(content) <= training.exact_below
    for epoch in range(training.epochs):
        hard = None if small else _hard_negatives(model, tokens, x, training)
        losses = []
        order = torch.randperm(len(queries), generator=generator)
        for rows in torch.split(order, training.batch_size):
            target, candidates = relevant.targets(rows.numpy(), None if hard is None else hard[rows.numpy()])
            vectors = model.documents(None if candidates is None else torch.from_numpy(candidates))
            scores = model.queries(x[rows]) @ vectors.T / training.temperature  # (batch, candidates)
            loss = -(torch.from_numpy(target) * F.log_softmax(scores, dim=1)).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        if on_epoch is not None:
            on_epoch(epoch + 1, float(np.mean(losses)), lambda: _offsets(model))
    return _offsets(model)


#: Learning rate of the map of queries, relative to that of the offsets: it acts on every query.
_MAP_RATE = 0.3


class _Relevant:
    """Relevant documents of every query."""

    def __init__(self, queries: int, count: int, query_rows: Int64, doc_rows: Int64) -> None:
        order = np.argsort(query_rows, kind="stable")
        self.documents = doc_rows[order]
        self.offsets = np.searchsorted(query_rows[order], np.arange(queries + 1))
        self.count = count

    def targets(self, rows: Int64, hard: Int64 | None) -> tuple[Float32, Int64 | None]:
        """Return target distributions, float32 (batch, candidates), and candidates (None for all)."""
        sizes = self.offsets[rows + 1] - self.offsets[rows]
        owners = np.repeat(np.arange(len(rows)), sizes)
        places = np.concatenate([np.arange(self.offsets[row], self.offsets[row + 1]) for row in rows])
        documents, shares = self.documents[places], np.repeat(1 / np.maximum(sizes, 1), sizes)
        if hard is None:
            return self._table(owners, documents, shares, len(rows), self.count), None
        candidates = np.unique(np.concatenate([documents, hard[hard >= 0]]))
        columns = np.searchsorted(candidates, documents)
        return self._table(owners, columns, shares, len(rows), len(candidates)), candidates

    @staticmethod
    def _table(
        owners: Int64, columns: Int64, shares: npt.NDArray[np.float64], rows: int, width: int
    ) -> Float32:
        table = np.zeros((rows, width), np.float32)
        table[owners, columns] = shares
        return table


def node_of_each(tokens: npt.NDArray[np.integer]) -> list[Int64]:
    """Number the prefixes of each length in the order of Semantic IDs; return that of every document."""
    order = np.lexsort(tokens.T[::-1])
    nodes = []
    for starts in prefix_starts(tokens[order]):
        node = np.empty(len(tokens), np.int64)
        node[order] = np.searchsorted(starts, np.arange(len(tokens)), side="right") - 1
        nodes.append(node)
    return nodes


@torch.no_grad()
def _hard_negatives(
    model: _Vectors, tokens: npt.NDArray[np.integer], x: Tensor, training: PrefixTraining
) -> Int64:
    tree = PrefixTree.build(tokens, model.documents().numpy())
    rows, _ = tree.search(model.queries(x).numpy(), training.negatives, training.beam)
    return rows.astype(np.int64)


@torch.no_grad()
def _offsets(model: _Vectors) -> TrainedVectors:
    return TrainedVectors((model.shared() + model.leaves).numpy(), model.map.numpy().copy())
