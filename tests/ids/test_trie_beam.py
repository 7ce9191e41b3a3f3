"""Beam search under the trie against scoring of the whole catalogue, item by item."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit import SidLayout, Trie
from sidkit.data import Sequences


def build(sizes, rows):
    layout = SidLayout(sizes)
    return Trie.build(layout.pack(np.array(rows, np.uint16).reshape(-1, len(sizes))), layout)


@st.composite
def requests(draw):
    """Return a catalogue, what the log-probabilities of some requests are, and what each must not get."""
    sizes = draw(st.lists(st.sampled_from([1, 2, 3, 70, 300]), min_size=1, max_size=4))
    tokens = st.tuples(*(st.integers(0, min(size, 3) - 1) | st.just(size - 1) for size in sizes))
    rows = draw(st.lists(tokens, max_size=25))
    groups = draw(st.integers(1, 3))
    seed = draw(st.integers(0, 2**32 - 1))
    # Few distinct values, so that ties are frequent; -inf among them.
    values = draw(st.sampled_from([[-0.5, -1.0, -2.0], [-1.0, -np.inf], [-0.1, -0.7, -3.0, -np.inf]]))
    excluded = draw(st.lists(st.lists(st.integers(-1, 27), max_size=12), min_size=groups, max_size=groups))
    return sizes, rows, groups, seed, np.array(values, np.float32), excluded


def log_prob_table(seed, group, prefix, size, values):
    """Log-probabilities of the codes after a prefix; any function of these arguments would do."""
    rng = np.random.default_rng([seed, group, *prefix])
    return rng.choice(values, size)


def ragged(rows):
    offsets = np.cumsum([0, *map(len, rows)])
    return np.array([item for row in rows for item in row], np.int64), offsets


def rows_of(ragged):
    values, offsets = ragged
    return [values[start:end].tolist() for start, end in pairwise(offsets)]


def log_sum(log_probs):
    total = np.exp(log_probs.astype(np.float64)).sum()
    return (
        np.log(total) if total > 0 else 0.0
    )  # where no code has any probability, nothing is to be shared out


def decode(trie, request, beam, renormalize=False):
    """Walk down level by level; return what `top_items` says, the whole beams, and the SIDs they spell."""
    sizes, _, groups, seed, values, excluded = request
    exclude = ragged(excluded)
    states, scores, prefixes = trie.start(groups), np.zeros(groups, np.float32), [()] * groups
    for size in sizes:
        per_group = len(states) // groups
        table = [
            log_prob_table(seed, row // per_group, prefix, size, values)
            for row, prefix in enumerate(prefixes)
        ]
        scores, parents, codes, states = trie.beam_step(
            np.array(table, np.float32).reshape(-1, size),
            states,
            scores,
            rows_per_group=per_group,
            beam=beam,
            exclude=exclude,
            renormalize=renormalize,
        )
        prefixes = [(*prefixes[row], int(code)) for row, code in zip(parents, codes, strict=True)]
    return states, scores, prefixes


def brute_force(request, group, renormalize=False):
    """Score every SID that has an item left, exactly as the definition says, best first."""
    sizes, rows, _, seed, values, excluded = request
    live = {row for item, row in enumerate(rows) if item not in excluded[group]}
    scored = []
    for sid in live:
        score = np.float32(0)
        for depth, size in enumerate(sizes):
            table = log_prob_table(seed, group, sid[:depth], size, values)
            if renormalize:
                allowed = sorted({other[depth] for other in live if other[:depth] == sid[:depth]})
                score = np.float32(np.float64(score) + table[sid[depth]] - log_sum(table[allowed]))
            else:
                score = np.float32(score + table[sid[depth]])
        if score > -np.inf:
            scored.append((-float(score), sid))
    return sorted(scored)


@given(requests())
def test_a_wide_beam_finds_exactly_what_brute_force_finds(request):
    sizes, rows, groups, *_, excluded = request
    trie, beam = build(sizes, rows), max(len(rows), 1)
    states, scores, sids = decode(trie, request, beam)
    items, item_scores = trie.top_items(
        states, scores, rows_per_group=beam, k=len(rows) + 1, exclude=ragged(excluded)
    )
    for group in range(groups):
        best = brute_force(request, group)
        mine = slice(group * beam, (group + 1) * beam)
        live = len(best)
        assert sorted(zip(-scores[mine][:live], sids[mine][:live], strict=True)) == best
        assert scores[mine].tolist() == [-score for score, _ in best] + [-np.inf] * (beam - live)
        assert states.dead[mine].tolist() == [False] * live + [True] * (beam - live)
        left = {
            sid: [i for i, row in enumerate(rows) if row == sid and i not in excluded[group]]
            for _, sid in best
        }
        expected = [item for sid in sids[mine][:live] for item in left[sid]]
        assert items[group].tolist() == expected + [-1] * (len(rows) + 1 - len(expected))
        assert np.isneginf(item_scores[group]).tolist() == [item < 0 for item in items[group]]


@given(requests())
def test_renormalized_scores_are_those_of_brute_force(request):
    sizes, rows, groups, *_ = request
    trie, beam = build(sizes, rows), max(len(rows), 1)
    _, scores, sids = decode(trie, request, beam, renormalize=True)
    for group in range(groups):
        best = {sid: -score for score, sid in brute_force(request, group, renormalize=True)}
        mine = slice(group * beam, group * beam + len(best))
        got = dict(zip(sids[mine], scores[mine].tolist(), strict=True))
        assert got == pytest.approx(best, abs=1e-5)


def live_codes(trie, states, row, live):
    """Return the codes under which a row has an item of `live`, asking for each code in turn."""
    size = trie.layout.sizes[states.depth]
    children = trie.step(states.select(np.full(size, row)), np.arange(size))
    return [code for code, items in enumerate(rows_of(trie.items(children))) if live & set(items)]


@given(requests(), st.integers(1, 5), st.booleans())
def test_each_step_keeps_the_best_children(request, beam, renormalize):
    """Compare every step with sorting all allowed children, whatever the beam has lost before."""
    sizes, rows, groups, seed, values, excluded = request
    trie, live = build(sizes, rows), [set(range(len(rows))) - set(out) for out in excluded]
    exclude = Sequences.from_rows([[item for item in out if item >= 0] for out in excluded])
    states, scores = trie.start(groups), np.full(groups, -0.25, np.float32)
    for depth, size in enumerate(sizes):
        per_group = len(states) // groups
        log_probs = np.random.default_rng([seed, depth]).choice(values, (len(states), size))
        best = [[] for _ in range(groups)]
        for row in range(len(states)):
            codes = live_codes(trie, states, row, live[row // per_group])
            total = log_sum(log_probs[row, codes]) if renormalize else 0
            sums = [np.float32(np.float64(scores[row]) + log_probs[row, code] - total) for code in codes]
            best[row // per_group] += [
                (-s, row, code) for s, code in zip(sums, codes, strict=True) if s > -np.inf
            ]
        expected = []
        for group, candidates in enumerate(best):
            kept = sorted(candidates)[:beam]
            expected += kept + [(np.inf, group * per_group, 0)] * (beam - len(kept))
        scores, parents, codes, states = trie.beam_step(
            log_probs,
            states,
            scores,
            rows_per_group=per_group,
            beam=beam,
            exclude=exclude,
            renormalize=renormalize,
        )
        assert scores.tolist() == pytest.approx([-score for score, _, _ in expected], abs=1e-5)
        assert states.dead.tolist() == np.isneginf(scores).tolist()
        if not renormalize:  # else ties may break by the last bit
            assert list(zip(parents, codes, strict=True)) == [(row, code) for _, row, code in expected]


def test_ties_go_to_the_lower_row_then_the_lower_code():
    trie = build([4, 4], [(a, b) for a in range(4) for b in range(4)])
    states = trie.step(trie.start(2), np.array([2, 1]))
    flat = np.zeros((2, 4), np.float32)
    scores, parents, codes, _ = trie.beam_step(
        flat, states, np.zeros(2, np.float32), rows_per_group=2, beam=6
    )
    assert (scores.tolist(), parents.tolist(), codes.tolist()) == (
        [0.0] * 6,
        [0] * 4 + [1] * 2,
        [0, 1, 2, 3, 0, 1],
    )
    # Both zeros are equal, so the lower row wins whatever its sign.
    scores = np.array([-0.0, 0.0], np.float32)
    assert trie.beam_step(-flat, states, scores, rows_per_group=2, beam=1)[1].tolist() == [0]


def test_a_prefix_whose_items_are_all_excluded_is_dead_at_once():
    trie = build([2, 2], [(0, 0), (0, 1), (1, 0)])
    log_probs = np.array([[-0.1, -5.0]], np.float32)
    beams = trie.beam_step(
        log_probs, trie.start(1), np.zeros(1, np.float32), rows_per_group=1, beam=2, exclude=ragged([[0, 1]])
    )
    assert beams[2].tolist() == [1, 0]
    assert beams[0].tolist() == [-5.0, -np.inf]
    assert beams[3].dead.tolist() == [False, True]


def test_shared_sids_give_up_only_their_excluded_items():
    trie = build([2], [(1,), (1,), (0,), (1,)])
    states = trie.step(trie.start(2), np.array([1, 1]))
    values, offsets = trie.items(states, exclude=ragged([[0], [3, 1, 99]]), rows_per_group=1)
    assert (values.tolist(), offsets.tolist()) == ([1, 3, 0], [0, 2, 3])
    items, scores = trie.top_items(
        states, np.array([-1, -2], np.float32), rows_per_group=2, k=5, exclude=ragged([[1]])
    )
    assert items.tolist() == [[0, 3, 0, 3, -1]]
    assert scores.tolist() == [[-1, -1, -2, -2, -np.inf]]


@given(requests(), st.integers(1, 4), st.data())
def test_item_sets_limit_as_excluding_the_rest_does(request, beam, data):
    """Staying within sets must give what excluding everything else gives."""
    sizes, rows, groups, seed, values, excluded = request
    trie = build(sizes, rows)
    numbers = st.sets(st.integers(0, max(len(rows) - 1, 0)))
    chosen = [data.draw(numbers) for _ in range(groups)]
    sets = [trie.item_set(np.array(sorted(items), np.int64)) for items in chosen]
    outside = [
        [i for i in range(len(rows)) if i not in items or i in out]
        for items, out in zip(chosen, excluded, strict=True)
    ]
    states = [trie.start(groups)] * 2
    scores = [np.zeros(groups, np.float32)] * 2
    for depth, size in enumerate(sizes):
        per_group = len(states[0]) // groups
        log_probs = np.random.default_rng([seed, depth]).choice(values, (len(states[0]), size))
        limits = [{"allow": sets, "exclude": ragged(excluded)}, {"exclude": ragged(outside)}]
        masks = [trie.allowed(states[i], rows_per_group=per_group, **limits[i]) for i in (0, 1)]
        assert (masks[0] == masks[1]).all()
        for row, mask in enumerate(masks[0]):
            live = set(range(len(rows))) - set(outside[row // per_group])
            assert np.flatnonzero(mask).tolist() == live_codes(trie, states[0], row, live)
        steps = [
            trie.beam_step(log_probs, states[i], scores[i], rows_per_group=per_group, beam=beam, **limits[i])
            for i in (0, 1)
        ]
        for mine, theirs in zip(steps[0][:3], steps[1][:3], strict=True):
            assert mine.tolist() == theirs.tolist()
        scores, states = [step[0] for step in steps], [step[3] for step in steps]
    limits = [{"allow": sets, "exclude": ragged(excluded)}, {"exclude": ragged(outside)}]
    tops = [trie.top_items(states[i], scores[i], rows_per_group=beam, k=5, **limits[i]) for i in (0, 1)]
    assert tops[0][0].tolist() == tops[1][0].tolist()
    lists = [rows_of(trie.items(states[i], rows_per_group=beam, **limits[i])) for i in (0, 1)]
    assert lists[0] == lists[1]


@given(st.sets(st.integers(0, 80)), st.sets(st.integers(0, 80)))
def test_item_sets_combine_as_sets_do(a, b):
    rng = np.random.default_rng(3)
    trie = build([5, 5], rng.integers(0, 5, (70, 2)))
    everything = set(range(70))
    x, y = (trie.item_set(np.array(sorted(items), np.int64)) for items in (a, b))
    a, b = a & everything, b & everything  # what is not in the trie is ignored
    for made, expected in (
        (x & y, a & b),
        (x | y, a | b),
        (x ^ y, a ^ b),
        (x - y, a - b),
        (~x, everything - a),
    ):
        assert made.items().tolist() == sorted(expected)
        assert len(made) == len(expected)


def test_item_sets_belong_to_their_trie():
    one, other = build([4], [(1,)]), build([4], [(2,)])
    foreign = other.item_set(np.array([0]))
    with pytest.raises(ValueError, match=r"^a set of `allow` belongs to another trie"):
        one.allowed(one.start(1), allow=foreign)
    with pytest.raises(ValueError, match=r"^the sets belong to different tries"):
        foreign & one.item_set(np.array([0]))
    with pytest.raises(TypeError, match=r"^`allow` has the wrong type: expected an ItemSet.* got .*int"):
        one.allowed(one.start(1), allow=3)


def step(trie, **changes):
    arguments = {
        "log_probs": np.zeros((2, 4), np.float32),
        "states": trie.start(2),
        "scores": np.zeros(2, np.float32),
        "rows_per_group": 1,
        "beam": 2,
    }
    return trie.beam_step(**arguments | changes)


NAN = np.array([[0, 0, 0, 0], [0, np.nan, 0, 0]], np.float32)
BAD_CALLS = [
    (
        {"log_probs": np.zeros((2, 4))},
        TypeError,
        "`log_probs` is invalid: expected a C-contiguous float32 array",
    ),
    (
        {"log_probs": np.zeros((2, 3), np.float32)},
        ValueError,
        "axis 1 of `log_probs` has the wrong length: expected 4 to fit the other arguments, got 3",
    ),
    ({"log_probs": NAN}, ValueError, "row 1 of `log_probs` is invalid: expected finite values, got NaN"),
    (
        {"scores": np.zeros(3, np.float32)},
        ValueError,
        "`scores` has the wrong length: expected 2 elements for its shape, got 3",
    ),
    (
        {"scores": np.array([0, np.nan], np.float32)},
        ValueError,
        "row 1 of `log_probs` is invalid: expected finite values, got NaN",
    ),
    ({"rows_per_group": 0}, ValueError, "2 rows do not fit groups of 0: expected groups of 1 to 65536 rows"),
    ({"rows_per_group": 3}, ValueError, "2 rows do not fit groups of 3: expected a whole number of groups"),
    ({"beam": 0}, ValueError, "2 rows do not fit groups of 1: a beam keeps at least 1 prefix"),
    (
        {"exclude": ragged([[1]])},
        ValueError,
        "2 rows do not fit groups of 1: expected one row of `exclude` for each group",
    ),
    (
        {"exclude": [1]},
        TypeError,
        "`exclude` has the wrong type: expected `\\(values, offsets\\)` .*got .*list",
    ),
    (
        {"exclude": (np.array([1]), np.array([0, 2, 1]))},
        ValueError,
        "the offsets of `exclude` are invalid: expected them to ascend from 0 to 1",
    ),
]


@pytest.mark.parametrize(("changes", "error", "message"), BAD_CALLS)
def test_bad_input_is_a_clear_error(changes, error, message):
    with pytest.raises(error, match=f"^{message}"):
        step(build([4], [(1,), (2,)]), **changes)


def test_a_nan_that_the_trie_does_not_allow_is_never_read():
    assert step(build([4], [(0,), (2,)]), log_probs=NAN)[2].tolist() == [0, 2, 0, 2]


def test_many_groups_on_many_threads_equal_each_alone():
    rng = np.random.default_rng(0)
    trie = build([256, 256], rng.integers(0, 256, (5000, 2)))
    states = trie.step(trie.start(40), rng.integers(0, 256, 40))
    log_probs = rng.normal(size=(40, 256)).astype(np.float32)
    log_probs = np.tile(log_probs, (10, 1))
    states = states.select(np.tile(np.arange(40), 10))
    scores = rng.normal(size=400).astype(np.float32)
    together = trie.beam_step(log_probs, states, scores, rows_per_group=4, beam=7)
    for group in range(100):
        rows = np.arange(4 * group, 4 * group + 4)
        alone = trie.beam_step(log_probs[rows], states.select(rows), scores[rows], rows_per_group=4, beam=7)
        mine = slice(7 * group, 7 * group + 7)
        assert together[0][mine].tolist() == alone[0].tolist()
        assert together[1][mine].tolist() == (alone[1] + 4 * group).tolist()
        assert together[2][mine].tolist() == alone[2].tolist()
