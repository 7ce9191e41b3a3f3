"""RQTransformer: probabilities against a plain computation, causality, and memory in parts."""

import numpy as np
import pytest
import torch

from sidkit import SidLayout, Trie
from sidkit.data import Sequences
from sidkit.decode import RankOptions, SearchOptions, beam_search, rank_by_scores
from sidkit.errors import ConfigError
from sidkit.models import RQTransformerNetwork, load_network, save_network
from sidkit.models.tree import decoding, node_sampler
from sidkit.models.tree.node_vectors import node_counts

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
    for table in (model.vectors.code, model.vectors.prefix):  # far from uniform, so that the order is clear
        torch.nn.init.normal_(table.weight, std=0.7)
    return model.eval()


def item_vectors(model, tokens, vectors):
    """Vectors of all items by the definition, f64 (items, D)."""
    rows = [tuple(row) for row in tokens.tolist()]
    first = np.cumsum((0, *SIZES))
    prefixes = sorted(
        {row[: level + 1] for row in rows for level in range(len(SIZES))}, key=lambda p: (len(p), p)
    )
    code, prefix = (
        table.weight.detach().double().numpy() for table in (model.vectors.code, model.vectors.prefix)
    )
    x = None
    if vectors is not None:
        x = (vectors - vectors.mean(0)) / vectors.std(0) / vectors.shape[1] ** 0.5
    found = []
    for row in rows:
        total = sum(code[first[level] + token] for level, token in enumerate(row))
        total = total + sum(prefix[prefixes.index(row[: level + 1])] for level in range(len(SIZES)))
        if x is not None:
            same = [other for other in range(len(rows)) if rows[other] == row]
            total = total + model.vectors.project.weight.detach().double().numpy() @ x[same].mean(0)
        found.append(total)
    return np.array(found)


def content():
    return np.random.default_rng(1).normal(size=(ITEMS, 6)).astype(np.float32)


@torch.inference_mode()
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("with_content", [False, True])
def test_vectors_and_probabilities_are_those_of_the_definition(shared, with_content):
    model, tokens = small(shared, with_content), catalogue(shared)
    expected = item_vectors(model, tokens, content() if with_content else None)
    np.testing.assert_allclose(model.item_vectors(), expected, rtol=1e-4, atol=1e-4)
    hidden = model.hidden(torch.tensor([[1, 2, 3], [4, 5, 6]]))
    found = model.item_log_probs(hidden).numpy()
    distinct = np.unique(tokens, axis=0, return_index=True)[1]
    scores = hidden.double().numpy() @ expected.T
    log_probs = scores - np.log(np.exp(scores[:, distinct]).sum(1, keepdims=True))
    np.testing.assert_allclose(found, log_probs, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_the_loss_is_the_mean_negative_log_probability():
    model = small()
    history, target = torch.tensor([[4, 5, ITEMS], [1, 2, 3]]), torch.tensor([[5, 6, ITEMS], [2, 3, 7]])
    expected = [
        -float(model.item_log_probs(model.hidden(history[row : row + 1, : end + 1]))[0, target[row, end]])
        for row, end in [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    ]
    loss = model(history, target)
    assert loss.shape == (1,)
    np.testing.assert_allclose(float(loss), np.mean(expected), rtol=1e-5)


@torch.inference_mode()
def test_a_prefix_of_one_semantic_id_has_its_vector_and_others_the_mean_content():
    model, tokens = small(), catalogue()
    tree, vectors = model.tree, model.vectors
    counts = node_counts(tree)
    np.testing.assert_array_equal(counts[tree.leaves], 1)
    assert counts[: tree.starts[1]].sum() == ITEMS
    lone = vectors.lone_leaves.numpy()
    for node in range(tree.starts[-1]):
        alone = counts[node] == 1
        assert (lone[node] >= tree.leaves.start) == alone
        assert alone or lone[node] == node
    x = (content() - content().mean(0)) / content().std(0) / 6**0.5
    node = int(tree.item_paths()[0, 0])
    under = tokens[:, 0] == tokens[0, 0]
    expected = vectors.project(torch.from_numpy(x[under].mean(0).astype(np.float32)))
    expected = expected + vectors.code.weight[int(tokens[0, 0])] + vectors.prefix.weight[node]
    torch.testing.assert_close(
        vectors(torch.tensor([node, -1])), torch.stack([expected, expected * 0]), atol=1e-5, rtol=1e-5
    )


def token_losses(model, history, target):
    """Mean negative log-probability of each token of the targets, with one softmax for each prefix."""
    tree = model.tree
    with torch.no_grad():
        vectors = model.vectors(model.vectors.lone_leaves)
        h = model.encode(history, vectors[tree.leaf.long()[history]]).flatten(0, 1)
    goals = tree.item_paths()[target.flatten()]
    found = []
    for level in range(tree.levels):
        nodes = torch.arange(tree.level(level).start, tree.level(level).stop)
        losses = []
        for row, node in zip(h, goals[:, level], strict=True):
            siblings = nodes[tree.parent[nodes] == tree.parent[node]]
            losses.append(float((vectors[siblings] @ row).logsumexp(0) - vectors[node] @ row))
        found.append(np.mean(losses))
    return np.array(found)


@torch.inference_mode()
def test_probabilities_in_a_large_catalogue_are_products_over_the_tokens():
    model = small(sample_above=1)
    found = model.item_log_probs(model.hidden(torch.tensor([[4]])))[0]
    for item in range(ITEMS):
        losses = token_losses(model, torch.tensor([[4]]), torch.tensor([[item]]))
        np.testing.assert_allclose(float(found[item]), -losses.sum(), rtol=5e-3, atol=5e-3)
    np.testing.assert_allclose(float(found.exp().sum()), 1, rtol=1e-3)


@pytest.mark.parametrize("first", [4096, 2])
@pytest.mark.parametrize("draws", [2, 10_000])
def test_samples_of_siblings_estimate_the_softmax_of_each_prefix(draws, first, monkeypatch):
    monkeypatch.setattr(node_sampler, "_FIRST", first)
    model, counts = small(dropout=0.0), np.arange(ITEMS)
    history, target = torch.randint(0, ITEMS, (6, 7)), torch.randint(0, ITEMS, (6, 7))
    expected = token_losses(model, history, target)
    assert model.sampler(counts, draws) is None
    sampler = small(sample_above=1).sampler(counts, draws)
    losses = [model(history, target, sampler=sampler).detach() for _ in range(1 if draws > 2 else 60)]
    found = torch.stack(losses).mean(0).numpy()
    assert found.shape == (len(SIZES),)
    exact = np.array([first > 2, draws > 2, draws > 2])
    np.testing.assert_allclose(found[exact], expected[exact], rtol=1e-4)
    # The logarithm of an unbiased estimate is too low on average (Jensen).
    assert (0.4 * expected[~exact] < found[~exact]).all() and (found[~exact] < 1.02 * expected[~exact]).all()


def test_the_estimate_of_a_softmax_is_unbiased_before_the_logarithm():
    """Summed exponential scores over log-chances of a sample against those of all children."""
    torch.manual_seed(0)
    model = small(sample_above=1)
    sampler = model.sampler(np.arange(ITEMS) ** 2, 2)
    weight = torch.rand(model.tree.starts[-1], dtype=torch.float64)
    for level in (1, 2):
        parents = torch.arange(model.tree.level(level - 1).start, model.tree.level(level - 1).stop)
        total = torch.zeros(len(parents), dtype=torch.float64)
        for _ in range(600):
            nodes, chance = sampler.children(level, parents, len(parents))
            total += torch.where(nodes >= 0, weight[nodes] * (-chance).exp().double(), 0.0).sum(1)
        row, node = model.tree.children_of(parents)
        expected = torch.zeros(len(parents), dtype=torch.float64).index_add_(0, row, weight[node])
        torch.testing.assert_close(total / 600, expected, rtol=0.25, atol=0.0)


def test_samples_hold_each_node_as_often_as_stated(monkeypatch):
    monkeypatch.setattr(node_sampler, "_FIRST", 3)
    torch.manual_seed(0)
    sampler = small(sample_above=1).sampler(np.arange(ITEMS) ** 2, 8)
    seen, chance = np.zeros(SIZES[0]), np.full(SIZES[0], np.nan)
    for _ in range(500):
        drawn, log_chance = sampler.first()
        assert (drawn.diff() > 0).all()
        seen[drawn.numpy()] += 1
        chance[drawn.numpy()] = log_chance.exp().numpy()
    np.testing.assert_allclose(seen / 500, chance, atol=0.08)


def test_siblings_are_children_of_their_parent_each_once():
    sampler = small(sample_above=1).sampler(np.zeros(ITEMS, np.int64), 3)
    tree = sampler.tree
    for level in (1, 2):
        parents = torch.arange(tree.level(level - 1).start, tree.level(level - 1).stop)
        nodes, chance = sampler.children(level, parents, len(parents))
        assert nodes.shape == chance.shape == (len(parents), 3)
        for parent, row in zip(parents.tolist(), nodes.tolist(), strict=True):
            found = [node for node in row if node >= 0]
            assert len(set(found)) == len(found) > 0
            assert {int(tree.parent[node]) for node in found} == {parent}
            if int(tree.branches[parent]) <= 3:
                assert len(found) == int(tree.branches[parent])


def test_tables_with_too_few_rows_are_hashed_and_trained_sparsely():
    model = small(prefix_rows=10).train()
    assert model.vectors.hashed and model.vectors.prefix.weight.shape == (10, 16)
    model(torch.tensor([[1, 2, 3]]), torch.tensor([[2, 3, 7]])).sum().backward()
    assert model.vectors.prefix.weight.grad.is_sparse
    same = small(prefix_rows=10)
    assert torch.equal(model.vectors.row, same.vectors.row)
    assert int(same.vectors.row.min()) >= 0 and int(same.vectors.row.max()) < 10


def test_gradients_do_not_depend_on_how_rows_are_grouped():
    model = small(dropout=0.0)
    history, target = torch.randint(0, ITEMS, (6, 8)), torch.randint(0, ITEMS, (6, 8))
    for row, length in enumerate([1, 1, 3, 4, 8, 8]):
        history[row, length:], target[row, length:] = ITEMS, ITEMS
    found = []
    for order in (torch.arange(6), torch.tensor([4, 0, 5, 1, 3, 2])):
        model.zero_grad()
        losses = model(history[order], target[order])
        losses.sum().backward()
        found.append([losses.detach(), *(p.grad.clone() for p in model.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backbone", ["attention", "gru"])
def test_the_future_never_reaches_the_past_and_padding_changes_nothing(backbone):
    model = small(backbone=backbone)
    with torch.inference_mode():
        history = torch.randint(0, ITEMS, (3, 6))
        changed = history.clone()
        changed[:, 4:] = (changed[:, 4:] + 1) % ITEMS
        lengths = torch.tensor([4, 3, 1])
        before = model.hidden(history, lengths)
        torch.testing.assert_close(before, model.hidden(changed, lengths))
        padded = torch.cat([history, torch.full((3, 2), ITEMS)], 1)
        torch.testing.assert_close(before, model.hidden(padded, lengths))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("content", [False, True])
@pytest.mark.parametrize("changes", [{}, {"backbone": "gru"}])
def test_a_wide_beam_equals_scoring_the_whole_catalogue(shared, content, changes):
    model, tokens = small(shared, content, **changes), catalogue(shared)
    layout = SidLayout(list(SIZES))
    trie = Trie.build(layout.pack(tokens), layout)
    items, scores = beam_search(
        model, trie, tokens, HISTORIES, beam=60, k=ITEMS, options=SearchOptions(batch_size=2)
    )
    exact, log_probs = rank_by_scores(model, HISTORIES, ITEMS, options=RankOptions(batch_size=3))
    np.testing.assert_allclose(scores, log_probs, rtol=1e-4, atol=1e-5)
    if not shared:  # items that share a Semantic ID are equally likely
        np.testing.assert_array_equal(items, exact)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("few", [0, 10**9])
@pytest.mark.parametrize("kept", [0, 10**9])
def test_without_masses_a_wide_beam_ranks_as_scoring_does(shared, few, kept, monkeypatch):
    """Beams of a large catalogue, in which there is a softmax for each prefix."""
    monkeypatch.setattr(decoding, "_FEW_CHILDREN", few)
    monkeypatch.setattr(decoding, "_KEPT_NODES", kept if kept else SIZES[0])
    model, tokens = small(shared, sample_above=1), catalogue(shared)
    layout = SidLayout(list(SIZES))
    trie = Trie.build(layout.pack(tokens), layout)
    items, scores = beam_search(
        model, trie, tokens, HISTORIES, beam=60, k=ITEMS, options=SearchOptions(batch_size=3)
    )
    whole = small(shared)
    whole.sample_above = 1
    monkeypatch.setattr(decoding, "_KEPT_NODES", 10**9)
    exact, log_probs = rank_by_scores(whole, HISTORIES, ITEMS)
    # Vectors of large levels are kept in float16.
    np.testing.assert_allclose(scores, log_probs, rtol=5e-3, atol=5e-3)
    if not shared:
        assert (items == exact).mean() > 0.95


def test_narrow_beams_without_masses_are_valid_and_descend():
    model, tokens = small(sample_above=1), catalogue()
    layout = SidLayout(list(SIZES))
    trie = Trie.build(layout.pack(tokens), layout)
    for beam in (1, 3):
        items, scores = beam_search(model, trie, tokens, HISTORIES, beam=beam, k=beam)
        assert (items >= 0).all() and (np.diff(scores, axis=1) <= 0).all() and (scores <= 1e-4).all()


def test_what_it_refuses():
    with pytest.raises(ConfigError, match="`d_model` must be a multiple of `heads`, got 16 with 3 heads"):
        small(heads=3)
    with pytest.raises(ConfigError, match="`backbone` must be `attention` or `gru`, got 'lstm'"):
        small(backbone="lstm")
    with pytest.raises(ConfigError, match="`vectors` must be one row for each of the 23 items, got"):
        RQTransformerNetwork.for_items(SIZES, catalogue(), np.zeros((22, 4), np.float32))


@pytest.mark.parametrize("backbone", ["attention", "gru"])
@pytest.mark.parametrize("rows", [10, 1000])
def test_saved_and_loaded_it_ranks_the_same(tmp_path, backbone, rows):
    model = small(backbone=backbone, prefix_rows=rows)
    save_network(model, tmp_path / "model.safetensors")
    loaded = load_network(RQTransformerNetwork, tmp_path / "model.safetensors")
    assert isinstance(loaded, RQTransformerNetwork)
    for ours, theirs in zip(
        rank_by_scores(model, HISTORIES, 9), rank_by_scores(loaded, HISTORIES, 9), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_dimension_that_is_always_the_same_says_nothing():
    vectors = np.random.default_rng(1).normal(size=(ITEMS, 6)).astype(np.float32)
    vectors[:, 2] = 7.25
    model = RQTransformerNetwork.for_items(SIZES, catalogue(), vectors, d_model=16)
    standard = model.vectors._content_of(torch.arange(model.tree.starts[-1]))
    assert torch.isfinite(standard).all() and (standard[:, 2] == 0).all()


def test_weights_loaded_into_a_model_that_has_decoded_are_used():
    model, other = small(), small()
    rank_by_scores(model, HISTORIES, 5)
    with torch.no_grad():
        for tensor in other.parameters():
            tensor.normal_()
    other.eval()
    model.load_state_dict(other.state_dict())
    found, expected = (rank_by_scores(each, HISTORIES, 5) for each in (model, other))
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


@pytest.mark.parametrize(("targets", "drawn"), [(1, 1), (4, 2), (8, 4), (400, 8)])
def test_a_prefix_gets_a_share_of_the_draws_of_its_level(targets, drawn):
    sampler = small(sample_above=1).sampler(np.zeros(ITEMS, np.int64), 2)
    parents = torch.arange(sampler.tree.level(0).stop)[:4]
    nodes, chance = sampler.children(1, parents, targets)
    most = int(sampler.tree.branches[parents].max())
    assert nodes.shape == chance.shape == (4, min(drawn, most))
