import itertools
from collections import Counter

import numpy as np
import pytest

from sidkit.errors import DataError
from sidkit.tokenizers import RQKMeans, inspect_codes, prefix_purity


def test_purity_of_known_groups():
    codes = [[0, 0], [0, 1], [0, 1], [1, 0]]
    found = prefix_purity(codes, [["a"], ["a"], ["b"], ["b"]])
    assert [each.purity for each in found] == [0.5, 0.75, 0.75]
    assert [each.prefixes for each in found] == [1, 2, 3]
    assert [each.depth for each in found] == [0, 1, 2]


def test_chance_is_the_mean_over_all_permutations():
    groups, labels = [0, 0, 0, 1, 1], ["a", "a", "b", "b", "c"]
    exact = np.mean(
        [
            sum(
                max(Counter(x for g, x in zip(groups, shuffled, strict=True) if g == each).values())
                for each in (0, 1)
            )
            for shuffled in itertools.permutations(labels)
        ]
    )
    found = prefix_purity(np.array(groups)[:, None], [[label] for label in labels], permutations=4000)
    assert found[1].chance == pytest.approx(exact / 5, abs=0.01)
    assert found[0].chance == pytest.approx(found[0].purity)


def test_random_codes_are_as_pure_as_chance():
    random = np.random.default_rng(0)
    labels = [[str(each)] for each in random.integers(0, 5, 3000)]
    for each in prefix_purity(random.integers(0, 16, (3000, 2)), labels):
        assert each.purity == pytest.approx(each.chance, abs=0.02)


def test_an_item_of_several_categories_counts_for_the_largest():
    found = prefix_purity([[0], [0], [0], [0]], [["a", "b"], ["b", "b"], ["c"], []])
    assert (found[1].items, found[1].purity) == (3, pytest.approx(2 / 3))


def test_without_categories_there_is_nothing():
    assert prefix_purity([[0], [1]], [[], []]) == []
    with pytest.raises(DataError, match=r"expected integers .* and n lists"):
        prefix_purity([[0], [1]], [["a"]])


def test_an_inspection_holds_all_of_it():
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    tokenizer = RQKMeans(2, 8).fit(x)
    labels = [[str(code)] for code in tokenizer.encode(x)[:, 0]]
    flat = inspect_codes(tokenizer, x, categories=labels).to_dict()
    assert [each["purity"] for each in flat["purity"][1:]] == [1, 1]
    assert flat["quality"]["items"] == flat["neighbours"]["pool"] == 60
    assert len(flat["coherence"]) == 3 and len(flat["quality"]["levels"]) == 2
