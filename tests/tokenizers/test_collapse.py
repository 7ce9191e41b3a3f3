"""Codebook-collapse check: detection, actions and notes."""

import numpy as np
import pytest
import torch
from tests.contracts.tokenizer_contract import clustered

from sidkit.tokenizers import RQVAE, CodebookCollapseWarning, load_tokenizer, quality_report
from sidkit.tokenizers.training.collapse import CollapseCheck, Health

SIZES = (64, 64)


def codes(kinds, rows=1000):
    drawn = np.random.default_rng(0).integers(kinds, size=(rows, 2))
    return drawn.astype(np.uint16)


def health(kinds):
    return Health.of(codes(kinds), SIZES, distinct=1000)


def test_even_codes_have_not_collapsed():
    found = health(64)
    assert found.complaint() is None
    assert found.dead == (0, 0)
    assert found.unique_rate == pytest.approx(found.expected, abs=0.03)


def test_a_collapse_is_described():
    text = health(2).complaint()
    assert "level 0 has perplexity 2.0 of 64 codes, 62 of them unused" in text
    assert "the unique rate is 0.0040, that of random codes 0.8" in text


def test_repeated_vectors_are_no_collapse():
    """Three distinct vectors cannot have more than three codes, in whatever number they come."""
    found = Health.of(np.repeat(codes(64, 3), 300, axis=0), SIZES, distinct=3)
    assert found.unique_rate == pytest.approx(found.expected, rel=0.01)


def test_levels_of_one_code_have_not_collapsed():
    assert Health.of(np.zeros((50, 1), np.uint16), (1,), 50).complaint() is None


def actions_of(check, kinds):
    return [check.update(epoch, health(kind)) for epoch, kind in enumerate(kinds)]


def test_a_collapse_must_last():
    check = CollapseCheck("repair", [])
    assert actions_of(check, [2, 2, 64, 2, 2, 64]) == [None] * 6
    assert check.notes == []


def test_repairs_have_an_end():
    check = CollapseCheck("repair", [])
    with pytest.warns(CodebookCollapseWarning) as caught:
        actions = actions_of(check, [2] * 30)
    assert actions.count("repair") == 3
    assert actions[:3] == [None, None, "repair"]
    assert len(check.notes) == len(caught) == 4
    assert check.notes[0].startswith("collapse in epoch 2: level 0 has perplexity 2.0")
    assert check.notes[0].endswith("codebooks were reinitialized by k-means of the latent vectors")
    assert check.notes[3].endswith("nothing was done after 3 repairs")


@pytest.mark.parametrize(("choice", "action"), [("warn", None), ("stop", "stop")])
def test_warn_and_stop(choice, action):
    check = CollapseCheck(choice, [])
    with pytest.warns(CodebookCollapseWarning):
        assert actions_of(check, [2] * 3)[-1] == action
    assert actions_of(CollapseCheck("warn", ["said"]), [2] * 6) == [None] * 6


class Elsewhere:
    """A loss that moves all latent vectors far away from the initial codebooks, between two steps."""

    def __init__(self, begin, end):
        self.begin, self.end, self.step = begin, end, 0

    def parameters(self):
        return ()

    def __call__(self, rows, latent, quantized, reconstruction):
        self.step += 1
        return (latent - 1000).square().mean() if self.begin < self.step < self.end else torch.zeros(())


def collapsing(**settings):
    return RQVAE(
        2,
        32,
        latent_dim=4,
        hidden_dims=(16,),
        batch_size=100,
        epochs=40,
        warmup_epochs=2,
        learning_rate=1e-2,
        kmeans_init=False,
        revive_dead_codes=False,
        **settings,
    )


def test_a_training_that_collapses_is_repaired(tmp_path):
    x = clustered()
    tokenizer = collapsing()
    with pytest.warns(CodebookCollapseWarning, match="collapse in epoch .* codebooks were reinitialized"):
        tokenizer.fit(x, auxiliary_losses=[Elsewhere(4 * 6, 4 * 25)])
    assert 1 <= len(tokenizer.notes) <= 4
    assert len(tokenizer.history_) == 40
    report = quality_report(tokenizer, x)
    assert report.notes == tokenizer.notes
    assert report.to_dict()["notes"] == list(tokenizer.notes)
    assert f"note: {tokenizer.notes[0]}" in str(report)
    tokenizer.save(tmp_path / "tokenizer")
    assert load_tokenizer(tmp_path / "tokenizer").notes == tokenizer.notes
    assert report.levels[0].perplexity > 4


def test_a_training_that_collapses_is_stopped_if_asked():
    tokenizer, steps = collapsing(on_collapse="stop"), []
    with pytest.warns(CodebookCollapseWarning, match="training was stopped"):
        tokenizer.fit(
            clustered(),
            auxiliary_losses=[Elsewhere(4 * 6, 10**6)],
            progress=lambda done, total, **_: steps.append((done, total)),
        )
    assert len(tokenizer.history_) < 40
    assert steps[-1] == (40, 40)
    assert len(tokenizer.notes) == 1
