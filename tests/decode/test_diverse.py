"""Diverse beam search against one written with lists; temperatures against the probabilities themselves."""

import numpy as np
import pytest
from tests.decode.tables import SIZES, Tables, catalogue

from sidkit.data import Sequences
from sidkit.decode import Diversity, SearchOptions, beam_search, diverse_beam_search
from sidkit.errors import ConfigError

HISTORIES = Sequences.from_rows([[1], [2, 3], [4], [7, 5], [6]])


def plain_diverse(model, tokens, item, width, groups, penalties, barred=()):
    """Vijayakumar et al. with lists of (prefix, searched, worth); all results as item -> worth."""
    live = [tuple(row) for number, row in enumerate(tokens.tolist()) if number not in barred]
    beams = [[((), 0.0, 0.0)] for _ in range(groups)]
    for level, size in enumerate(SIZES):
        taken = [0] * size
        for group in range(groups):
            grown = []
            for prefix, searched, worth in beams[group]:
                for code, log_prob in enumerate(model.log_probs(item, prefix).tolist()):
                    longer = (*prefix, code)
                    if any(sid[: level + 1] == longer for sid in live):
                        fine = penalties[level] * taken[code]
                        grown.append((longer, searched + log_prob - fine, worth + log_prob))
            beams[group] = sorted(grown, key=lambda entry: -entry[1])[:width]
            for prefix, _, _ in beams[group]:
                taken[prefix[-1]] += 1
    by_tokens = {tuple(row): number for number, row in enumerate(tokens.tolist())}
    return {by_tokens[prefix]: worth for group in beams for prefix, _, worth in group}


@pytest.mark.parametrize("barred", [False, True])
@pytest.mark.parametrize("penalty", [0.0, 0.3, 5.0, (2.0, 0.0, 0.1)])
@pytest.mark.parametrize(("width", "groups"), [(1, 4), (2, 3), (5, 1), (6, 2)])
def test_as_a_plain_diverse_search(width, groups, penalty, barred):
    model = Tables()
    tokens, trie = catalogue()
    exclude = Sequences.from_rows([[2, 3, 4]] * len(HISTORIES)) if barred else None
    items, scores = diverse_beam_search(
        model,
        trie,
        tokens,
        HISTORIES,
        beam=width * groups,
        diversity=Diversity(groups, penalty),
        options=SearchOptions(exclude=exclude),
    )
    penalties = penalty if isinstance(penalty, tuple) else [penalty] * 3
    for row, history in enumerate(HISTORIES):
        expected = plain_diverse(
            model, tokens, int(history[-1]), width, groups, penalties, [2, 3, 4] if barred else ()
        )
        order = sorted(expected, key=lambda item: -expected[item])
        assert items[row].tolist() == order + [-1] * (width * groups - len(order))
        np.testing.assert_allclose(scores[row][: len(order)], [expected[item] for item in order], rtol=1e-5)
        assert np.all(np.isneginf(scores[row][len(order) :]))


@pytest.mark.parametrize("groups", [1, 3])
def test_without_a_penalty_it_is_a_plain_beam_search(groups):
    model = Tables()
    tokens, trie = catalogue(shared=4)
    ours = diverse_beam_search(
        model, trie, tokens, HISTORIES, beam=4 * groups, k=4, diversity=Diversity(groups, 0)
    )
    theirs = beam_search(model, trie, tokens, HISTORIES, beam=4)
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_array_equal(ours[1], theirs[1])


def test_one_group_is_plain_whatever_the_penalty():
    tokens, trie = catalogue()
    ours = diverse_beam_search(Tables(), trie, tokens, HISTORIES, beam=5, diversity=Diversity(1, 9.0))
    theirs = beam_search(Tables(), trie, tokens, HISTORIES, beam=5)
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-6)


def test_a_penalty_on_the_first_token_spreads_the_list():
    tokens, trie = catalogue(36)
    model = Tables(spread=4.0)

    def firsts(penalty):
        items, _ = diverse_beam_search(
            model, trie, tokens, HISTORIES, beam=3, k=3, diversity=Diversity(3, (penalty, 0, 0))
        )
        return [len({int(tokens[item, 0]) for item in row if item >= 0}) for row in items]

    assert firsts(100.0) == [3] * len(HISTORIES)
    assert firsts(0.0) == [1] * len(HISTORIES)


BAD = {
    "divide `beam`, got `groups` = 2 and `beam` = 5": lambda: {"beam": 5, "diversity": Diversity(2)},
    "got `groups` = 0": lambda: {"beam": 5, "diversity": Diversity(0)},
    "`penalty` is invalid: .* got -1": lambda: {"diversity": Diversity(penalty=-1)},
    "`penalty` is invalid: .* got nan": lambda: {"diversity": Diversity(penalty=float("nan"))},
    "`penalty` .* each of 3 levels": lambda: {"diversity": Diversity(penalty=[1, 2])},
    "`temperature` is invalid: .* got 0": lambda: {"options": SearchOptions(temperature=0)},
}


@pytest.mark.parametrize("message", BAD)
def test_settings_out_of_range(message):
    tokens, trie = catalogue()
    with pytest.raises(ConfigError, match=message):
        diverse_beam_search(Tables(), trie, tokens, HISTORIES, **BAD[message]())


@pytest.mark.parametrize("temperature", [0.5, 3, (0.7, 1.0, 2.5)])
def test_temperature_raises_probabilities_to_a_power(temperature):
    model, (tokens, trie) = Tables(), catalogue()
    items, scores = beam_search(
        model, trie, tokens, HISTORIES, beam=14, options=SearchOptions(temperature=temperature)
    )
    each = temperature if isinstance(temperature, tuple) else [temperature] * 3
    for row, history in enumerate(HISTORIES):
        expected = []
        for sid in tokens.tolist():
            powers = [
                np.exp(model.log_probs(int(history[-1]), sid[:level]).astype(float)) ** (1 / each[level])
                for level in range(3)
            ]
            expected.append(sum(np.log(p[token] / p.sum()) for p, token in zip(powers, sid, strict=True)))
        assert items[row].tolist() == sorted(range(14), key=lambda item: -expected[item])
        np.testing.assert_allclose(scores[row], np.array(expected)[items[row]], rtol=1e-4)


@pytest.mark.parametrize("temperature", [0, -1, float("inf"), float("nan"), [1, 1], [1, 1, 0]])
def test_temperatures_out_of_range(temperature):
    tokens, trie = catalogue()
    with pytest.raises(ConfigError, match="`temperature` is invalid"):
        beam_search(Tables(), trie, tokens, HISTORIES, options=SearchOptions(temperature=temperature))
