"""Every re-ranker against a plain definition, and the contract that all keep."""

import itertools
import math
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidkit import _core
from sidkit.errors import ConfigError, DataError
from sidkit.rerank import (
    DPP,
    MMR,
    RERANKERS,
    AttributeCap,
    Boost,
    Deduplicate,
    ItemFeatures,
    MaxSum,
    MinimumShare,
    Pipeline,
    PopularityCorrection,
    SlotPolicy,
)

ITEMS, DIM = 30, 6
RANDOM = np.random.default_rng(5)
VECTORS = RANDOM.normal(size=(ITEMS, DIM)).astype(np.float32)
VECTORS[7] = VECTORS[3]
COUNTS = RANDOM.integers(0, 50, ITEMS)
FEATURES = ItemFeatures(item_ids=pl.Series(range(100, 100 + ITEMS)), counts=COUNTS)
BRANDS = [row % 4 if row % 5 else None for row in range(ITEMS)]
GENRES = [[row % 3, row % 4] if row % 6 else [] for row in range(ITEMS)]

#: One of each, with settings that change the lists.
EVERY = {
    "mmr": MMR(diversity=0.6, vectors=VECTORS),
    "dpp": DPP(diversity=0.6, vectors=VECTORS),
    "max_sum": MaxSum(diversity=0.5, vectors=VECTORS),
    "deduplicate": Deduplicate(threshold=0.8, vectors=VECTORS),
    "attribute_cap": AttributeCap(BRANDS, at_most=1),
    "minimum_share": MinimumShare(BRANDS, {3: 0.4}),
    "boost": Boost(RANDOM.normal(size=ITEMS), weight=0.7),
    "popularity_correction": PopularityCorrection(weight=0.8),
    "slot_policy": SlotPolicy(min=0, max=0, items=range(100, 110)),
}


def candidates(lists, width, seed, live=None):
    """Random candidates, best first, the last of each list padding."""
    random = np.random.default_rng(seed)
    items = np.stack([random.permutation(ITEMS)[:width] for _ in range(lists)]).astype(np.int32)
    scores = -np.sort(-random.normal(size=(lists, width)), axis=1).astype(np.float32)
    padding = np.arange(width) >= np.array([[width if live is None else live[row]] for row in range(lists)])
    items[padding], scores[padding] = -1, -np.inf
    return items, scores


def test_every_re_ranker_is_registered_and_tested():
    assert set(RERANKERS) == set(EVERY)
    for method, reranker in EVERY.items():
        assert RERANKERS[method] is type(reranker) and reranker.method == method


@pytest.mark.parametrize("method", EVERY)
def test_the_contract(method):
    items, scores = candidates(4, 20, seed=1, live=[20, 20, 3, 0])
    before = items.copy(), scores.copy()
    found, values = EVERY[method].rerank(items, scores, 6, FEATURES)
    assert found.dtype == np.int32 and values.dtype == np.float32 and found.shape == values.shape == (4, 6)
    np.testing.assert_array_equal(items, before[0])
    np.testing.assert_array_equal(scores, before[1])
    np.testing.assert_array_equal(found == -1, np.isneginf(values))
    for row in range(4):
        live = found[row][found[row] >= 0]
        assert len(set(live)) == len(live) and set(live) <= set(items[row])
        assert (found[row][: len(live)] >= 0).all()  # padding comes last
        assert (np.diff(values[row][: len(live)]) <= 0).all()
        one = EVERY[method].rerank(items[row : row + 1], scores[row : row + 1], 6, FEATURES)
        np.testing.assert_array_equal(one[0][0], found[row])
        np.testing.assert_array_equal(one[1][0], values[row])
    assert (found[3] == -1).all()
    assert not np.array_equal(found[0], items[0, :6])
    longer = EVERY[method].rerank(items, scores, 25, FEATURES)[0]
    assert longer.shape == (4, 25) and (longer[:, 20:] == -1).all()


@pytest.mark.parametrize("method", EVERY)
def test_parameters_can_be_read_and_changed(method):
    reranker = EVERY[method]
    again = type(reranker)(**reranker.get_params(deep=False))
    items, scores = candidates(2, 15, seed=2)
    np.testing.assert_array_equal(
        again.rerank(items, scores, 5, FEATURES)[0], reranker.rerank(items, scores, 5, FEATURES)[0]
    )


def cosine(one, other):
    product = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other) / product if product else 0.0


def plain_mmr(items, scores, k, diversity, vectors):
    """Positions and values by the definition, in float64."""
    chosen, values = [], []
    vectors = vectors.astype(np.float64)
    while len(chosen) < min(k, len(items)):
        worth = {}
        for place, item in enumerate(items):
            if place not in chosen:
                similar = max((cosine(vectors[item], vectors[items[other]]) for other in chosen), default=0)
                worth[place] = (1 - diversity) * scores[place] - diversity * max(similar, 0)
        best = max(worth, key=worth.get)  # the first of equals
        chosen.append(best)
        values.append(worth[best])
    return chosen, values


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), diversity=st.floats(0, 1), width=st.integers(1, 14), k=st.integers(1, 16))
def test_mmr_is_its_definition(seed, diversity, width, k):
    items, scores = candidates(2, width, seed)
    found, values = _core.mmr_select(items, scores, VECTORS, k, diversity=diversity)
    for row in range(2):
        expected, worth = plain_mmr(items[row], scores[row].astype(float), k, diversity, VECTORS)
        np.testing.assert_allclose(values[row, : len(worth)], worth, atol=1e-5)
        same = found[row, : len(worth)] == expected
        # Lists may part only where two candidates are worth the same, which needs two equal items.
        assert same.all() or {3, 7} <= set(items[row])


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), diversity=st.floats(0, 1), k=st.integers(1, 8))
def test_max_sum_is_its_definition(seed, diversity, k):
    items, scores = candidates(2, 12, seed)
    found, kept = MaxSum(diversity=diversity, temperature=0.7, vectors=VECTORS).rerank(
        items, scores, k, FEATURES
    )
    for row in range(2):
        powers = np.exp(scores[row].astype(float) / 0.7)
        chosen = []
        while len(chosen) < k:
            worth = {
                place: (1 - diversity) * powers[place] / powers.sum()
                - diversity
                * sum(max(cosine(VECTORS[items[row, place]], VECTORS[items[row, one]]), 0) for one in chosen)
                / max(k - 1, 1)
                for place in range(12)
                if place not in chosen
            }
            chosen.append(max(worth, key=worth.get))
        if {3, 7} <= set(items[row]):  # two equal items: a tie within rounding
            continue
        np.testing.assert_array_equal(found[row], items[row, sorted(chosen)])
        np.testing.assert_array_equal(kept[row], scores[row, sorted(chosen)])


def log_det(vectors):
    units = vectors.astype(np.float64) / np.linalg.norm(vectors, axis=1, keepdims=True)
    sign, value = np.linalg.slogdet(units @ units.T)
    return value if sign > 0 else -math.inf


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), diversity=st.floats(0.05, 0.95), k=st.integers(1, 5))
def test_dpp_takes_the_greatest_increase_of_the_determinant(seed, diversity, k):
    items, scores = candidates(1, 12, seed)
    kept = ~np.isin(items[0], [7])  # no equal items
    items, scores = items[:, kept], np.ascontiguousarray(scores[:, kept])
    found, values = _core.dpp_select(np.ascontiguousarray(items), scores, VECTORS, k, diversity=diversity)
    chosen, objective = [], 0.0
    for step in range(k):
        worth = {}
        for place in range(items.shape[1]):
            if place not in chosen:
                members = [*chosen, place]
                value = (1 - diversity) * scores[0, members].astype(float).sum()
                worth[place] = value + diversity * log_det(VECTORS[items[0, members]])
        best = max(worth, key=worth.get)
        assert found[0, step] == best
        assert values[0, step] == pytest.approx(worth[best] - objective, abs=1e-4)
        chosen.append(best)
        objective = worth[best]


def test_greedy_dpp_finds_the_best_of_all_subsets_of_a_clear_case():
    """Two groups of parallel vectors: every subset within a group has a determinant of nearly 0."""
    vectors = np.array([[1, 0, 0], [1, 0.01, 0], [0, 1, 0], [0, 1, 0.01], [0, 0, 1]], np.float32)
    scores = np.array([[1.0, 0.9, 0.8, 0.7, 0.6]], np.float32)
    items = np.arange(5, dtype=np.int32)[None]
    best = max(
        itertools.combinations(range(5), 3),
        key=lambda subset: 0.5 * scores[0, list(subset)].sum() + 0.5 * log_det(vectors[list(subset)]),
    )
    found, _ = _core.dpp_select(items, scores, vectors, 3, diversity=0.5)
    assert tuple(found[0]) == best == (0, 2, 4)


@pytest.mark.parametrize("select", [_core.mmr_select, _core.max_sum_select, _core.dpp_select])
def test_lists_do_not_depend_on_threads_or_batches(select):
    random = np.random.default_rng(0)
    vectors = random.normal(size=(500, 64)).astype(np.float32)
    items = np.stack([random.permutation(500)[:100] for _ in range(200)]).astype(np.int32)
    scores = random.random((200, 100)).astype(np.float32)
    one = select(items, scores, vectors, 10, diversity=0.5, threads=1)
    many = select(items, scores, vectors, 10, diversity=0.5, threads=4)
    part = select(items[50:60], scores[50:60], vectors, 10, diversity=0.5)
    for first, second, third in zip(one, many, part, strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first[50:60], third)


def test_scores_are_mapped_to_0_to_1_in_each_list():
    items, scores = candidates(3, 10, seed=4)
    huge = scores * np.float32(1e6) + np.float32(5)
    for reranker in (MMR(vectors=VECTORS), DPP(vectors=VECTORS)):
        plain, scaled = (reranker.rerank(items, each, 6, FEATURES) for each in (scores, huge))
        np.testing.assert_array_equal(plain[0], scaled[0])
    raw = MMR(vectors=VECTORS, normalize_scores=False).rerank(items, huge, 6, FEATURES)[0]
    np.testing.assert_array_equal(raw, items[:, :6])  # the scores outweigh the cosines
    equal = np.zeros_like(scores)
    assert MMR(vectors=VECTORS, diversity=0.0).rerank(items, equal, 6, FEATURES)[1].min() == 1


def test_vectors_may_be_of_any_float_type_and_a_view():
    items, scores = candidates(3, 12, seed=8)
    half = VECTORS.astype(np.float16)
    expected = MMR(vectors=half.astype(np.float32)).rerank(items, scores, 5, FEATURES)
    for vectors in (half, half.tolist(), np.asfortranarray(half.astype(np.float64))):
        found = MMR(vectors=vectors).rerank(items, scores, 5, FEATURES)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


def test_near_identical_items_appear_once():
    items = np.array([[3, 5, 7, 9]], np.int32)
    scores = np.array([[4, 3, 2, 1]], np.float32)
    found, values = Deduplicate(threshold=1.0, vectors=VECTORS).rerank(items, scores, 4, FEATURES)
    assert found.tolist() == [[3, 5, 9, -1]] and values[0, :3].tolist() == [4, 3, 1]


@given(
    seed=st.integers(0, 10**6),
    at_most=st.integers(1, 4),
    k=st.integers(1, 20),
    several=st.booleans(),
)
@settings(max_examples=40)
def test_caps_hold_and_keep_the_best(seed, at_most, k, several):
    values = GENRES if several else BRANDS
    items, scores = candidates(3, 18, seed, live=[18, 18, 5])
    found, kept_scores = AttributeCap(values, at_most=at_most).rerank(items, scores, k, FEATURES)
    for row in range(3):
        counts, expected = Counter(), []
        for position, item in enumerate(items[row].tolist()):
            own = (
                [] if item < 0 else values[item] if several else [v for v in [values[item]] if v is not None]
            )
            own = set(own)
            if item >= 0 and len(expected) < k and all(counts[each] < at_most for each in own):
                counts.update(own)
                expected.append(position)
        assert found[row, : len(expected)].tolist() == items[row, expected].tolist()
        assert kept_scores[row, : len(expected)].tolist() == scores[row, expected].tolist()
        assert (found[row, len(expected) :] == -1).all()


@given(seed=st.integers(0, 10**6), first=st.floats(0, 0.5), second=st.floats(0, 0.5), k=st.integers(3, 12))
@settings(max_examples=40)
def test_minimum_shares_hold_at_the_least_loss(seed, first, second, k):
    share = MinimumShare(BRANDS, {0: first, 3: second})
    try:
        places = share.places(k)
    except ConfigError:
        return
    items, scores = candidates(2, 25, seed)
    found, _ = share.rerank(items, scores, k, FEATURES)
    for row in range(2):
        brands = np.array([-1 if BRANDS[item] is None else BRANDS[item] for item in items[row]])
        assert (found[row] >= 0).all()
        for brand, least in places.items():
            has = sum(BRANDS[item] == brand for item in found[row])
            assert has >= min(least, (brands == brand).sum())
        # Swapping an item for a better candidate outside the list must break a minimum.
        inside = np.isin(items[row], found[row])
        counts = {brand: (brands[inside] == brand).sum() for brand in places}
        for place in np.flatnonzero(inside):
            for other in np.flatnonzero(~inside[:place]):
                own, new = brands[place], brands[other]
                assert own in places and own != new and counts[own] <= places[own]


def test_boosts_and_corrections_are_added_to_the_scores():
    items, scores = candidates(2, 9, seed=3, live=[9, 4])
    margin = pl.DataFrame({"item_id": FEATURES.item_ids.reverse(), "margin": np.arange(ITEMS)[::-1] / 10.0})
    logs = np.log((COUNTS + 1) / (COUNTS.sum() + ITEMS))
    for reranker, added in (
        (Boost(margin, weight=-2.0), -0.2 * np.arange(ITEMS)),
        (Boost(margin.with_columns(pl.lit(None).alias("margin"))), np.zeros(ITEMS)),
        (PopularityCorrection(weight=0.4), -0.4 * logs),
    ):
        found, values = reranker.rerank(items, scores, 6, FEATURES)
        for row in range(2):
            live = items[row][items[row] >= 0]
            worth = scores[row, : len(live)] + added[live]
            order = np.argsort(-worth, kind="stable")[:6]
            assert found[row, : len(order)].tolist() == live[order].tolist()
            np.testing.assert_allclose(values[row, : len(order)], worth[order], atol=1e-5)


def test_equal_scores_keep_the_order_of_the_candidates():
    items = np.array([[5, 2, 9, 1]], np.int32)
    scores = np.array([[1, 1, 1, 1]], np.float32)
    for reranker in (
        Boost([0.0] * ITEMS),
        Pipeline(),
        AttributeCap([None] * ITEMS),
        MMR(diversity=0.0, vectors=VECTORS),
    ):
        assert reranker.rerank(items, scores, 3, FEATURES)[0].tolist() == [[5, 2, 9]]


def test_a_pipeline_applies_its_steps_in_order():
    items, scores = candidates(3, 20, seed=6)
    boost, cap = EVERY["boost"], EVERY["attribute_cap"]
    middle = boost.rerank(items, scores, 20, FEATURES)
    expected = cap.rerank(*middle, 5, FEATURES)
    found = Pipeline([boost, cap]).rerank(items, scores, 5, FEATURES)
    np.testing.assert_array_equal(found[0], expected[0])
    # A cap before MMR holds as well.
    found, _ = Pipeline([cap, EVERY["mmr"]]).rerank(items, scores, 5, FEATURES)
    for row in found:
        assert max(Counter(BRANDS[item] for item in row if BRANDS[item] is not None).values()) == 1


REFUSED = [
    (lambda: MMR(diversity=1.2, vectors=VECTORS), ConfigError, "`diversity` is out of range: .* got 1.2"),
    (lambda: MMR(vectors=VECTORS[:4]), DataError, r"expected \(30, d\), one row per item, got \(4, 6\)"),
    (lambda: DPP(), ConfigError, "`dpp` needs item vectors"),
    (
        lambda: DPP(vectors=np.full((ITEMS, 2), np.nan)),
        ValueError,
        "of `vectors` is invalid: expected finite",
    ),
    (lambda: Deduplicate(threshold=-1, vectors=VECTORS), ConfigError, "`threshold` is out of range"),
    (lambda: AttributeCap(BRANDS, at_most=0), ConfigError, "`at_most` must be at least 1, got 0"),
    (lambda: AttributeCap(BRANDS[:5]), DataError, "5 values: expected one for each of the 30 items"),
    (lambda: AttributeCap("brand"), DataError, "expected a table, a Series, an array or a list, got str"),
    (lambda: MinimumShare(BRANDS, {9: 0.1}), ConfigError, "no item has the value 9"),
    (lambda: MinimumShare(BRANDS, {1: 0.6, 2: 0.6}), ConfigError, "need 6 positions: expected at most 5"),
    (lambda: MinimumShare(BRANDS, {1: 1.6}), ConfigError, "`shares` must be within 0 and 1"),
    (lambda: Boost(["a"] * ITEMS), DataError, "must be numbers, got String"),
    (lambda: Boost([np.nan] * ITEMS), DataError, "must be finite"),
]


@pytest.mark.parametrize(("make", "error", "message"), REFUSED)
def test_settings_that_cannot_be_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make().rerank(*candidates(1, 8, seed=0), 5, FEATURES)


def test_candidates_that_cannot_be_are_refused():
    items, scores = candidates(1, 4, seed=0)
    rerank = EVERY["boost"].rerank
    with pytest.raises(ConfigError, match=r"`k` is invalid: .* got 0"):
        rerank(items, scores, 0, FEATURES)
    with pytest.raises(DataError, match=r"`items` of the candidates must be int32 .* got int64"):
        rerank(items.astype(np.int64), scores, 2, FEATURES)
    with pytest.raises(DataError, match="must have one shape"):
        rerank(items, scores[:, :3], 2, FEATURES)
    with pytest.raises(DataError, match="expected item rows below 30, or -1 as padding"):
        rerank(items + np.int32(ITEMS), scores, 2, FEATURES)
    with pytest.raises(DataError, match="list 0 has a candidate whose score is NaN or infinite"):
        rerank(items, scores * np.float32(np.nan), 2, FEATURES)


# --- reserved positions


def best_list(items, scores, k, group, least, most):
    """The list with the highest discounted sum of positive gains, by trying all of them."""
    there = [place for place, item in enumerate(items) if item >= 0]
    available = sum(items[place] in group for place in there)
    gain = {place: scores[place] - min(scores[there]) + 1 for place in there}
    found, highest = [], -1.0
    for length in range(k + 1):
        for chosen in itertools.permutations(there, length):
            members = sum(items[place] in group for place in chosen)
            if members > most or (length == min(k, len(there)) and members < min(least, available)):
                continue
            value = sum(gain[place] / math.log2(rank + 2) for rank, place in enumerate(chosen))
            if value > highest + 1e-9 and members >= min(least, available):
                found, highest = list(chosen), value
    return [items[place] for place in found]


@given(
    width=st.integers(1, 6),
    live=st.integers(0, 6),
    k=st.integers(1, 4),
    seed=st.integers(0, 2**16),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_slots_make_the_best_of_all_lists_that_keep_the_quotas(width, live, k, seed, data):
    least = data.draw(st.integers(0, k))
    most = data.draw(st.none() | st.integers(least, k))
    group = set(np.random.default_rng(seed).permutation(ITEMS)[: data.draw(st.integers(0, ITEMS))].tolist())
    items, scores = candidates(1, width, seed, [min(live, width)])
    policy = SlotPolicy(min=least, max=most, items=[100 + row for row in group])
    found, values = policy.rerank(items, scores, k, FEATURES)
    expected = best_list(items[0], scores[0], k, group, least, k if most is None else most)
    assert found[0].tolist() == expected + [-1] * (k - len(expected))
    assert (np.diff(values[0][: len(expected)]) <= 0).all() and np.isneginf(values[0][len(expected) :]).all()


def test_new_items_are_those_without_an_event():
    features = ItemFeatures(item_ids=FEATURES.item_ids, counts=np.where(np.arange(ITEMS) < 4, 0, 7))
    items = np.arange(ITEMS - 1, -1, -1, dtype=np.int32)[None]
    scores = np.arange(ITEMS, 0, -1, dtype=np.float32)[None]
    for least, most, expected in ((0, None, []), (2, None, [3, 2]), (4, 4, [3, 2, 1, 0])):
        found, _ = SlotPolicy(min=least, max=most).rerank(items, scores, 5, features)
        assert found[0].tolist() == [*range(ITEMS - 1, ITEMS - 6 + least, -1), *expected]
    found, _ = SlotPolicy(min=0, max=1).rerank(items[:, ::-1].copy(), scores, 5, features)
    assert found[0].tolist() == [0, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"min": 6}, ConfigError, "`min` of `slot_policy` has the wrong value: expected 0 to 5"),
        ({"min": 3, "max": 2}, ConfigError, "expected 0 to 2, the lower of `max` and the length"),
        ({"min": -1}, ConfigError, "got -1"),
        ({"items": "old"}, ConfigError, "expected \"new\", an `ItemSet` or item ids, got 'old'"),
        ({"items": ["a"]}, DataError, "expected Int64 as in the catalogue, got String"),
    ],
)
def test_slots_that_cannot_be_kept_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        SlotPolicy(**options).rerank(*candidates(1, 8, 0), 5, FEATURES)
