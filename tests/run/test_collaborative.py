"""Runs whose tokenizer learns from the training histories."""

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file
from tests.run.world import QUICK

from sidkit.data import load_dataset
from sidkit.errors import ConfigError
from sidkit.ids import SidTable
from sidkit.run import RunDirectory, build_config, run_pipeline
from sidkit.run.pipeline import plan
from sidkit.run.stages.context import Context
from sidkit.tokenizers import load_tokenizer

METHODS = ["pmi", "als", "sasrec"]


def needed(method):
    """Skip if the package that a method needs is not installed."""
    if method == "als":
        pytest.importorskip("implicit", reason="the extra `als` is not installed")


def settings(world, *more):
    return build_config(
        assignments=[f"data.source={world}", f"embed.vectors={world / 'vectors.npy'}", *QUICK, *more]
    )


def stage(config, tmp_path, name="tokenize"):
    with RunDirectory(tmp_path / "planned") as directory:
        return next(one for one in plan(Context(config, directory)) if one.name == name)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("vectors", ["collaborative", "hybrid"])
def test_semantic_ids_of_collaborative_vectors(world, tmp_path, vectors, method):
    needed(method)
    config = settings(
        world,
        f"tokenize.vectors={vectors}",
        "tokenize.collaborative_dim=6",
        f"tokenize.collaborative_method={method}",
    )
    directory = run_pipeline(config, tmp_path / "run", until="ids")
    x = load_file(directory.path / "quantized.safetensors")["embeddings"]
    assert x.shape == (24, 6 if vectors == "collaborative" else 22)
    tokenizer = load_tokenizer(directory.path / "tokenizer.safetensors")
    assert not tokenizer.standardize
    tokens = SidTable.load(directory.path / "sids.parquet").tokens
    assert (tokens[:, :2] == tokenizer.encode(x)).all()
    if method == "sasrec":
        return  # it has items near each other that have the same successors, and on a ring no two have
    # Neighbours on the ring occur together, opposite items never do.
    apart = np.linalg.norm(x[:, None, -6:] - x[None, :, -6:], axis=2)
    ring = np.arange(24)
    near, far = apart[ring, (ring + 1) % 24], apart[ring, (ring + 12) % 24]
    assert near.max() < far.min() if method == "pmi" else near.mean() < 0.8 * far.mean()


@pytest.mark.parametrize("method", METHODS)
def test_events_of_validation_and_test_do_not_enter(world, tmp_path, method):
    """The same run on data whose held-out events are others learns the same vectors."""
    needed(method)
    events = pl.read_parquet(world / "interactions.parquet").with_row_index()
    held_out = pl.col("index").rank("ordinal", descending=True).over("user_id") <= 2
    changed = events.with_columns(item_id=pl.when(held_out).then(pl.lit("item-03")).otherwise("item_id"))
    other = tmp_path / "other"
    other.mkdir()
    changed.drop("index").write_parquet(other / "interactions.parquet")
    (other / "items.parquet").write_bytes((world / "items.parquet").read_bytes())
    first, second = (load_dataset(str(source)).split() for source in (world, other))
    assert first.train == second.train
    assert (first.test.targets != second.test.targets).any()
    found = []
    for source in (world, other):
        config = build_config(
            assignments=[
                *QUICK, f"data.source={source}", f"embed.vectors={world / 'vectors.npy'}",
                "tokenize.vectors=hybrid", "tokenize.collaborative_dim=6",
                f"tokenize.collaborative_method={method}",
                "recommenders.sasrec.max_steps=20",
            ]
        )  # fmt: skip
        directory = run_pipeline(config, tmp_path / f"run-{source.name}", until="tokenize")
        found.append(load_file(directory.path / "quantized.safetensors")["embeddings"])
    assert (found[0] == found[1]).all()


def test_unused_options_are_not_recorded(world, tmp_path):
    """A fingerprint must not change with options that have no effect."""
    content = stage(settings(world), tmp_path)
    assert not any("collaborative" in key or key.endswith("vectors") for key in content.settings)
    assert content.inputs == ("embed",)
    hybrid = stage(settings(world, "tokenize.vectors=hybrid"), tmp_path)
    assert hybrid.settings["tokenize.collaborative_share"] == 0.5
    assert hybrid.inputs == ("data", "embed")


def test_the_settings_of_sasrec_are_recorded_if_its_vectors_are_used(world, tmp_path):
    hybrid, letter = "tokenize.vectors=hybrid", ["tokenize.method=rqvae", "tokenize.auxiliary_loss=letter"]
    for more in ([hybrid], letter):
        before = stage(settings(world, *more), tmp_path).settings
        assert before["tokenize.collaborative_method"] == "pmi"
        assert not any("sasrec" in key for key in before)
        by_als = stage(settings(world, *more, "tokenize.collaborative_method=als"), tmp_path).settings
        assert by_als == before | {"tokenize.collaborative_method": "als"}
    found = stage(settings(world, hybrid, "tokenize.collaborative_method=sasrec"), tmp_path).settings
    assert found["recommenders.sasrec.max_steps"] == 60 and "recommenders.sasrec.layers" in found
    # Settings without effect on the vectors do not make a tokenizer stale.
    more = ["recommenders.sasrec.seed=5", "recommenders.sasrec.patience=1", "recommenders.sasrec.d_model=64"]
    assert (
        stage(settings(world, hybrid, "tokenize.collaborative_method=sasrec", *more), tmp_path).settings
        == found
    )


@pytest.mark.parametrize("method", ["als", "sasrec"])
def test_letter_by_another_method(world, tmp_path, method):
    needed(method)
    options = [
        "tokenize.method=rqvae",
        "tokenize.epochs=12",
        "tokenize.latent_dim=4",
        "tokenize.hidden_dims=[8]",
    ]
    options += [
        "tokenize.auxiliary_loss=letter",
        "tokenize.collaborative_dim=4",
        "recommenders.sasrec.max_steps=20",
    ]
    prints = set()
    for number, more in enumerate(([], [f"tokenize.collaborative_method={method}"])):
        directory = run_pipeline(settings(world, *options, *more), tmp_path / f"{number}", until="tokenize")
        prints.add(load_tokenizer(directory.path / "tokenizer.safetensors").fingerprint)
    assert len(prints) == 2


def test_sasrec_is_trained_once_if_its_tokenizer_is_interrupted(world, tmp_path, monkeypatch):
    config = settings(
        world,
        "tokenize.vectors=collaborative",
        "tokenize.collaborative_method=sasrec",
        "recommenders.sasrec.max_steps=20",
    )

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("sidkit.tokenizers.RQKMeans.fit", stop)
        run_pipeline(config, tmp_path / "parts", until="tokenize")
    with monkeypatch.context() as patched:
        patched.setattr("sidkit.recommenders.SASRec.fit", stop)
        parts = run_pipeline(config, tmp_path / "parts", until="tokenize")
    whole = run_pipeline(config, tmp_path / "whole", until="tokenize")
    prints = {load_tokenizer(run.path / "tokenizer.safetensors").fingerprint for run in (parts, whole)}
    assert len(prints) == 1
    assert not (parts.path / "unfinished").exists()


def test_a_method_that_nothing_uses(world):
    with pytest.raises(
        ConfigError, match='`collaborative_method` is "als", but nothing uses collaborative embeddings'
    ):
        settings(world, "tokenize.collaborative_method=als")
    hybrid = "tokenize.vectors=hybrid"
    with pytest.raises(ConfigError, match='`collaborative_window` belongs to `collaborative_method` "pmi"'):
        settings(world, hybrid, "tokenize.collaborative_method=als", "tokenize.collaborative_window=3")
    with pytest.raises(ConfigError, match=r"multiple of `recommenders.sasrec.heads`, it is 5 with 2 heads"):
        settings(world, hybrid, "tokenize.collaborative_method=sasrec", "tokenize.collaborative_dim=5")


@pytest.mark.parametrize("loss", ["letter", "cost"])
def test_auxiliary_losses_in_a_run(world, tmp_path, loss):
    options = [
        "tokenize.method=rqvae",
        "tokenize.epochs=12",
        "tokenize.latent_dim=4",
        "tokenize.hidden_dims=[8]",
    ]
    codes = []
    for more in ([], [f"tokenize.auxiliary_loss={loss}"]):
        config = settings(world, *options, *more)
        directory = run_pipeline(config, tmp_path / f"run-{len(codes)}", until="tokenize")
        codes.append(load_tokenizer(directory.path / "tokenizer.safetensors"))
    assert codes[0].fingerprint != codes[1].fingerprint
    assert stage(config, tmp_path).inputs == (("data", "embed") if loss == "letter" else ("embed",))


def test_weights_belong_to_one_loss(world):
    both = {"diversity_weight": 1.0, "weight": 1.0}
    with pytest.raises(ConfigError, match=r"no setting `tokenize.auxiliary_loss\.\w*weight`"):
        build_config({"tokenize": {"method": "rqvae", "auxiliary_loss": both}})
    with pytest.raises(ConfigError, match=r"no setting `tokenize.auxiliary_loss` for the method `rqkmeans`"):
        settings(world, "tokenize.auxiliary_loss=letter")
