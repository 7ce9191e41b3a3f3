"""Controls (random, LSH, atomic): the contract, and that their codes follow the rule."""

import itertools

import numpy as np
import pytest
from tests.contracts.tokenizer_contract import TokenizerContract, clustered

from sidkit.errors import ConfigError, DataError
from sidkit.tokenizers import LSH, Atomic, RandomCodes, quality_report
from sidkit.tokenizers.parts.additive import cheapest_codes


class TestRandomCodesContract(TokenizerContract):
    loses = 1.0

    def make(self, **settings):
        return RandomCodes(3, 8, **settings)


class TestLSHContract(TokenizerContract):
    loses = 0.9

    def make(self, **settings):
        return LSH(3, 8, **settings)


class TestAtomicContract(TokenizerContract):
    loses = 1e-9

    def make(self, **settings):
        return Atomic(**settings)

    test_fewer_vectors_than_codes = None
    test_a_failed_fit_leaves_the_old_state = None


def test_random_codes_collide_as_random_codes_do():
    x = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32)
    report = quality_report(RandomCodes(2, 64).fit(x), x)
    assert report.unique_rate == pytest.approx(report.random_unique_rate, abs=0.02)
    assert all(level.perplexity > 62 for level in report.levels)
    assert (RandomCodes(2, 64, seed=1).fit(x).encode(x) != RandomCodes(2, 64).fit(x).encode(x)).any(
        axis=1
    ).mean() > 0.99


def test_random_alternatives_count_through_all_codes():
    x = clustered(rows=20)
    tokenizer = RandomCodes(2, [3, 5]).fit(x)
    for own, row in zip(tokenizer.encode(x).tolist(), tokenizer.alternatives(x, 99).tolist(), strict=True):
        start = own[0] * 5 + own[1]
        assert [first * 5 + last for first, last in row] == [(start + step) % 15 for step in range(15)]


def test_lsh_codes_are_the_sides_of_planes():
    x = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    tokenizer = LSH(2, [4, 8]).fit(x)
    z = tokenizer.standardizer_.apply(x).astype(np.float64)
    sides = z @ tokenizer._planes.T > 0
    slow = np.stack([sides[:, :2] @ [2, 1], sides[:, 2:] @ [4, 2, 1]], axis=1)
    assert (tokenizer.encode(x) == slow).all()
    assert (tokenizer.alternatives(x, 4)[:, 0] == slow).all()


def test_lsh_puts_opposites_apart():
    x = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    x = np.concatenate([x, -x])
    codes = LSH(1, 16).fit(x).encode(x)
    assert (codes[:200] + codes[200:] == 15).all()


def test_atomic_codes_count_items():
    x = clustered(rows=50)
    tokenizer = Atomic().fit(np.concatenate([x, x[:5]]))
    assert tokenizer.codebook_sizes == (50,)
    assert tokenizer.encode(x).ravel().tolist() == list(range(50))
    assert tokenizer.encode(x[7:8] + 1e-5).ravel().tolist() == [7]


def test_cheapest_codes_are_those_of_trying_all():
    rng = np.random.default_rng(0)
    costs = [rng.random((4, size)) for size in (3, 5, 2)]
    chosen = cheapest_codes(costs, 12)
    for row in range(4):
        every = sorted(
            itertools.product(range(3), range(5), range(2)),
            key=lambda code: sum(cost[row, token] for cost, token in zip(costs, code, strict=True)),
        )
        assert list(map(tuple, chosen[row].tolist())) == every[:12]
    assert cheapest_codes(costs, 99).shape == (4, 30, 3)


def test_invalid_parameters():
    with pytest.raises(
        ConfigError, match="`codebook_size` of LSH is invalid: expected powers of two, got 100"
    ):
        LSH(3, 100)
    with pytest.raises(DataError, match="too many items for atomic codes: expected at most 65536, got 65537"):
        Atomic().fit(np.arange(65537, dtype=np.float32)[:, None])
