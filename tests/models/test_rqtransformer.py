"""RQTransformer: probabilities against a plain computation, causality, and memory in parts."""

import math

import numpy as np
import pytest
import torch

from sidkit import SidLayout, Trie
from sidkit.data import Sequences
from sidkit.decode import RankOptions, SearchOptions, beam_search, rank_by_rqtransformer
from sidkit.errors import ConfigError
from sidkit.models import RQTransformerNetwork, load_network, rqtransformer, save_network

SIZES = (5, 4, 3)
ITEMS = 23
HISTORIES = Sequences.from_rows([[1, 2, 3], [4], [5, 6, 7], [8, 9], [10, 11, 12], [], [0] * 25])


def catalogue(shared=False):
    random = np.random.default_rng(0)
    every = np.stack(np.unravel_index(np.arange(60), SIZES), axis=1)
    chosen = random.permutation(60)[:ITEMS]
    if shared:
        chosen[-6:] = chosen[:6]  # six Semantic IDs that name two items each
    return every[chosen].astype(np.uint16)


def small(shared=False, content=True, **changes):
    torch.manual_seed(0)
    vectors = np.random.default_rng(1).normal(size=(ITEMS, 6)).astype(np.float32) if content else None
    settings = {"d_model": 16, "layers": 2, "heads": 2, "max_items": 8}
    model = RQTransformerNetwork.for_items(SIZES, catalogue(shared), vectors, **(settings | changes))
    for table in (model.code, model.prefix):  # far from uniform, so that the order is clear
        torch.nn.init.normal_(table.weight, std=0.7)
    if model.normalization == "level":
        torch.nn.init.normal_(model.bias)
    return model.eval()


@torch.inference_mode()
def plain_log_probs(model, tokens, hidden):
    """Log-probabilities of all items after one history, prefix by prefix; f64 (items,)."""
    rows = [tuple(row) for row in tokens.tolist()]
    prefixes, _ = model.vectors()
    node = {}  # the node of each prefix
    for item, row in enumerate(rows):
        for level in range(len(SIZES)):
            node[row[: level + 1]] = int(model.tree.path[item, level])
    scores = prefixes.double() @ hidden.double() + model.bias.double()
    total = []
    for row in rows:
        log_prob = 0.0
        for level in range(len(SIZES)):
            family = {other[: level + 1] for other in rows if other[:level] == row[:level]}
            exponentials = [math.exp(scores[node[prefix]]) for prefix in family]
            log_prob += float(scores[node[row[: level + 1]]]) - math.log(sum(exponentials))
        total.append(log_prob)
    return np.array(total)


@pytest.mark.parametrize("shared", [False, True])
def test_item_log_probs_are_those_of_the_definition(shared):
    model, tokens = small(shared), catalogue(shared)
    with torch.inference_mode():
        hidden, prefixes, _ = model.last_hidden(torch.tensor([[1, 2, 3], [4, 5, 6]]))
        found = model.item_log_probs(hidden, prefixes).numpy()
    for row in range(2):
        np.testing.assert_allclose(
            found[row], plain_log_probs(model, tokens, hidden[row]), rtol=1e-4, atol=1e-4
        )
    distinct = np.unique(tokens, axis=0, return_index=True)[1]
    np.testing.assert_allclose(np.exp(found[:, distinct]).sum(1), 1.0, rtol=1e-5)


def test_the_losses_are_the_parts_of_the_log_probability():
    model, tokens = small(), catalogue()
    history, target = torch.tensor([[1, 2, 3], [4, 5, ITEMS]]), torch.tensor([[2, 3, 7], [5, 6, ITEMS]])
    with torch.inference_mode():
        losses = model(history, target)
        _, items = model.vectors()
        hidden = model.hidden(history, items)
        expected, dense = [], []
        for row, column in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]:
            next_item = int(target[row, column])
            expected.append(plain_log_probs(model, tokens, hidden[row, column])[next_item])
            dense.append(float((hidden[row, column] @ items.T).log_softmax(-1)[next_item]))
    assert losses.shape == (4,)
    np.testing.assert_allclose(float(losses[:3].sum()), -np.mean(expected), rtol=1e-4)
    np.testing.assert_allclose(float(losses[3]), -np.mean(dense), rtol=1e-4)


def test_an_item_is_the_sum_of_its_prefixes_and_its_content():
    model = small()
    with torch.inference_mode():
        prefixes, items = model.vectors()
        np.testing.assert_allclose(items, prefixes[model.tree.path].sum(1), atol=1e-5)
        codes = torch.tensor(catalogue().astype(np.int64)) + torch.tensor(model.offsets)
        own = model.code(codes).sum(1) + model.prefix(model.tree.path).sum(1)
        np.testing.assert_allclose(items, own + model.project(model.content), atol=1e-5)


def test_losses_in_parts_are_those_at_once(monkeypatch):
    model = small().train()
    model.dropout.threshold = 0
    for block in model.blocks:
        block.dropout.threshold = block.feed_forward[3].threshold = block.feed_forward[5].threshold = 0
    history, target = torch.randint(0, ITEMS, (6, 7)), torch.randint(0, ITEMS, (6, 7))
    gradients = []
    for positions in (2048, 5):
        monkeypatch.setattr(rqtransformer, "_POSITIONS", positions)
        model.zero_grad()
        losses = model(history, target)
        losses.sum().backward()
        gradients.append([losses.detach(), *(p.grad.clone() for p in model.parameters())])
    for whole, parts in zip(*gradients, strict=True):
        torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backbone", ["attention", "gru"])
def test_the_future_never_reaches_the_past_and_padding_changes_nothing(backbone):
    model = small(backbone=backbone)
    with torch.inference_mode():
        _, items = model.vectors()
        history = torch.randint(0, ITEMS, (3, 6))
        changed = history.clone()
        changed[:, 4:] = (changed[:, 4:] + 1) % ITEMS
        before = model.hidden(history, items)
        torch.testing.assert_close(before[:, :4], model.hidden(changed, items)[:, :4])
        padded = torch.cat([history, torch.full((3, 2), ITEMS)], 1)
        torch.testing.assert_close(before, model.hidden(padded, items)[:, :6])


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("content", [False, True])
@pytest.mark.parametrize("changes", [{}, {"backbone": "gru"}, {"normalization": "tree", "dense": False}])
def test_a_wide_beam_equals_scoring_the_whole_catalogue(shared, content, changes):
    model, tokens = small(shared, content, **changes), catalogue(shared)
    layout = SidLayout(list(SIZES))
    trie = Trie.build(layout.pack(tokens), layout)
    items, scores = beam_search(
        model, trie, tokens, HISTORIES, beam=60, k=ITEMS, options=SearchOptions(batch_size=2)
    )
    exact, log_probs = rank_by_rqtransformer(model, HISTORIES, ITEMS, options=RankOptions(batch_size=3))
    np.testing.assert_allclose(scores, log_probs, rtol=1e-4, atol=1e-5)
    if not shared:  # items that share a Semantic ID are equally likely
        np.testing.assert_array_equal(items, exact)


@pytest.mark.parametrize("beam", [1, 3, 50])
def test_both_ways_to_score_children_agree(beam, monkeypatch):
    model, tokens = small(), catalogue()
    layout = SidLayout(list(SIZES))
    trie = Trie.build(layout.pack(tokens), layout)
    found = []
    for always in (0, 10**9):
        monkeypatch.setattr(rqtransformer, "_PRODUCT", always)
        found.append(beam_search(model, trie, tokens, HISTORIES, beam=beam, k=min(beam, 5)))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-4, atol=1e-5)


def test_ways_to_rank():
    model = small()
    ranked = {by: rank_by_rqtransformer(model, HISTORIES, 5, by=by) for by in ("sid", "dense", "fused")}
    assert not np.array_equal(ranked["sid"][0], ranked["dense"][0])
    for by, share in (("sid", 1.0), ("dense", 0.0)):
        mixed = rank_by_rqtransformer(model, HISTORIES, 5, by="fused", sid_share=share)
        np.testing.assert_array_equal(mixed[0], ranked[by][0])
    seen, _ = rank_by_rqtransformer(
        model, HISTORIES, ITEMS, by="fused", options=RankOptions(exclude=HISTORIES)
    )
    for row, history in enumerate(HISTORIES):
        assert not set(seen[row].tolist()) & set(history.tolist())


def test_what_it_refuses():
    with pytest.raises(ConfigError, match="`d_model` must be a multiple of `heads`, got 16 with 3 heads"):
        small(heads=3)
    with pytest.raises(ConfigError, match="`backbone` must be `attention` or `gru`, got 'lstm'"):
        small(backbone="lstm")
    with pytest.raises(ConfigError, match="`vectors` must be one row for each of the 23 items, got"):
        RQTransformerNetwork.for_items(SIZES, catalogue(), np.zeros((22, 4), np.float32))
    with pytest.raises(ConfigError, match="trained without `dense` and cannot rank by `fused`"):
        rank_by_rqtransformer(small(dense=False), HISTORIES, 5, by="fused")
    with pytest.raises(ConfigError, match="`sid_share` must be from 0 to 1, got 2"):
        rank_by_rqtransformer(small(), HISTORIES, 5, by="fused", sid_share=2)


@pytest.mark.parametrize("backbone", ["attention", "gru"])
def test_saved_and_loaded_it_ranks_the_same(tmp_path, backbone):
    model = small(sid_share=0.25, backbone=backbone)
    save_network(model, tmp_path / "model.safetensors")
    loaded = load_network(RQTransformerNetwork, tmp_path / "model.safetensors")
    assert isinstance(loaded, RQTransformerNetwork) and loaded.sid_share == 0.25
    for by in ("sid", "fused"):
        for ours, theirs in zip(
            rank_by_rqtransformer(model, HISTORIES, 9, by=by),
            rank_by_rqtransformer(loaded, HISTORIES, 9, by=by),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_a_dimension_that_is_always_the_same_says_nothing():
    vectors = np.random.default_rng(1).normal(size=(ITEMS, 6)).astype(np.float32)
    vectors[:, 2] = 7.25
    model = RQTransformerNetwork.for_items(SIZES, catalogue(), vectors, d_model=16)
    assert torch.isfinite(model.content).all() and (model.content[:, 2] == 0).all()


def test_weights_loaded_into_a_model_that_has_decoded_are_used():
    model, other = small(), small()
    rank_by_rqtransformer(model, HISTORIES, 5)
    with torch.no_grad():
        for tensor in other.parameters():
            tensor.normal_()
    other.eval()
    model.load_state_dict(other.state_dict())
    found, expected = (rank_by_rqtransformer(each, HISTORIES, 5) for each in (model, other))
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])


@pytest.mark.parametrize(
    "tokens",
    [catalogue() + np.uint16(1), catalogue()[:, :2], catalogue().astype(np.int64) - 1],
    ids=["too high", "a column short", "negative"],
)
def test_tokens_of_other_sizes_are_refused(tokens):
    with pytest.raises(ConfigError, match=r"one column for each of the `sizes` \[5, 4, 3\]"):
        RQTransformerNetwork.for_items(SIZES, tokens)


@torch.inference_mode()
@pytest.mark.parametrize("shared", [False, True])
def test_tree_normalization_is_one_softmax_over_all_semantic_ids(shared):
    model = small(shared, dense=False, normalization="tree")
    hidden, prefixes, items = model.last_hidden(torch.tensor([[1, 2, 3], [4, 5, 6]]))
    found = model.item_log_probs(hidden, prefixes)
    distinct = np.unique(catalogue(shared), axis=0, return_index=True)[1]
    scores = hidden.double() @ items.double().T
    expected = scores - scores[:, distinct].logsumexp(-1, keepdim=True)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    history, target = torch.tensor([[1, 2, 3]]), torch.tensor([[2, 3, 7]])
    h = model.hidden(history, items)[0]
    expected_loss = -model.item_log_probs(h, prefixes).gather(1, target[0, :, None]).mean()
    torch.testing.assert_close(model(history, target), expected_loss[None], rtol=1e-5, atol=1e-5)


def test_tree_normalization_needs_no_dense_head():
    with pytest.raises(ConfigError, match=r"set `dense` to False"):
        small(dense=True, normalization="tree")
