"""Beam search under the trie against `generate` of `transformers` with a dict trie for its callback.

The same weights in both, so the same lists must come out; that is asserted before anything is timed.
`generate` gets its best case: a batch of equal lengths, the key-value cache, a trie of plain dicts. Scores
are renormalized over the allowed tokens on both sides, as `generate` does after its processors.
"""

import time

import numpy as np
import pytest
import torch
from tests.models.t5 import as_t5

from sidkit import SidLayout, Trie
from sidkit.data import Sequences
from sidkit.decode import SearchOptions, beam_search, rank_by_scores
from sidkit.models import RQTransformerNetwork, TIGERNetwork

SIZES = (256, 256, 256, 16)
ITEMS, USERS, HISTORY = 12_101, 64, 10


class World:
    """TIGER at the paper's size with random weights, the Beauty catalogue's size, 64 users of ten items."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        random = np.random.default_rng(0)
        self.model = TIGERNetwork(SIZES).eval()
        keys = random.choice(2**28, ITEMS, replace=False).astype(np.uint64)
        self.layout = SidLayout(list(SIZES))
        self.tokens = self.layout.unpack(keys)
        self.trie = Trie.build(keys, self.layout)
        rows = random.integers(0, ITEMS, (USERS, HISTORY))
        self.histories = Sequences.from_rows(rows.tolist())
        offsets = self.model.offsets.numpy()
        self.token_ids = torch.from_numpy((self.tokens[rows].astype(np.int64) + offsets).reshape(USERS, -1))
        self.t5 = as_t5(self.model)
        self.item_of: dict[tuple[int, ...], int] = {}
        self.dicts: dict = {}
        for item, tokens in enumerate(self.tokens.tolist()):
            token_ids = [token + int(offset) for token, offset in zip(tokens, offsets, strict=True)]
            self.item_of[tuple(token_ids)] = item
            node = self.dicts
            for token_id in token_ids:
                node = node.setdefault(token_id, {})

    def ours(self, beam: int):
        return beam_search(
            self.model,
            self.trie,
            self.tokens,
            self.histories,
            beam=beam,
            renormalize=True,
            options=SearchOptions(batch_size=USERS),
        )

    @torch.inference_mode()
    def theirs(self, beam: int):
        out = self.t5.generate(
            input_ids=self.token_ids,
            attention_mask=torch.ones_like(self.token_ids),
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
        items = [[self.item_of[tuple(token_ids)] for token_ids in row] for row in sequences]
        return np.array(items), out.sequences_scores.view(USERS, beam).numpy()

    def allowed(self, batch: int, token_ids: torch.Tensor) -> list[int]:
        node = self.dicts
        for token_id in token_ids[1:].tolist():
            node = node[token_id]
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


class Timed:
    """A trie that counts the seconds spent in it."""

    def __init__(self, trie: Trie) -> None:
        self._trie, self.seconds = trie, 0.0
        self.layout = trie.layout

    def __getattr__(self, name: str):
        method = getattr(self._trie, name)

        def timed(*args, **kwargs):
            started = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - started

        return timed


@pytest.mark.parametrize("beam", [20, 50])
def test_share_of_the_trie(benchmark, world, beam):
    """What masks, beam steps and exclusions take of TIGER's decoding."""
    trie, shares = Timed(world.trie), []

    def decode():
        trie.seconds, started = 0.0, time.perf_counter()
        beam_search(
            world.model,
            trie,
            world.tokens,
            world.histories,
            beam=beam,
            options=SearchOptions(exclude=world.histories, batch_size=USERS),
        )
        shares.append(trie.seconds / (time.perf_counter() - started))

    benchmark.group = "share of the trie"
    benchmark.pedantic(decode, rounds=5, warmup_rounds=1)
    benchmark.extra_info["trie_share"] = float(np.median(shares[1:]))


@pytest.fixture(scope="module")
def one_pass(world) -> RQTransformerNetwork:
    """RQTransformer at its default size for the same items, its weights far from uniform."""
    torch.manual_seed(0)
    vectors = np.random.default_rng(0).normal(size=(ITEMS, 384)).astype(np.float32)
    model = RQTransformerNetwork.for_items(SIZES, world.tokens, vectors)
    for table in (model.vectors.code, model.vectors.prefix):
        torch.nn.init.normal_(table.weight, std=0.3)
    return model.eval()


@pytest.mark.parametrize("beam", [10, 20, 50, 100, "exact"])
def test_users_per_second_of_one_pass(benchmark, world, one_pass, beam):
    users = Sequences.from_rows([*world.histories] * 8)

    def search(width: int, histories: Sequences = users):
        return beam_search(one_pass, world.trie, world.tokens, histories, beam=width, k=10)

    def exact():
        return rank_by_scores(one_pass, users, 10)

    if beam == "exact":
        np.testing.assert_array_equal(exact()[0][:64], search(1000, world.histories)[0])
    benchmark.group = "RQTransformerNetwork"
    benchmark.pedantic(exact if beam == "exact" else lambda: search(beam), rounds=5, warmup_rounds=1)
    benchmark.extra_info["users_per_second"] = len(users) / benchmark.stats.stats.median
