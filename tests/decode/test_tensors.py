"""The tensors of a trie against the trie itself, and STATIC's layout against both."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sidkit import SidLayout, Trie
from sidkit.decode import StaticLayout, TrieTensors, to_static
from sidkit.errors import ConfigError, DataError

SIZES = st.sampled_from([1, 3, 200, 256, 257, 2048, 40000, 65536])


def build(sizes, rows, storage="fast"):
    layout = SidLayout(list(sizes))
    return Trie.build(layout.pack(np.array(rows, np.uint16).reshape(-1, len(sizes))), layout, storage=storage)


@st.composite
def tries(draw, sizes=SIZES, levels=(1, 8), fewest=0):
    sizes = draw(st.lists(sizes, min_size=levels[0], max_size=levels[1]))
    tokens = st.tuples(*(st.integers(0, min(size, 4) - 1) | st.just(size - 1) for size in sizes))
    rows = draw(st.lists(tokens, min_size=fewest, max_size=40))
    return build(sizes, rows, draw(st.sampled_from(["fast", "compact"])))


def codes_to_try(trie, states):
    """For each state: codes that lead on, and some that do not."""
    allowed = trie.allowed(states)
    rows, codes = np.nonzero(allowed)
    others = np.array([-5, -1, 0, 1, allowed.shape[1] - 1, allowed.shape[1], 70_000])
    return (
        np.concatenate([rows, np.repeat(np.arange(len(states)), len(others))]),
        np.concatenate([codes, np.tile(others, len(states))]),
    )


@given(tries())
@settings(deadline=None, max_examples=40)
def test_every_state_answers_as_the_trie(trie):
    tensors = trie.to_torch()
    states, nodes = trie.start(2), tensors.start(2)
    for depth, size in enumerate(trie.layout.sizes):
        allowed = trie.allowed(states)
        np.testing.assert_array_equal(tensors.allowed(nodes, depth).numpy(), allowed)
        logits = torch.arange(allowed.size, dtype=torch.float32).view(allowed.shape)
        expected = torch.from_numpy(trie.mask_logits(states, logits.numpy().copy()))
        assert tensors.mask_logits(nodes, depth, logits) is logits
        assert torch.equal(logits, expected)
        check_children(tensors, nodes, depth, allowed)
        rows, codes = codes_to_try(trie, states)
        rows, codes = rows[:120], codes[:120]  # levels of 65,536 codes make wide masks
        states = trie.step(states.select(rows), codes)
        nodes = tensors.step(nodes[torch.from_numpy(rows)], depth, torch.from_numpy(codes))
        np.testing.assert_array_equal(nodes.numpy() < 0, states.dead)
        assert tensors.width(depth) <= size
    # A whole Semantic ID's state is its rank.
    live = nodes[nodes >= 0].numpy()
    items, _ = trie.items(trie.start(1))
    every = np.unique(trie.sids(items.astype(np.int64)), axis=0) if len(trie) else np.zeros(0)
    rank_of = {tuple(np.atleast_1d(sid).tolist()): rank for rank, sid in enumerate(every)}
    values, offsets = trie.items(states)
    firsts = values[offsets[:-1][nodes.numpy() >= 0]]
    sids = trie.sids(firsts.astype(np.int64))
    assert [rank_of[tuple(np.atleast_1d(sid).tolist())] for sid in sids] == live.tolist()


def check_children(tensors, nodes, depth, allowed):
    codes, children = tensors.children(nodes, depth)
    assert codes.shape == children.shape == (len(nodes), tensors.width(depth))
    for row, mask in enumerate(allowed):
        expected = np.flatnonzero(mask)
        assert codes[row].tolist() == expected.tolist() + [-1] * (tensors.width(depth) - len(expected))
        steps = tensors.step(nodes[[row] * len(expected)], depth, torch.from_numpy(expected))
        assert children[row].tolist() == steps.tolist() + [-1] * (tensors.width(depth) - len(expected))


def crowded():
    """Some prefixes with hundreds of children, so that blocks of children need wider types."""
    random = np.random.default_rng(0)
    rows = np.stack([random.integers(0, 70, 200_000), random.integers(0, 3000, 200_000)], axis=1)
    rows[:1000, 0] = 3
    return build([70, 3000, 2], np.concatenate([rows, np.ones((200_000, 1), int)], axis=1))


def test_many_children():
    trie = crowded()
    tensors = trie.to_torch()
    states, nodes = trie.start(70), tensors.start(70)
    for depth in (0, 1):
        codes = np.arange(70) if depth == 0 else trie.allowed(states).argmax(axis=1)
        states = trie.step(states, codes)
        nodes = tensors.step(nodes, depth, torch.from_numpy(codes))
        np.testing.assert_array_equal(tensors.allowed(nodes, depth + 1).numpy(), trie.allowed(states))


def test_it_is_small():
    random = np.random.default_rng(0)
    layout = SidLayout([256] * 4)
    trie = Trie.build(random.choice(2**32, 300_000, replace=False).astype(np.uint64), layout)
    per_sid = trie.to_torch().nbytes / len(trie)
    assert per_sid < 4.0
    assert to_static(trie).nbytes / len(trie) > 5 * per_sid


def test_dtypes_of_logits():
    tensors = build([4, 4], [[1, 2], [3, 0]]).to_torch("cpu")
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        masked = tensors.mask_logits(tensors.start(1), 0, torch.zeros(1, 4, dtype=dtype))
        assert masked.dtype == dtype
        assert torch.isfinite(masked).tolist() == [[False, True, False, True]]


def test_what_it_says_of_itself():
    tensors = build([4, 4], [[1, 2], [3, 0], [3, 1]]).to_torch(torch.device("cpu"))
    assert repr(tensors) == "<TrieTensors of 3 SIDs under [4, 4] on cpu>"
    assert (tensors.sizes, tensors.levels, tensors.device) == ((4, 4), 2, torch.device("cpu"))
    assert [tensors.width(depth) for depth in (0, 1)] == [2, 2]


HOSTILE = {
    "a depth beyond": (lambda t: t.allowed(t.start(1), 2), ConfigError, "`depth` is 2; .* 0 to 1"),
    "a negative depth": (lambda t: t.step(t.start(1), -1, t.start(1)), ConfigError, "`depth` is -1"),
    "floats": (lambda t: t.allowed(torch.zeros(1), 0), DataError, "int64 .* not torch.float32"),
    "a matrix": (lambda t: t.children(t.start(4).view(2, 2), 0), DataError, r"not torch.int64 \(2, 2\)"),
    "another device": (
        lambda t: t.allowed(t.start(1).to("meta"), 0),
        DataError,
        r"on cpu, not .* on meta",
    ),
    "too few codes": (
        lambda t: t.step(t.start(3), 0, torch.zeros(2)),
        DataError,
        r"one code for each of 3 .* \(2,\)",
    ),
    "narrow logits": (
        lambda t: t.mask_logits(t.start(1), 0, torch.zeros(1, 3)),
        DataError,
        r"\(1, 4\), not \(1, 3\)",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_does_not_fit_is_refused(case):
    call, error, message = HOSTILE[case]
    with pytest.raises(error, match=message):
        call(build([4, 4], [[1, 2]]).to_torch())


def test_a_device_that_is_not_there():
    with pytest.raises(ConfigError, match="`device` is invalid: expected a device such as cpu"):
        build([4, 4], [[1, 2]]).to_torch("no such device")


# STATIC


def static_mask(index: StaticLayout, states, depth: int) -> torch.Tensor:
    """The tokens allowed behind `depth` tokens, read as in the paper: gather, compare with the length."""
    starts = index.indptr[states.long()].long()
    lengths = index.indptr[states.long() + 1] - starts
    offsets = torch.arange(index.layer_max_branches[depth])
    rows = index.packed_csr[(starts[:, None] + offsets).clamp(max=len(index.packed_csr) - 1)]
    mask = torch.zeros(len(states), index.vocab_size + 1, dtype=torch.bool)
    tokens = torch.where(offsets < lengths[:, None], rows[..., 0].long(), index.vocab_size)
    mask.scatter_(1, tokens, True)
    return mask[:, :-1]


def static_step(index: StaticLayout, states, depth: int, codes) -> torch.Tensor:
    """The states after one more token that exists."""
    starts = index.indptr[states.long()].long()
    places = starts[:, None] + torch.arange(index.layer_max_branches[depth])
    rows = index.packed_csr[places.clamp(max=len(index.packed_csr) - 1)]
    hit = (rows[..., 0] == codes[:, None]).int().argmax(dim=1)
    return rows[torch.arange(len(states)), hit, 1]


@given(tries(sizes=st.sampled_from([1, 3, 40, 257]), levels=(2, 6), fewest=1), st.sampled_from([1, 2]))
@settings(deadline=None)
def test_static_allows_what_the_trie_allows(trie, dense):
    dense = min(dense, trie.layout.levels - 1)
    index = to_static(trie, dense_levels=dense)
    sizes = trie.layout.sizes
    size = index.vocab_size
    assert size == max(sizes)
    states = trie.start(1)
    first = trie.allowed(states)[0]
    np.testing.assert_array_equal(index.start_mask[: sizes[0]].numpy(), first)
    assert not index.start_mask[sizes[0] :].any()
    codes = np.flatnonzero(first)
    states = trie.step(states.select(np.zeros(len(codes), int)), codes)
    nodes = torch.from_numpy(codes + 1)
    if dense == 1:
        np.testing.assert_array_equal(np.flatnonzero(index.dense_states), codes)
        assert index.dense_states[codes].tolist() == nodes.tolist()
    for depth in range(1, len(sizes)):
        allowed = trie.allowed(states)
        mask = static_mask(index, nodes, depth)
        np.testing.assert_array_equal(mask[:, : sizes[depth]].numpy(), allowed)
        assert not mask[:, sizes[depth] :].any()
        assert index.layer_max_branches[depth] == allowed.sum(axis=1).max()
        rows, chosen = np.nonzero(allowed)
        before = nodes[torch.from_numpy(rows)]
        nodes = static_step(index, before, depth, torch.from_numpy(chosen))
        states = trie.step(states.select(rows), chosen)
        if depth == 1 and dense == 2:
            np.testing.assert_array_equal(index.dense_mask[codes, : sizes[1]].numpy(), allowed)
            assert torch.equal(index.dense_states[before - 1, chosen], nodes)
            assert int(index.dense_mask.sum()) == len(rows)
    assert (nodes == 0).all()  # behind the last token


def test_static_of_three_items_by_hand():
    index = to_static(build([4, 4, 2], [[1, 2, 0], [3, 0, 0], [3, 0, 1]]))
    # States: 2 and 4 are "1" and "3"; 5 is "1-2", 6 is "3-0".
    assert index.start_mask.tolist() == [False, True, False, True]
    assert index.packed_csr.tolist() == [[2, 5], [0, 6], [0, 0], [0, 0], [1, 0]] + [[4, 0]] * 4
    assert index.indptr.tolist() == [0, 0, 0, 1, 1, 2, 3, 5, 9]
    assert index.layer_max_branches == (2, 1, 2)
    assert index.dense_states[1].tolist() == [0, 0, 5, 0]
    assert index.dense_states[3].tolist() == [6, 0, 0, 0]
    assert index.dense_mask.nonzero().tolist() == [[1, 2], [3, 0]]
    assert index.packed_csr.dtype == index.indptr.dtype == index.dense_states.dtype == torch.int32
    assert index.nbytes == 4 * (9 * 2 + 9 + 16) + 4 + 16


@pytest.mark.parametrize(("levels", "dense"), [(1, 1), (2, 2), (3, 3), (3, 0)])
def test_levels_that_static_does_not_have(levels, dense):
    with pytest.raises(
        ConfigError, match=f"`dense_levels` must be .* less than the {levels} tokens .* got {dense}"
    ):
        to_static(build([4] * levels, [[1] * levels]), dense_levels=dense)


def test_static_has_no_layout_for_nothing():
    with pytest.raises(ConfigError, match="the trie is empty"):
        to_static(build([4, 4, 4], []))


def test_tensors_are_made_by_the_class_too():
    trie = build([4, 4], [[1, 2]])
    assert isinstance(TrieTensors.of(trie), type(trie.to_torch()))
