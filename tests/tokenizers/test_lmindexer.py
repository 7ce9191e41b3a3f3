"""LMIndexer: the contract, prediction of words of planted topics, checkpoints and collapses."""

import numpy as np
import pytest
import torch
from tests.contracts.tokenizer_contract import TokenizerContract, clustered
from tests.tokenizers.topics import Topics

from sidkit.errors import ConfigError, DataError, FormatError, NotFittedError
from sidkit.tokenizers import (
    CodebookCollapseWarning,
    LMIndexer,
    RQKMeans,
    inspect_codes,
    load_tokenizer,
    prefix_purity,
    quality_report,
)
from sidkit.tokenizers.lmindexer.training import Training
from sidkit.tokenizers.parts.standardize import Standardizer
from sidkit.tokenizers.parts.word_bags import Terms


def small(**settings):
    fitting = {
        "latent_dim": 8,
        "vocabulary_size": 60,
        "warmup_epochs": 3,
        "epochs_per_level": 6,
        "batch_size": 64,
    }
    return LMIndexer(3, 8, **fitting | {"learning_rate": 5e-3} | settings)


def described(x):
    """Texts that name the half of each of six dimensions that a vector is in."""
    halves = x > np.median(x, axis=0)
    return [" ".join(f"{'high' if half else 'low'}{at}" for at, half in enumerate(row[:6])) for row in halves]


class TestContract(TokenizerContract):
    def make(self, **settings):
        return small(**settings)

    def inputs(self, x):
        return {"texts": described(x)}


@pytest.fixture(scope="module")
def world():
    return Topics()


@pytest.fixture(scope="module")
def indexer(world):
    settings = {"latent_dim": 16, "vocabulary_size": 200, "batch_size": 100, "learning_rate": 1e-2}
    return LMIndexer(2, 12, **settings, epochs_per_level=12).fit(world.vectors, texts=world.texts)


def test_first_codes_are_topics(world, indexer):
    codes = indexer.encode(world.vectors)
    by_topic, by_both = ([[name] for name in names] for names in (world.topics, world.subtopics))
    assert prefix_purity(codes, by_topic)[1].purity > 0.95
    assert prefix_purity(codes, by_both)[2].purity > 0.8 > prefix_purity(codes, by_both)[1].purity


def test_texts_determine_the_codes(world, indexer):
    """The vectors vary most in dimensions without words, which a tokenizer of vectors alone encodes."""
    names = [[name] for name in world.subtopics]
    blind = RQKMeans(2, 12).fit(world.vectors).encode(world.vectors)
    codes = indexer.encode(world.vectors)
    assert prefix_purity(codes, names)[2].purity > prefix_purity(blind, names)[2].purity + 0.05


def test_codes_predict_the_words_of_their_items(world, indexer):
    codes = indexer.encode(world.vectors)
    rng = np.random.default_rng(0)
    loss = indexer.word_loss(codes, world.texts)
    assert loss < indexer.word_loss(codes[:, :1], world.texts) - 0.1
    assert loss < indexer.word_loss(rng.permutation(codes), world.texts) - 0.5
    assert loss < indexer.word_loss(rng.integers(12, size=codes.shape), world.texts) - 0.5
    for row, words in enumerate(indexer.words(codes[:40], 3)):
        own = sum(world.topics[row] in word or world.subtopics[row] in word for word in words)
        assert own >= 2, (words, world.subtopics[row])


def test_new_items_need_a_vector_only(world, indexer):
    more = Topics(seed=1)
    codes = indexer.encode(more.vectors)
    assert prefix_purity(codes, [[name] for name in more.topics])[1].purity > 0.95
    shuffled = np.random.default_rng(0).permutation(codes)
    assert indexer.word_loss(codes, more.texts) < indexer.word_loss(shuffled, more.texts) - 0.5


def test_the_report_and_files(world, indexer, tmp_path):
    found = inspect_codes(indexer, world.vectors, categories=[[name] for name in world.topics])
    assert found.purity[1].purity > found.purity[1].chance + 0.3
    assert found.quality.notes == ()
    indexer.save(tmp_path / "tokenizer")
    again = load_tokenizer(tmp_path / "tokenizer")
    codes = indexer.encode(world.vectors)
    assert again.words(codes[:5, :1]) == indexer.words(codes[:5, :1])
    assert again.word_loss(codes, world.texts) == indexer.word_loss(codes, world.texts)


class Interrupt(BaseException):
    """Ctrl-C."""


@pytest.fixture(scope="module")
def whole():
    """A training without interruption."""
    x = clustered()
    return small().fit(x, texts=described(x))


@pytest.mark.parametrize("epoch", [2, 3, 11, 20])
def test_an_interrupted_training_ends_like_an_uninterrupted_one(tmp_path, whole, epoch):
    x = clustered()
    path = tmp_path / "checkpoint.safetensors"

    def interrupt(done, _total, **_figures):
        if done == epoch:
            raise Interrupt

    with pytest.raises(Interrupt):
        small().fit(x, texts=described(x), checkpoint=path, progress=interrupt)
    epochs = []
    resumed = small().fit(
        x, texts=described(x), checkpoint=path, progress=lambda done, _total, **_figures: epochs.append(done)
    )
    assert epochs == list(range(epoch + 1, 22))
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.history_ == whole.history_
    assert not path.exists()


def test_a_checkpoint_of_other_texts(tmp_path):
    x = clustered()
    path = tmp_path / "checkpoint.safetensors"

    def interrupt(*_, **_figures):
        raise Interrupt

    with pytest.raises(Interrupt):
        small().fit(x, texts=described(x), checkpoint=path, progress=interrupt)
    with pytest.raises(FormatError, match=r"belongs to another training: .* Delete it to start again"):
        small().fit(x, texts=described(x[::-1]), checkpoint=path)


def test_a_checkpoint_whose_arrays_do_not_fit():
    x = clustered()
    training = begun(small(), x, described(x))
    with pytest.raises(ValueError, match="could not be broadcast"):
        training.restore(training.state() | {"temperatures": np.ones(2)})


@pytest.mark.parametrize("settings", [{"learning_rate": 1e30}, {"contrastive_weight": 1e300}])
def test_a_training_that_diverges(settings):
    x = clustered()
    with pytest.raises(ConfigError, match=r"diverged in epoch \d+: .* Use a lower learning_rate"):
        small(**settings).fit(x, texts=described(x))


def begun(tokenizer, x, texts):
    """A training on these, not begun."""
    terms = Terms.of(texts, 60)
    return Training(tokenizer._settings(), Standardizer.fit(x).apply(x), terms.bags(texts), len(terms))


def share_kept(commitment):
    """Share of first codes that do not change while the second level is trained."""
    x = np.random.default_rng(0).normal(size=(400, 12)).astype(np.float32)
    tokenizer = small(learning_rate=0.1, commitment=commitment, warmup_epochs=0, epochs_per_level=8)
    training = begun(tokenizer, x, described(x))
    while training.epoch < 16:
        training._one_epoch()
        training.epoch += 1
    before = training.codes[:, 0].copy()
    training._finish(2)
    return (before == training.codes[:, 0]).mean()


def test_the_commitment_keeps_codes_of_finished_levels():
    assert share_kept(1.0) > share_kept(0.0) + 0.05


def test_items_that_share_a_prefix_are_in_one_batch():
    x = clustered()
    training = begun(small(), x, described(x))
    training.codes[:, 0] = np.arange(400) % 8
    batches = training._batches(1)
    assert sorted(np.concatenate(batches).tolist()) == list(range(400))
    torn = sum(len(np.unique(training.codes[rows, 0])) for rows in batches) - 8
    assert torn <= len(batches) - 1


def test_the_contrast_is_that_of_the_definition():
    """Computed for a batch by hand: items with another prefix are ignored."""
    x = clustered(rows=16)
    network = begun(LMIndexer(2, 3, latent_dim=4), x, described(x)).network
    residual = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    prefix = [0, 1, 0, 1, 1]
    found = network._contrastive(residual, torch.tensor(prefix)[:, None])
    floor = 0.01 * network.temperatures[1]
    unit = [row / (row.square().sum() + floor).sqrt() for row in residual]
    expected = 0.0
    for row in range(5):
        scores = [float(unit[row] @ unit[at]) / 0.1 for at in range(5) if prefix[at] == prefix[row]]
        own = float(unit[row] @ unit[row]) / 0.1
        expected += (np.log(np.exp(scores).sum()) - own) / 5
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_dead_codes_are_revived():
    x = clustered()
    training = begun(small(warmup_epochs=0), x, described(x))
    training._one_epoch()
    training._put(0, [3], np.full((1, 8), 1e6, np.float32))
    training.epoch = 1
    figures, _ = training._one_epoch()
    assert figures["revived"] == 1
    assert training._table(0).max() < 1e3


@pytest.mark.parametrize("choice", ["repair", "stop"])
def test_a_collapse_is_detected(choice, monkeypatch):
    """All initial codewords of the first codebook but one are far away, and dead codes are not revived."""
    initialize = Training._initialize

    def broken(training, level, seed):
        initialize(training, level, seed)
        if (level, seed) == (0, 0):
            training._put(0, np.arange(1, 32), np.full((31, 8), 1e6, np.float32))

    monkeypatch.setattr(Training, "_initialize", broken)
    x, steps = clustered(), []
    tokenizer = LMIndexer(
        2,
        32,
        latent_dim=8,
        warmup_epochs=2,
        epochs_per_level=6,
        batch_size=100,
        revive_dead_codes=False,
        on_collapse=choice,
    )
    with pytest.warns(CodebookCollapseWarning, match="collapse in epoch 4: level 0 has perplexity 1.0 of 32"):
        tokenizer.fit(
            x, texts=described(x), progress=lambda done, total, **_figures: steps.append((done, total))
        )
    assert steps[-1] == (14, 14)
    assert len(tokenizer.history_) == (5 if choice == "stop" else 14)
    assert len(tokenizer.notes) == 1
    assert all(level.perplexity > 10 for level in quality_report(tokenizer, x).levels)


def test_invalid_arguments():
    x = clustered()
    for arguments, message in [
        ({"latent_dim": 0}, "`latent_dim` is invalid: expected an integer >= 1, got 0"),
        ({"epochs_per_level": 0}, "`epochs_per_level` is invalid: expected an integer >= 1, got 0"),
        ({"warmup_epochs": -1}, "`warmup_epochs` is invalid: expected an integer >= 0, got -1"),
        (
            {"contrastive_weight": float("nan")},
            "`contrastive_weight` is invalid: expected a finite number >= 0, got nan",
        ),
        ({"seed": -1}, "`seed` is invalid: expected an integer >= 0, got -1"),
        ({"hint_rate": 1.0}, r"`hint_rate` is invalid: expected a number < 1, got 1.0"),
        ({"vocabulary_size": 70000}, "`vocabulary_size` is invalid: expected at most 65535, got 70000"),
        ({"on_collapse": "pray"}, "`on_collapse` is invalid: expected one of repair, stop, warn, got 'pray'"),
    ]:
        with pytest.raises(ConfigError, match=message):
            small(**arguments)
    with pytest.raises(
        DataError, match=r"texts are missing: expected one per vector, got None. Call fit\(x, texts="
    ):
        small().fit(x)
    with pytest.raises(DataError, match="expected 400 texts, one per vector, got 399"):
        small().fit(x, texts=described(x)[1:])
    with pytest.raises(ConfigError, match="`texts` is invalid: expected a sequence, each of them valid text"):
        small().fit(x, texts=[*described(x)[1:], None])
    with pytest.raises(DataError, match="expected words in several but not all of 400 texts, got none"):
        small().fit(x, texts=["all the same"] * 400)
    with pytest.raises(NotFittedError, match="this LMIndexer is not fitted"):
        small().words([[0]])


def test_words_of_invalid_codes(world, indexer):
    with pytest.raises(
        DataError, match="the code of row 0 at level 1 is out of range: expected 0 to 11, got 12"
    ):
        indexer.words([[0, 12]])
    with pytest.raises(ConfigError, match="`count` is invalid: expected an integer >= 1, got 0"):
        indexer.words([[0]], 0)
    with pytest.raises(DataError, match="expected 1 texts, one per row, got 2"):
        indexer.word_loss([[0]], ["a", "b"])
    with pytest.raises(DataError, match="expected words of the vocabulary, got none in 1 texts"):
        indexer.word_loss([[0]], ["xyzzy"])
