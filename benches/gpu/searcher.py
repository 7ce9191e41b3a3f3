"""Beam search on the device of the network, with the same lists as `sidkit.decode.beam_search`."""

import numpy as np
import torch
from inputs import Examples, Inputs
from torch import Tensor

from sidkit.decode import TrieTensors

__all__ = ["Searcher"]


class Searcher:
    """Beam search after the histories of evaluation examples.

    Args:
        inputs: input of the training.
        ids: name of the table of Semantic IDs.
        examples: histories and targets.
        most: most recent items of a history that are encoded.
        device: device of the network.
        batch: histories per search, of equal length.
    """

    def __init__(
        self,
        inputs: Inputs,
        ids: str,
        examples: Examples,
        most: int,
        device: torch.device,
        batch: int = 2048,
    ) -> None:
        tokens = inputs.tokens[ids]
        self.tokens = torch.from_numpy(tokens).to(device)
        self.trie = TrieTensors.of(inputs.trie(ids), device)
        self.leaves = torch.from_numpy(np.lexsort(tokens.T[::-1])).to(device)  # the item of each leaf
        self.items = inputs.items
        # For each level: the prefix of each item, and the number of items with each prefix.
        self.prefixes, self.sharing = [], []
        for level in range(1, tokens.shape[1] + 1):
            _, prefix, sharing = np.unique(tokens[:, :level], axis=0, return_inverse=True, return_counts=True)
            self.prefixes.append(torch.from_numpy(prefix.reshape(-1)).to(device))
            self.sharing.append(torch.from_numpy(sharing).to(device).float())
        tails, lengths = examples.tails(most)
        self.tails, self.targets = torch.from_numpy(tails).to(device), torch.from_numpy(examples.targets)
        self.groups = [
            torch.from_numpy(rows[start : start + batch]).to(device)
            for rows in (np.flatnonzero(lengths == length) for length in np.unique(lengths))
            for start in range(0, len(rows), batch)
        ]
        self.lengths = [int(lengths[int(rows[0])]) for rows in self.groups]
        self.targets = self.targets.to(device).long()
        self.examples, self.device = examples, device

    @torch.inference_mode()
    def lists(self, model, beam: int, k: int, *, exclude_seen: bool = False) -> tuple[Tensor, Tensor]:
        """Return items, int64 (m, k), -1 for none, and their log-probabilities, f32 (m, k)."""
        items = torch.full((len(self.targets), k), -1, device=self.device)
        scores = torch.full((len(self.targets), k), -torch.inf, device=self.device)
        for rows, length in zip(self.groups, self.lengths, strict=True):
            seen = self._seen(rows) if exclude_seen else None
            items[rows], scores[rows] = self._search(model, self.tails[rows, :length], beam, k, seen)
        return items, scores

    def metrics(self, model, beam: int, k: int = 10) -> dict[str, float]:
        """Return Recall and NDCG for model selection; results are measured by `sidkit.evaluate`."""
        items, _ = self.lists(model, beam, k)
        hits = items == self.targets[:, None]  # (m, k)
        gains = 1 / torch.log2(torch.arange(k, device=self.device) + 2.0)
        return {
            f"recall@{k}": float(hits.any(1).float().mean()),
            f"ndcg@{k}": float((hits * gains).sum(1).mean()),
        }

    def _seen(self, rows: Tensor) -> Tensor:
        """Return a mask of the items in the whole history of each example, bool (B, items)."""
        seen = torch.zeros(len(rows), self.items, dtype=torch.bool)
        for place, row in enumerate(rows.tolist()):
            start, stop = self.examples.offsets[row : row + 2]
            seen[place, torch.from_numpy(self.examples.values[start:stop].astype(np.int64))] = True
        return seen.to(self.device)

    def _nothing_new(self, seen: Tensor, depth: int) -> Tensor:
        """Return a mask of the prefixes of which a user has seen every item, bool (B, prefixes)."""
        counts = torch.zeros(len(seen), len(self.sharing[depth]), device=self.device)
        counts.scatter_add_(1, self.prefixes[depth].expand(len(seen), -1), seen.float())
        return counts == self.sharing[depth]

    def _search(self, model, history: Tensor, beam: int, k: int, seen: Tensor | None):
        users = len(history)
        state = model.start(self.tokens[history])
        nodes = self.trie.start(users)
        scores = torch.zeros(users, 1, device=self.device)
        parents = chosen = None
        for depth in range(self.trie.levels):
            log_probs = model.next_log_probs(state, parents, chosen).float()  # (R, K)
            codes, places = self.trie.children(nodes, depth)  # (R, width)
            found = log_probs.gather(1, codes.clamp(min=0)).masked_fill(codes < 0, -torch.inf)
            found = (found + scores.reshape(-1, 1)).view(users, -1)  # (B, W·width)
            codes, places = codes.view(users, -1), places.view(users, -1)
            if seen is not None:
                found = found.masked_fill(
                    self._nothing_new(seen, depth).gather(1, places.clamp(min=0)), -torch.inf
                )
            width = found.shape[1] // scores.shape[1]
            scores, best = found.topk(min(beam, found.shape[1]), sorted=True)
            dead = scores == -torch.inf
            first = torch.arange(users, device=self.device)[:, None] * (found.shape[1] // width)
            parents = (first + best // width).flatten()
            chosen = codes.gather(1, best).clamp(min=0).flatten()
            nodes = places.gather(1, best).masked_fill(dead, -1).flatten()
        nodes = nodes.view(users, -1)[:, :k]
        items = self.leaves[nodes.clamp(min=0)].masked_fill(nodes < 0, -1)
        return items, scores[:, :k]
