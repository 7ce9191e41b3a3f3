"""New items in a network: against a network of all items whose new prefixes have no vector."""

import numpy as np
import pytest
import torch

from sidkit.models import RQTransformerNetwork, load_network, save_network
from sidkit.models.tree.node_vectors import node_counts
from sidkit.models.tree.unseen import with_similar_means, without_unseen

SIZES = (5, 4, 3)
BEFORE, ITEMS = 23, 40
CONTENT = np.random.default_rng(1).normal(size=(ITEMS, 6)).astype(np.float32)


def tokens_of(shared):
    random = np.random.default_rng(0)
    every = np.stack(np.unravel_index(np.arange(60), SIZES), axis=1)
    chosen = random.permutation(60)[:ITEMS]
    if shared:
        chosen[20:23] = chosen[:3]  # Semantic IDs of several items, old and new
        chosen[-6:] = chosen[:6]
    return every[chosen].astype(np.uint16)


def make(tokens, content, *, sampled, half=False, **changes):
    torch.manual_seed(0)
    settings = {"d_model": 16, "prefix_rows": 20 if sampled else 2**18, "sample_above": 5 if sampled else 100}
    vectors = None if content is None else content.astype(np.float16 if half else np.float32)
    return RQTransformerNetwork.for_items(SIZES, tokens, vectors, **(settings | changes)).eval()


def of_all_items(model, tokens, content, **options):
    """A network of all items with the weights of one of the first ones."""
    whole = without_unseen(make(tokens, content, **options), np.arange(ITEMS) < BEFORE)
    scales = ("vectors.shift", "vectors.scale")
    learned = {name: value for name, value in model.state_dict().items() if name in scales}
    whole.load_state_dict(whole.state_dict() | dict(model.named_parameters()) | learned)
    return whole.eval()


@torch.inference_mode()
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("content", ["none", "f16", "f32"])
def test_a_grown_network_is_that_of_all_items(shared, sampled, content):
    tokens, x = tokens_of(shared), None if content == "none" else CONTENT
    options = {"sampled": sampled, "half": content == "f16"}
    model = make(tokens[:BEFORE], None if x is None else x[:BEFORE], **options)
    history = torch.tensor([[1, 2, 3], [4, 5, 6]])
    before = model.item_vectors().clone()
    model.start(history)  # computes the vectors of a level, which growth extends
    model._frozen().level(2)
    expected = of_all_items(model, tokens, x, **options)
    part = model.with_items(tokens[:30], None if x is None else x[BEFORE:30])
    for grown in (
        model.with_items(tokens, None if x is None else x[BEFORE:]),
        part.with_items(tokens, None if x is None else x[30:]),
    ):
        assert grown.exact == model.exact and grown.items == ITEMS
        tolerance = (
            {"rtol": 2e-3, "atol": 2e-3} if sampled or content == "f16" else {"rtol": 1e-5, "atol": 1e-5}
        )
        torch.testing.assert_close(grown.item_vectors(), expected.item_vectors(), **tolerance)
        nodes = torch.arange(grown.tree.starts[-1])
        torch.testing.assert_close(grown.vectors(nodes), expected.vectors(nodes), **tolerance)
        for level in range(len(SIZES)):
            kept, fresh = grown._frozen(), expected._frozen()
            if not sampled and level == 2:  # small levels are copied, large ones extended when they are read
                assert kept.level(level) is not None
            here = nodes[grown.tree.level(level)]
            found = kept._gathered(level, here) if kept.level(level) is None else kept.level(level)
            torch.testing.assert_close(found.float(), fresh.level(level).float(), rtol=4e-3, atol=4e-3)
        read = torch.tensor([[1, ITEMS - 1, 3], [35, 5, 25]])
        torch.testing.assert_close(grown.hidden(read), expected.hidden(read), rtol=4e-3, atol=4e-3)
    assert torch.equal(model.item_vectors(), before) and model.items == BEFORE  # unchanged


@torch.inference_mode()
def test_a_grown_network_can_be_saved(tmp_path):
    tokens = tokens_of(True)
    grown = make(tokens[:BEFORE], CONTENT[:BEFORE], sampled=False).with_items(tokens, CONTENT[BEFORE:])
    save_network(grown, tmp_path / "network.safetensors")
    loaded = load_network(RQTransformerNetwork, tmp_path / "network.safetensors")
    assert torch.equal(loaded.item_vectors(), grown.item_vectors())


@torch.inference_mode()
def test_growth_beyond_the_exact_softmax_keeps_it():
    tokens = tokens_of(False)
    model = make(tokens[:BEFORE], CONTENT[:BEFORE], sampled=False, sample_above=BEFORE)
    grown = model.with_items(tokens, CONTENT[BEFORE:])
    assert grown.exact
    log_probs = grown.item_log_probs(grown.hidden(torch.tensor([[1, 2]])))
    np.testing.assert_allclose(log_probs.exp().sum(), 1, rtol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("sampled", [False, True])
def test_items_without_an_event_lose_what_they_share_with_no_other(sampled):
    tokens = tokens_of(False)
    seen = np.arange(ITEMS) < BEFORE
    trained = make(tokens, CONTENT, sampled=sampled)
    model = without_unseen(trained, seen.astype(np.int64))
    leaf_rows = model.vectors.row[model.tree.leaf.long()]
    assert (leaf_rows >= 0).tolist() == seen.tolist()
    if not sampled:
        assert len(model.vectors.prefix.weight) == int((node_counts(model.tree, seen) > 0).sum())
    known = torch.from_numpy(node_counts(model.tree, seen) > 0)
    rows = trained.vectors.row.long() if sampled else torch.arange(len(known))
    own = torch.stack(
        [
            sum(
                (trained.vectors.prefix.weight[rows[node]] for node in path if not known[node]),
                torch.zeros(16),
            )
            for path in trained.tree.paths(trained.tree.leaf.long()).tolist()
        ]
    )
    assert (own.norm(dim=1) > 0).tolist() == (~seen).tolist()
    expected = trained.item_vectors() - own
    torch.testing.assert_close(model.item_vectors(), expected, rtol=1e-4, atol=1e-5)
    assert without_unseen(trained, np.ones(ITEMS, np.int64)) is trained


@torch.inference_mode()
@pytest.mark.parametrize("shared", [False, True])
def test_new_items_get_the_mean_vector_of_similar_ones(shared):
    tokens = tokens_of(shared)
    model = without_unseen(make(tokens, CONTENT, sampled=False), np.arange(ITEMS) < BEFORE)
    made = with_similar_means(model)
    before, after = model.item_vectors().numpy(), made.item_vectors().numpy()
    new = model.vectors.is_new(model.tree.leaf.long()).numpy()
    assert new.any() and not new[:BEFORE].any()
    np.testing.assert_allclose(after[~new], before[~new], rtol=1e-5, atol=1e-6)
    assert made.vectors.is_new(made.tree.leaf.long()).tolist() == new.tolist()
    leaf = model.tree.leaf.numpy()
    content = {node: CONTENT[leaf == node].mean(0) for node in np.unique(leaf)}
    known = sorted({int(node) for node in leaf[~new]})
    units = {node: x / np.linalg.norm(x) for node, x in content.items()}
    finished = {int(node): vector for node, vector in zip(leaf, before, strict=True)}
    for item in np.flatnonzero(new):
        cosines = np.array([units[leaf[item]] @ units[node] for node in known])
        nearest = np.argsort(-cosines)[:10]
        weights = np.maximum(cosines[nearest], 1e-6) ** 16
        expected = sum(w * finished[known[at]] for w, at in zip(weights, nearest, strict=True))
        expected /= weights.sum()
        np.testing.assert_allclose(after[item], expected, rtol=2e-3, atol=1e-4)
    assert with_similar_means(made) is made
    for other in (
        without_unseen(make(tokens, None, sampled=False), np.arange(ITEMS) < BEFORE),
        without_unseen(make(tokens, CONTENT, sampled=True), np.arange(ITEMS) < BEFORE),
        make(tokens, CONTENT, sampled=False),
    ):
        assert with_similar_means(other) is other


@torch.inference_mode()
def test_the_bias_of_new_items_is_added_to_their_scores():
    tokens = tokens_of(False)
    for sampled in (False, True):
        model = without_unseen(make(tokens, CONTENT, sampled=sampled), np.arange(ITEMS) < BEFORE)
        history = torch.tensor([[1, 2, 3]])
        plain = model.item_log_probs(model.hidden(history))[0].exp()
        model.new_item_bias = 1.5
        raised = model.item_log_probs(model.hidden(history))[0].exp()
        assert plain[BEFORE:].sum() < raised[BEFORE:].sum()
        first = model.next_log_probs(model.start(history), None, None)[0]
        if not sampled:
            weights = plain * torch.where(torch.arange(ITEMS) < BEFORE, 1.0, np.exp(1.5))
            torch.testing.assert_close(raised, weights / weights.sum(), rtol=1e-4, atol=1e-6)
            masses = torch.zeros(SIZES[0]).index_add_(
                0, torch.from_numpy(tokens[:, 0].astype(np.int64)), raised
            )
            torch.testing.assert_close(first.exp(), masses, rtol=1e-4, atol=1e-6)
