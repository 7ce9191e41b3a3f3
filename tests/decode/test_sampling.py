"""Stochastic beam search against the exact probabilities of drawing without replacement."""

import itertools

import numpy as np
import pytest
from tests.decode.tables import Tables, catalogue

from sidkit.data import Sequences
from sidkit.decode import SearchOptions, sample_items
from sidkit.errors import ConfigError


def probabilities(model, tokens, item, barred=(), temperature=1.0):
    """The chance of every item under the trie, token by token among those that lead to one; (items,)."""
    live = [tuple(row) for number, row in enumerate(tokens.tolist()) if number not in barred]
    chances = np.zeros(len(tokens))
    for number, sid in enumerate(tokens.tolist()):
        if number in barred:
            continue
        chance = 1.0
        for level in range(3):
            codes = sorted({other[level] for other in live if other[:level] == tuple(sid[:level])})
            weights = np.exp(model.log_probs(item, sid[:level]).astype(float) / temperature)
            chance *= weights[sid[level]] / weights[codes].sum()
        chances[number] = chance
    return chances


def ordered_draws(chances, k):
    """The chance of every sequence of k different items, drawn one after the other."""
    result = {}
    for order in itertools.permutations(np.flatnonzero(chances).tolist(), k):
        left, chance = 1.0, 1.0
        for item in order:
            chance *= chances[item] / left
            left -= chances[item]
        result[order] = chance
    return result


def chi_square(counts, expected):
    """The statistic and its degrees of freedom, where cells with few expected are counted as one."""
    cells = sorted(expected, key=lambda cell: -expected[cell])
    many = [cell for cell in cells if expected[cell] >= 10]
    few = [cell for cell in cells if expected[cell] < 10]
    pairs = [(counts.get(cell, 0), expected[cell]) for cell in many]
    if few:
        pairs.append((sum(counts.get(cell, 0) for cell in few), sum(expected[cell] for cell in few)))
    return sum((seen - mean) ** 2 / mean for seen, mean in pairs), len(pairs) - 1


DRAWS = 8000


@pytest.mark.parametrize("case", ["plain", "excluded", "temperature"])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_draws_are_as_frequent_as_without_replacement(k, case):
    model, (tokens, trie) = Tables(spread=1.0), catalogue(6)
    barred = [1, 4] if case == "excluded" else []
    temperature = 2.0 if case == "temperature" else 1.0
    items, scores = sample_items(
        model,
        trie,
        tokens,
        Sequences.from_rows([[3]] * DRAWS),
        k=k,
        seed=11,
        options=SearchOptions(
            temperature=temperature, exclude=Sequences.from_rows([barred] * DRAWS), batch_size=1000
        ),
    )
    chances = probabilities(model, tokens, 3, barred, temperature)
    assert chances.sum() == pytest.approx(1)
    np.testing.assert_allclose(scores, np.log(chances[items]), rtol=1e-4, atol=1e-5)
    counts: dict = {}
    for order in map(tuple, items.tolist()):
        counts[order] = counts.get(order, 0) + 1
    expected = {order: DRAWS * chance for order, chance in ordered_draws(chances, k).items()}
    assert set(counts) <= set(expected)
    statistic, freedom = chi_square(counts, expected)
    # Mean `freedom`, deviation √(2 freedom): four deviations above are out of reach of chance.
    assert statistic < freedom + 4 * np.sqrt(2 * freedom) + 4


HISTORIES = Sequences.from_rows([[1], [2, 3], [4], [7, 5], [6]])


def test_the_seed_decides_and_the_batch_does_not():
    model, (tokens, trie) = Tables(), catalogue()

    def draw(seed, batch_size=64):
        options = SearchOptions(batch_size=batch_size)
        return sample_items(model, trie, tokens, HISTORIES, k=5, seed=seed, options=options)

    for other in (draw(3), draw(3, batch_size=1), draw(3, batch_size=2)):
        np.testing.assert_array_equal(draw(3)[0], other[0])
        np.testing.assert_array_equal(draw(3)[1], other[1])
    assert (draw(3)[0] != draw(4)[0]).any()


def test_all_items_are_drawn_once_when_there_are_no_more():
    tokens, trie = catalogue(shared=3)
    items, scores = sample_items(
        Tables(), trie, tokens, HISTORIES, k=20, seed=0, options=SearchOptions(exclude=HISTORIES)
    )
    for row, history in enumerate(HISTORIES):
        left = sorted(set(range(14)) - set(history.tolist()))
        assert sorted(items[row][items[row] >= 0].tolist()) == left
        assert items[row][len(left) :].tolist() == [-1] * (20 - len(left))
        assert np.isneginf(scores[row][len(left) :]).all()
        sids = [tuple(tokens[item]) for item in items[row][: len(left)]]
        assert len(list(itertools.groupby(sids))) == len(set(sids))  # items of one SID are neighbours


def test_nothing_is_left_to_draw():
    tokens, trie = catalogue()
    everything = Sequences.from_rows([list(range(14))] * len(HISTORIES))
    items, scores = sample_items(
        Tables(), trie, tokens, HISTORIES, k=2, seed=0, options=SearchOptions(exclude=everything)
    )
    assert (items == -1).all()
    assert np.isneginf(scores).all()


def test_one_certain_token_and_hopeless_ones():
    tokens, trie = catalogue(36)
    items, _ = sample_items(Tables(spread=300.0), trie, tokens, HISTORIES, k=36, seed=0)
    assert all(sorted(row) == list(range(36)) for row in items.tolist())


@pytest.mark.parametrize("name", ["k", "seed", "temperature"])
def test_settings_out_of_range(name):
    bad = {"k": {"k": 0}, "seed": {"seed": -1}, "temperature": {"options": SearchOptions(temperature=0)}}
    tokens, trie = catalogue()
    with pytest.raises(ConfigError, match=f"`{name}`"):
        sample_items(Tables(), trie, tokens, HISTORIES, **({"k": 1, "seed": 0} | bad[name]))
