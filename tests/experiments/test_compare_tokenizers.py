"""Tokenizers compared on a ring of items."""

import dataclasses
import json
import shutil

import numpy as np
import polars as pl
import pytest
from tests.run.world import QUICK, write_world

from sidkit.data import load_dataset
from sidkit.embed import load_vectors
from sidkit.errors import ConfigError, DataError, FormatError, RunDirectoryError
from sidkit.evaluate import Metrics
from sidkit.experiments.compare_tokenizers import compare_tokenizers, variants
from sidkit.report.tables.__main__ import KINDS
from sidkit.report.tables.documents import update_documents
from sidkit.report.tables.tokenizers import tokenizers_tables
from sidkit.run import build_config
from sidkit.tokenizers import TOKENIZERS, TokenizerFigures, load_tokenizer

SMALL = [setting for setting in QUICK if not setting.startswith("recommenders.use")]
SHORT = ("recommenders.rqtransformer.max_steps=20", "recommenders.rqtransformer.graph=false")


def settings(source, *more, use="rqtransformer"):
    return build_config(assignments=[f"data.source={source}", f'recommenders.use=["{use}"]', *SMALL, *more])


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("families")
    source = write_world(folder / "ring")
    config = settings(source, f"embed.vectors={source / 'vectors.npy'}", *SHORT)
    places = compare_tokenizers(
        config,
        folder / "runs",
        folder / "results" / "tokenizers",
        names=["random", "rqkmeans"],
        seeds=[0, 3],
    )
    assert not places.skipped
    return folder, config, places.stored


def test_every_tokenizer_and_seed_is_kept_under_its_name(compared):
    folder, _, places = compared
    names = ["random-seed0", "random-seed3", "rqkmeans-seed0", "rqkmeans-seed3"]
    assert [place.name for place in places] == [f"rqtransformer-{name}" for name in names]
    assert sorted(path.name for path in (folder / "runs").iterdir()) == names
    for place in places:
        assert Metrics.load(place / "metrics.json").protocol.seeds == (int(place.name[-1]),)


def test_figures_are_those_of_the_tokenizers_own_codes(compared):
    folder, config, places = compared
    for place, name in ((places[0], "random-seed0"), (places[3], "rqkmeans-seed3")):
        figures = TokenizerFigures.load(place / "tokenizer.json")
        run = folder / "runs" / name
        items = load_dataset(config.data.source).item_ids
        codes = load_tokenizer(run / "tokenizer.safetensors").encode(
            load_vectors(run / "embeddings.safetensors", items)
        )
        distinct, counts = np.unique(codes, axis=0, return_counts=True)
        assert figures.items == 24 and list(figures.codebook_sizes) == [8, 8]
        assert figures.unique_rate == len(distinct) / 24 and figures.largest_collision == counts.max()
        shares = np.bincount(codes[:, 0]) / 24
        entropy = -(shares[shares > 0] * np.log(shares[shares > 0])).sum()
        assert figures.perplexity[0] == pytest.approx(np.exp(entropy))
        assert figures.encode_rows_per_second > 0 and figures.fit_seconds > 0
    random, kmeans = (TokenizerFigures.load(place / "tokenizer.json") for place in (places[0], places[2]))
    # Neighbours on the ring have near vectors, and only k-means knows them.
    assert kmeans.neighbours > random.neighbours and kmeans.mse[-1] < random.mse[-1]


def test_a_comparison_resumes(compared):
    folder, config, places = compared
    stamps = {path: path.stat().st_mtime_ns for path in (folder / "runs").glob("*/models/*/*")}
    again = compare_tokenizers(
        config,
        folder / "runs",
        folder / "results" / "tokenizers",
        names=["random", "rqkmeans"],
        seeds=[0, 3],
    )
    assert again.stored == places and stamps
    assert stamps == {path: path.stat().st_mtime_ns for path in (folder / "runs").glob("*/models/*/*")}


def test_other_settings_need_force(compared, tmp_path):
    _, config, _ = compared
    other = build_config(
        config.model_dump(mode="json", exclude_none=True),
        assignments=["recommenders.rqtransformer.max_steps=10"],
    )
    where = tmp_path / "runs", tmp_path / "results"
    once = compare_tokenizers(config, *where, names=["random"])
    with pytest.raises(RunDirectoryError, match="force"):
        compare_tokenizers(other, *where, names=["random"])
    assert compare_tokenizers(other, *where, names=["random"], force=True) == once


def test_a_tokenizer_that_the_dataset_does_not_support_is_skipped(compared, tmp_path):
    source = shutil.copytree(compared[0] / "ring", tmp_path / "silent")
    pl.read_parquet(source / "items.parquet").select("item_id").write_parquet(source / "items.parquet")
    config = settings(source, f"embed.vectors={source / 'vectors.npy'}", *SHORT)
    where = tmp_path / "runs", tmp_path / "results"
    found = compare_tokenizers(config, *where, names=["lmindexer", "random"], seeds=[0])
    assert [place.name for place in found.stored] == ["rqtransformer-random-seed0"]
    assert list(found.skipped) == ["lmindexer"] and "text" in str(found.skipped["lmindexer"])
    with pytest.raises(DataError, match="text"):
        compare_tokenizers(config, *where, names=["lmindexer"])


def test_the_tables_have_a_row_for_each_tokenizer_best_first(compared, tmp_path):
    folder, _, places = compared
    dataset = places[0].parent.name
    text = tokenizers_tables(folder / "results" / "tokenizers", dataset)
    rows = [
        line for line in text.splitlines() if line.startswith(("| random | 0, 3 |", "| rqkmeans | 0, 3 |"))
    ]
    assert len(rows) == 4  # two for each setting of `exclude_seen`
    for pair in (rows[:2], rows[2:]):
        means = [float(row.split("|")[5].split()[0]) for row in pair]
        assert means == sorted(means, reverse=True)
        (random,) = (row for row in pair if row.startswith("| random"))
        (kmeans,) = (row for row in pair if row.startswith("| rqkmeans"))
        assert " to " in random and " to " not in kmeans
    assert "| rqkmeans | 2 × 8 |" in text and "seeds 0, 3" in text
    document = tmp_path / "page.md"
    document.write_text(f"<!-- tokenizers:{dataset} -->\n<!-- /tokenizers -->\n")
    assert update_documents(KINDS, folder / "results", [document]) == [document]
    assert text.strip() in document.read_text()


def test_metrics_of_the_tables_are_required_first(compared, tmp_path):
    config = build_config(compared[1].model_dump(mode="json", exclude_none=True), {"evaluate": {"ks": [5]}})
    with pytest.raises(ConfigError, match=r"ranked by NDCG@10, but `evaluate.ks` is \[5\]"):
        compare_tokenizers(config, tmp_path / "runs", tmp_path / "results")
    assert not list(tmp_path.iterdir())


def test_a_stored_tokenizer_without_the_metrics(compared, tmp_path):
    place = compared[2][0]
    kept = shutil.copytree(place, tmp_path / place.parent.name / place.name)
    metrics = Metrics.load(kept / "metrics.json")
    others = [result for result in metrics.results if result.metric != "ndcg@10"]
    dataclasses.replace(metrics, results=others).save(kept / "metrics.json")
    with pytest.raises(DataError, match="expected NDCG@10 among its metrics"):
        tokenizers_tables(tmp_path, place.parent.name)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"names": ["rqkmean"]}, "no tokenizer or variant `rqkmean`.*did you mean `rqkmeans`"),
        ({"seeds": []}, "one seed or several"),
        ({"seeds": [1, 1]}, "one seed or several"),
    ],
)
def test_nonsense_is_refused_before_anything_is_made(compared, tmp_path, options, said):
    with pytest.raises(ConfigError, match=said):
        compare_tokenizers(compared[1], tmp_path / "runs", tmp_path / "results", **options)
    assert not list(tmp_path.iterdir())


ALL = ["rqkmeans", "rvq", "vq", "hkmeans", "atomic", "words"]


@pytest.mark.parametrize(
    ("setting", "names", "message"),
    [
        (
            "codebook_size=64",
            ALL,
            r"`tokenize.codebook_size` is 64 for the whole comparison, but hkmeans has 32, words has 4096; "
            r"leave it out, or compare --tokenizer rqkmeans --tokenizer rvq --tokenizer vq "
            r"--tokenizer atomic alone",
        ),
        ("levels=2", ALL[:3], "vq does not take it; leave it out, or .* rqkmeans --tokenizer rvq alone"),
        (
            "standardize=false",
            ["rqkmeans", "random"],
            "random does not take it; .* --tokenizer rqkmeans alone",
        ),
        ("method='rvq'", ALL[:3], "rqkmeans has 'rqkmeans', vq has 'vq'; .* --tokenizer rvq alone"),
        ("method='lsh'", ALL[:1], "`tokenize.method` is 'lsh' .* rqkmeans has 'rqkmeans'; leave it out$"),
        ("seed=3", ALL, "sets `tokenize.seed` itself, but it is 3; choose by --seeds"),
        ("codebook_size=[4, 4, 4]", ["rqkmeans", "vqvae"], "vqvae"),
        (
            "codebook_size=[4, 4, 4]",
            ["rqkmeans", "pq"],
            "tokenizer `pq`: .*`codebook_size` does not fit `levels`: expected one size or 4, got 3",
        ),
    ],
)
def test_a_setting_is_for_every_tokenizer_or_refused(tmp_path, setting, names, message):
    config = build_config({"recommenders": {"use": ["rqtransformer"]}}, assignments=[f"tokenize.{setting}"])
    with pytest.raises(ConfigError, match=message):
        compare_tokenizers(config, tmp_path / "runs", tmp_path / "results", names=names)
    assert not list(tmp_path.iterdir())


def test_a_missing_dataset_is_an_error_at_once(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        compare_tokenizers(
            settings(tmp_path / "nowhere"),
            tmp_path / "runs",
            tmp_path / "results",
            names=["rqkmeans", "random"],
        )
    assert not list((tmp_path / "runs").iterdir())


def test_the_model_must_be_generative(tmp_path):
    with pytest.raises(ConfigError, match="compared by one generative model"):
        compare_tokenizers(settings("ml-100k", use="sasrec"), tmp_path / "runs", tmp_path / "results")


def test_every_variant_makes_a_configuration():
    config = build_config().model_dump(mode="json", exclude_none=True)
    for name, settings in variants().items():
        made = build_config(config, {"tokenize": settings}).tokenize
        assert made.method == settings["method"], name
    assert {settings["method"] for settings in variants().values()} == set(TOKENIZERS)
    hybrid = build_config(config, {"tokenize": variants()["hybrid"]}).tokenize
    assert hybrid.standardize is False


def test_a_registered_tokenizer_is_compared_too():
    class Shop(TOKENIZERS["random"]):
        method = "shop"

    TOKENIZERS.register("shop", Shop)
    try:
        assert variants()["shop"] == {"method": "shop"}
        assert build_config({"tokenize": {"method": "shop", "seed": 3}}).tokenize.build().seed == 3
    finally:
        TOKENIZERS.unregister("shop")


def test_damaged_figures_are_named(compared, tmp_path):
    figures = TokenizerFigures.load(compared[2][0] / "tokenizer.json")
    path = tmp_path / "tokenizer.json"
    figures.save(path)
    assert TokenizerFigures.load(path) == figures
    path.write_text(json.dumps({**dataclasses.asdict(figures), "colour": 1}))
    with pytest.raises(FormatError, match=r"expected a tokenizer.json"):
        TokenizerFigures.load(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(FormatError, match=r"expected a tokenizer.json"):
        TokenizerFigures.load(path)
    with pytest.raises(DataError, match="sidkit tokenizers"):
        TokenizerFigures.load(tmp_path / "none.json")
