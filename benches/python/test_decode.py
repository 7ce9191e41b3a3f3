"""Beam search under the trie against `generate` of `transformers` with a dict trie for its callback.

The same weights in both, so the same lists must come out; that is asserted before anything is timed.
`generate` gets its best case: a batch of equal lengths, the key-value cache, a trie of plain dicts. Scores
are renormalized over the allowed digits on both sides, as `generate` does after its processors.
"""

import numpy as np
import pytest
import torch
from tests.models.t5 import as_t5

from sidkit import SidLayout, Trie
from sidkit.data import Sequences
from sidkit.decode import beam_search
from sidkit.models import TIGER

SIZES = (256, 256, 256, 16)
ITEMS, USERS, HISTORY = 12_101, 64, 10


class World:
    """TIGER at the paper's size with random weights, the Beauty catalogue's size, 64 users of ten items."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        random = np.random.default_rng(0)
        self.model = TIGER(SIZES).eval()
        keys = random.choice(2**28, ITEMS, replace=False).astype(np.uint64)
        self.layout = SidLayout(list(SIZES))
        self.digits = self.layout.unpack(keys)
        self.trie = Trie.build(keys, self.layout)
        rows = random.integers(0, ITEMS, (USERS, HISTORY))
        self.histories = Sequences.from_rows(rows.tolist())
        offsets = self.model.offsets.numpy()
        self.tokens = torch.from_numpy((self.digits[rows].astype(np.int64) + offsets).reshape(USERS, -1))
        self.t5 = as_t5(self.model)
        self.item_of: dict[tuple[int, ...], int] = {}
        self.dicts: dict = {}
        for item, digits in enumerate(self.digits.tolist()):
            tokens = [digit + int(offset) for digit, offset in zip(digits, offsets, strict=True)]
            self.item_of[tuple(tokens)] = item
            node = self.dicts
            for token in tokens:
                node = node.setdefault(token, {})

    def ours(self, beam: int):
        return beam_search(
            self.model, self.trie, self.digits, self.histories, beam=beam, renormalize=True, batch_size=USERS
        )

    @torch.inference_mode()
    def theirs(self, beam: int):
        out = self.t5.generate(
            input_ids=self.tokens,
            attention_mask=torch.ones_like(self.tokens),
            num_beams=beam,
            num_return_sequences=beam,
            max_new_tokens=len(SIZES),
            do_sample=False,
            length_penalty=0.0,
            renormalize_logits=True,
            prefix_allowed_tokens_fn=self.allowed,
            return_dict_in_generate=True,
            output_scores=True,
        )
        sequences = out.sequences[:, 1:].view(USERS, beam, -1).tolist()
        items = [[self.item_of[tuple(tokens)] for tokens in row] for row in sequences]
        return np.array(items), out.sequences_scores.view(USERS, beam).numpy()

    def allowed(self, batch: int, tokens: torch.Tensor) -> list[int]:
        node = self.dicts
        for token in tokens[1:].tolist():
            node = node[token]
        return list(node)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.mark.parametrize("beam", [20, 50])
@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_users_per_second(benchmark, world, beam, side):
    items, scores = world.ours(beam)
    expected, expected_scores = world.theirs(beam)
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-3, atol=1e-3)
    assert (items == expected).mean() > 0.99  # near ties may change places between two sums in f32
    benchmark.group = f"beam {beam}"
    benchmark.extra_info["users"] = USERS
    benchmark.pedantic(getattr(world, side), args=(beam,), rounds=5, warmup_rounds=1)
    benchmark.extra_info["users_per_second"] = USERS / benchmark.stats.stats.median
