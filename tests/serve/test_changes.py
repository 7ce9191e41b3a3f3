"""Merged changes against the same changes one by one."""

import numpy as np
import pytest
from tests.serve.conftest import source_of

from sidkit.serve.live import Delete, LiveCatalogue, Put
from sidkit.serve.live.changes import from_bytes, merged, to_bytes


def random_changes(catalogue, vectors, rng, count):
    """Make changes of a live catalogue, which it applies."""
    changes = []
    names = list(range(500, 540))
    while len(changes) < count:
        chosen = rng.choice(names, int(rng.integers(1, 5)), replace=False).tolist()
        if rng.integers(3) == 0:
            change, _ = catalogue.plan_delete([*chosen, 100 + int(rng.integers(24))])
        else:
            prices = [int(rng.integers(9)) + 0.5 * int(rng.integers(2)) for _ in chosen]
            rows = [
                {"item_id": item, "price": price if price % 1 else int(price)}
                for item, price in zip(chosen, prices, strict=True)
            ]
            x = [(vectors[int(rng.integers(24))] + rng.normal(0, 0.01, 16)).tolist() for _ in chosen]
            change = catalogue.plan_put(rows, x)
        if isinstance(change, Put) or change.item_ids:
            catalogue.apply(change)
            changes.append(change)
    return changes


def content(catalogue):
    """Everything that a version shows."""
    now = catalogue.snapshot
    numbers = now.items.all
    rows = now.items.values(numbers, now.items.columns)
    lists, _ = now.model.recommend([[100, 101], [105]], 40, exclude_seen=False, allow=now.current)
    return now.version, rows, [now.sid(int(number)) for number in numbers], lists


@pytest.mark.parametrize("seed", range(4))
def test_joined_changes_give_what_single_ones_give(shop, seed):
    rng = np.random.default_rng(seed)
    vectors = np.load(shop / "vectors.npy")
    one, other = (LiveCatalogue(source_of(shop).open()[0]) for _ in range(2))
    changes = random_changes(one, vectors, rng, 60)
    changes = [from_bytes(to_bytes(change)) for change in changes]
    some = list(merged(changes))
    assert len(some) < len(changes) and sum(change.changes for change in some) == len(changes)
    for change in some:
        other.apply(change)
    assert content(one) == content(other)


def test_changes_of_different_items_become_one_of_each_kind():
    row = {"item_id": 1, "title": "one"}
    tokens, vectors = np.ones((1, 2), np.uint16), np.ones((1, 3), np.float32)
    first = Put([row], [0], tokens, vectors, "a")
    second = Put([row | {"item_id": 2}, row | {"item_id": 3}], [1], 2 * tokens, 2 * vectors, "a")
    put, delete = merged([first, Delete([7]), second, Delete([8, 9])])
    assert [each["item_id"] for each in put.rows] == [1, 2, 3] and put.new == [0, 2]
    assert put.tokens.tolist() == [[1, 1], [2, 2]] and put.vectors.tolist() == [[1, 1, 1], [2, 2, 2]]
    assert (put.tokenizer, put.changes, delete) == ("a", 2, Delete([7, 8, 9], 2))


def test_the_last_values_of_an_item_are_kept():
    first = Put([{"item_id": 1, "price": 1.0}, {"item_id": 2, "price": 2.0}], [])
    last = Put([{"item_id": 3, "price": 4.0}, {"item_id": 1, "price": 3.0}], [])
    (put,) = merged([first, last])
    assert [row["item_id"] for row in put.rows] == [1, 2, 3]
    assert [row["price"] for row in put.rows] == [3, 2, 4] and put.changes == 2


def test_changes_of_one_item_and_of_two_tokenizers_stay_apart():
    put = Put([{"item_id": 1}], [0], np.ones((1, 2), np.uint16), np.ones((1, 3), np.float32), "a")
    other = Put([{"item_id": 2}], [0], put.tokens, put.vectors, "b")
    assert [each.changes for each in merged([put, Delete([1]), put])] == [1, 1, 1]
    assert [each.tokenizer for each in merged([put, other, other])] == ["a", "b", "b"]
    assert list(merged([])) == []
