"""Losses of LETTER and CoST: against loops over their equations, and on data with known answers."""

import math

import numpy as np
import pytest
import torch
from tests.contracts.tokenizer_contract import clustered

from sidkit.errors import ConfigError, DataError, FormatError
from sidkit.tokenizers import LETTER, RQVAE, CoST, load_tokenizer
from sidkit.tokenizers.rqvae.cost import ReconstructionContrast
from sidkit.tokenizers.rqvae.letter import CollaborativeLoss, DiversityLoss, _partners


def infonce(queries, keys, others):
    """The mean over i of -log(exp(q_i k_i) / sum over others(i) of exp(q_i k_j)), in loops."""
    losses = []
    for i, query in enumerate(queries):
        total = sum(math.exp(query @ keys[j]) for j in others(i))
        losses.append(-math.log(math.exp(query @ keys[i]) / total))
    return sum(losses) / len(losses)


def small(**settings):
    return RQVAE(
        2,
        8,
        **{"latent_dim": 4, "hidden_dims": (16,), "epochs": 60, "batch_size": 128, "warmup_epochs": 5}
        | settings,
    )


def test_the_collaborative_loss_is_its_equation():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(9, 4))
    vectors[[2, 5]] = 0
    rows, z = np.array([0, 2, 3, 5, 8]), rng.normal(size=(5, 4))
    loss = CollaborativeLoss(vectors, 4, weight=0.5, temperature=2.0)
    assert list(loss.parameters()) == []
    empty = torch.zeros(5, 1)
    found = loss(torch.from_numpy(rows), empty, torch.from_numpy(z.astype(np.float32)), empty)
    scale = math.sqrt(np.square(vectors).sum() / 7) * 2
    known = [0, 2, 4]
    slow = infonce(z[known], vectors[rows[known]] / scale, lambda i: range(3))
    assert float(found) == pytest.approx(0.5 * slow, rel=1e-4)


def test_latent_vectors_of_another_width_are_mapped():
    loss = CollaborativeLoss(np.eye(5), 3, seed=1)
    (weight,) = loss.parameters()
    assert weight.shape == (5, 3)
    z = torch.randn(4, 3, requires_grad=True)
    loss(torch.arange(4), z, z, z).backward()
    assert weight.grad.abs().sum() > 0
    assert z.grad.abs().sum() > 0
    assert float(loss(torch.zeros(1, dtype=torch.int64), z[:1], z[:1], z[:1])) == 0


def test_partners_are_others_of_the_cluster():
    groups = np.array([1, 0, 1, 2, 1, 0], np.uint16)
    rng = np.random.default_rng(0)
    seen = {code: set() for code in range(6)}
    for _ in range(60):
        for code, partner in enumerate(_partners(np.arange(6), groups, rng).tolist()):
            seen[code].add(partner)
    assert seen == {0: {2, 4}, 1: {5}, 2: {0, 4}, 3: {-1}, 4: {0, 2}, 5: {1}}


def test_the_diversity_loss_is_its_equation():
    """Two far clusters of two codewords: each one's partner is known."""
    words = torch.tensor([[2.0, 0.0], [2.0, 0.5], [-2.0, 0.0], [-2.0, 0.5]], requires_grad=True)
    codes = torch.tensor([[0], [3], [3]])
    found = DiversityLoss(weight=3.0, clusters=2).codebook_loss([words], codes)
    table, partner = words.detach().double().numpy(), {0: 1, 3: 2}
    slow = 0.0
    for code in (0, 3, 3):
        total = sum(math.exp(table[code] @ table[j]) for j in range(4) if j != code)
        slow -= math.log(math.exp(table[code] @ table[partner[code]]) / total) / 3
    assert float(found.detach()) == pytest.approx(3 * slow, rel=1e-4)
    found.backward()
    assert words.grad.abs().sum() > 0


def test_the_contrast_of_reconstructions_is_its_equation():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 3)) * [1, 10, 100] + 5
    x[4] = x[1]
    rows, y = np.array([1, 4, 2, 0]), rng.normal(size=(4, 3))
    found = ReconstructionContrast(x, weight=0.3, temperature=0.2)(
        torch.from_numpy(rows), torch.empty(4, 1), torch.empty(4, 1), torch.from_numpy(y.astype(np.float32))
    )
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    unit, near = z / np.linalg.norm(z, axis=1)[:, None], y / np.linalg.norm(y, axis=1)[:, None]
    others = [[0, 2, 3], [1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]]  # rows 1 and 4 are the same vector
    slow = infonce(near / 0.2, unit[rows], lambda i: others[i])
    assert float(found) == pytest.approx(0.3 * slow, rel=1e-4)


def test_letter_separates_items_that_content_does_not():
    """Content has 8 clusters; collaborative embeddings split each into odd and even, content hardly does."""
    x = clustered()
    odd = np.arange(len(x)) % 2
    x = np.concatenate([x, (0.05 * (odd[:, None] - 0.5)).astype(np.float32)], axis=1)
    collaborative = (
        np.stack([odd, 1 - odd], axis=1) + np.random.default_rng(0).normal(size=(len(x), 2)) * 0.05
    )
    purity = {}
    for name, terms in (
        ("none", []),
        ("letter", [CollaborativeLoss(collaborative, 4, weight=1.0), DiversityLoss()]),
    ):
        tokenizer = small(standardize=True).fit(x, auxiliary_losses=terms)
        codes = tokenizer.encode(x)[:, 0]
        shares = [odd[codes == code].mean() for code in np.unique(codes)]
        sizes = [(codes == code).sum() for code in np.unique(codes)]
        purity[name] = np.average(np.maximum(shares, 1 - np.array(shares)), weights=sizes)
    assert purity["letter"] > 0.95
    assert purity["letter"] > purity["none"] + 0.1


class _InterruptedAt(DiversityLoss):
    """Stops the training at a batch, in the middle of an epoch."""

    batch = -1

    def codebook_loss(self, codebooks, codes):
        if self._batches == self.batch:
            raise KeyboardInterrupt
        return super().codebook_loss(codebooks, codes)


@pytest.mark.parametrize("batch", [0, 22, 40])
def test_an_interrupted_training_with_letter_ends_like_an_uninterrupted_one(tmp_path, batch):
    """Clusters are drawn every 7 batches, an epoch has 3, and the interrupt comes in between."""
    x, path = clustered(), tmp_path / "checkpoint"
    collaborative = np.random.default_rng(0).normal(size=(len(x), 3))
    settings = {"epochs": 25, "on_collapse": "warn"}

    def terms():
        return [CollaborativeLoss(collaborative, 4), _InterruptedAt(weight=0.1, clusters=3, every=7)]

    whole = small(**settings).fit(x, auxiliary_losses=terms())
    stopped = terms()
    stopped[1].batch = batch
    with pytest.raises(KeyboardInterrupt):
        small(**settings).fit(x, auxiliary_losses=stopped, checkpoint=path)
    epochs = []
    again = small(**settings).fit(
        x, auxiliary_losses=terms(), checkpoint=path, progress=lambda done, _, **figures: epochs.append(done)
    )
    assert epochs == list(range(5 + batch // 3 + 1, 26))
    assert again.fingerprint == whole.fingerprint
    assert again.history_ == whole.history_


def test_a_training_does_not_use_the_clusters_of_another():
    x, term = clustered(), DiversityLoss(weight=0.1, clusters=3, every=100)
    first = small(epochs=12).fit(x, auxiliary_losses=[term])
    RQVAE(1, 4, latent_dim=4, hidden_dims=(8,), epochs=8, warmup_epochs=2).fit(x, auxiliary_losses=[term])
    assert small(epochs=12).fit(x, auxiliary_losses=[term]).fingerprint == first.fingerprint


@pytest.mark.parametrize("wrong", [{}, {"batches": np.array([1.5])}, {"batches": np.array([1, 2])}])
def test_an_invalid_state(tmp_path, wrong):
    class Broken(DiversityLoss):
        def state(self):
            return wrong

    def stop(done, _, **figures):
        if done == 7:
            raise KeyboardInterrupt

    x, path = clustered(), tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        small().fit(x, auxiliary_losses=[Broken()], checkpoint=path, progress=stop)
    with pytest.raises(FormatError, match="is damaged: expected the arrays of this training"):
        small().fit(x, auxiliary_losses=[Broken()], checkpoint=path)


def test_cost_separates_neighbours():
    """How often the vector most like a reconstruction is the item's own: more with the loss than without."""
    x = clustered()
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    unit = z / np.linalg.norm(z, axis=1)[:, None]
    found = {}
    for name, terms in (("none", []), ("cost", [ReconstructionContrast(x, weight=1.0)])):
        tokenizer = small().fit(x, auxiliary_losses=terms)
        near = (tokenizer.decode(tokenizer.encode(x)) - x.mean(axis=0)) / x.std(axis=0)
        scores = near / np.linalg.norm(near, axis=1)[:, None] @ unit.T
        own = np.diagonal(scores)[:, None]
        found[name] = (scores > own).sum(axis=1).mean()
    assert found["cost"] < found["none"]


@pytest.mark.parametrize(
    ("option", "terms"),
    [
        ("letter", lambda x, given: [CollaborativeLoss(given, 4, seed=3), DiversityLoss(seed=3)]),
        (
            LETTER(collaborative_weight=0.5, diversity_weight=0.01),
            lambda x, given: [
                CollaborativeLoss(given, 4, weight=0.5, seed=3),
                DiversityLoss(weight=0.01, seed=3),
            ],
        ),
        ("cost", lambda x, given: [ReconstructionContrast(x)]),
        (CoST(weight=0.5), lambda x, given: [ReconstructionContrast(x, weight=0.5)]),
    ],
    ids=["letter", "LETTER", "cost", "CoST"],
)
def test_the_parameter_makes_the_losses_of_the_paper(option, terms, tmp_path):
    x = clustered()
    given = np.random.default_rng(0).normal(size=(len(x), 3))
    settings = {"epochs": 8, "seed": 3, "on_collapse": "warn"}
    tokenizer = small(auxiliary_loss=option, **settings)
    inputs = {name: given for name in tokenizer.fit_inputs}
    assert bool(inputs) == (terms(x, given)[0].__class__ is CollaborativeLoss)
    tokenizer.fit(x, **inputs)
    expected = small(**settings).fit(x, auxiliary_losses=terms(x, given))
    assert tokenizer.fingerprint == expected.fingerprint
    assert tokenizer.history_ == expected.history_
    tokenizer.save(tmp_path / "tokenizer")
    assert load_tokenizer(tmp_path / "tokenizer").auxiliary_loss == option


def test_invalid_auxiliary_losses():
    for arguments, message in [
        (
            {"auxiliary_loss": "lettre"},
            r"`auxiliary_loss` is invalid: expected one of None, letter, cost, LETTER",
        ),
        ({"auxiliary_loss": "letter", "codebook_update": "ema"}, "a loss of the codebooks needs gradients"),
        ({"auxiliary_loss": "cost", "whiten": 3}, "CoST compares reconstructions with whole vectors"),
    ]:
        with pytest.raises(ConfigError, match=message):
            RQVAE(**arguments)
    with pytest.raises(DataError, match="collaborative embeddings are missing: expected one row per vector"):
        small(auxiliary_loss="letter").fit(clustered())
    for wrong in (lambda: LETTER(diversity_weight=-1.0), lambda: CoST(float("nan"))):
        with pytest.raises(ConfigError, match=r"weight` is invalid: expected a (finite )?number >= 0"):
            wrong()


def test_invalid_parameters():
    x = np.eye(3)
    for loss in (
        lambda **each: CollaborativeLoss(x, 3, **each),
        lambda **each: ReconstructionContrast(x, **each),
    ):
        for wrong in ({"weight": -1.0}, {"temperature": 0.0}):
            with pytest.raises(ConfigError, match="expected weight >= 0 and temperature > 0"):
                loss(**wrong)
    with pytest.raises(
        DataError, match="collaborative embeddings are empty: expected a row that is not zero"
    ):
        CollaborativeLoss(np.zeros((3, 2)), 3)
    with pytest.raises(ConfigError, match="`weight` is invalid: expected a number >= 0, got -1"):
        DiversityLoss(weight=-1)
    with pytest.raises(ConfigError, match="expected integers >= 1, got 0 and 5"):
        DiversityLoss(clusters=0, every=5)
