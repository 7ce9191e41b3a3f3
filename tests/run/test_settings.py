"""`run.toml`, presets and `--set`: valid settings, and the messages about invalid ones."""

import re
from pathlib import Path

import pytest

from sidkit.errors import ConfigError
from sidkit.run import PRESETS, RunConfig, RunDirectory, build_config, differences, read_config, write_config
from sidkit.run.config import flatten, read_tables, sid_shape
from sidkit.run.config.presets import preset_shape
from sidkit.run.pipeline import plan
from sidkit.run.stages.context import Context

STORED = sorted((Path(__file__).parents[2] / "benches" / "results").glob("**/run.toml"))


def test_there_are_stored_runs():
    assert {path.parent.name for path in STORED} >= {"tiger-seed0", "sasrec-seed0", "rqtransformer-seed0"}


def without_former_settings(tables):
    """Remove the settings of the generator that the comparison of tokenizers was made with."""
    generator = tables["recommenders"].get("rqtransformer", {})
    former = {
        key for key in ("dense", "dense_weight", "normalization") if generator.pop(key, None) is not None
    }
    return tables, bool(former)


@pytest.mark.parametrize("path", STORED, ids=lambda path: f"{path.parent.parent.name}/{path.parent.name}")
def test_a_stored_run_can_be_made_again(path, tmp_path):
    """Its settings are valid, and the same after writing and reading."""
    tables, former = without_former_settings(read_tables(path))
    assert not (former and path.parent.name.startswith("rqtransformer") and "tokenizers" not in path.parts)
    config = build_config(tables)
    write_config(config, tmp_path / "run.toml")
    assert read_config(tmp_path / "run.toml") == config
    stored, written = flatten(tables), flatten(read_tables(tmp_path / "run.toml"))
    assert {key: written.get(key) for key in stored} == stored


@pytest.mark.parametrize("preset", [None, *PRESETS])
def test_a_configuration_survives_the_file(tmp_path, preset):
    config = build_config(preset=preset, assignments=["data.source=films", 'embed.template="{title}"'])
    write_config(config, tmp_path / "run.toml")
    assert read_config(tmp_path / "run.toml") == config
    assert config.data.source == "films"


def test_assignments_win_over_tables_and_tables_over_the_preset():
    tables = {"tokenize": {"codebook_size": 16, "levels": 2}}
    config = build_config(tables, preset="demo", assignments=["tokenize.codebook_size=32"])
    assert (config.tokenize.codebook_size, config.tokenize.levels) == (32, 2)
    assert config.decode == build_config(preset="demo").decode


def test_the_paper_preset_is_tiger_as_published():
    tiger = build_config(preset="paper").recommenders["tiger"]
    assert (tiger.encoder_layers, tiger.decoder_layers, tiger.d_model) == (4, 4, 128)
    assert (tiger.heads, tiger.d_head, tiger.d_ff) == (6, 64, 1024)


MISTAKES = {
    "recommenders.tiger.max_step=3": "no setting `recommenders.tiger.max_step`; did you mean "
    "`recommenders.tiger.max_steps`?",
    "tokenise.levels=3": "there is no setting `tokenise`; did you mean `tokenize`?",
    "tokenize.levels=three": "`tokenize.levels`: input should be a valid integer, it is 'three'",
    "tokenize.levels=0": "`tokenize.levels`: input should be greater than or equal to 1, it is 0",
    "tokenize.levels=20": "is 20 x 8 = 160, but a Semantic ID holds at most 128 bits",
    'recommenders.use=["tigr"]': "there is no recommender `tigr`; did you mean `tiger`?",
    "recommenders.use=tigr": "there is no recommender `tigr`; did you mean `tiger`?",
    "recommenders.use=[]": "must name at least one recommender and each at most once, it is []",
    "recommenders.use=sasrec,sasrec": "must name at least one recommender and each at most once",
    "recommenders.use=3": "must be a list of names, one name, or names separated by commas, it is 3",
    "recommenders.tigr.d_model=3": "there is no recommender `tigr`; did you mean `tiger`?",
    "recommenders.mine.d_model=3": "or a table with a `method`: recommenders.mine.method",
    "recommenders.sasrec=3": "`sasrec` must be a table of settings, it is 3",
    "decode.beam=3": "`beam` must be at least `k`, it is 3 with `k` = 50",
    "decode.exclude_seen=true": "there is no setting `decode.exclude_seen`",
    "evaluate.ks=[100]": "`evaluate.ks` goes up to 100, but only `decode.k` = 50 items are kept",
    "data.test_shar=0.2": "there is no setting `data.test_shar`; did you mean `data.test_share`?",
    "data.test_share=0.95": "leave no events to train on: expected a sum below 1, got 0.1 + 0.95",
    "levels=3": "a setting is written section.key=value, it was `levels=3`",
    "tokenize.levels": "a setting is written section.key=value, it was `tokenize.levels`",
}


@pytest.mark.parametrize(("assignment", "message"), MISTAKES.items())
def test_a_mistake_is_named(assignment, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        build_config(assignments=[assignment])


def test_an_unknown_preset_is_named_with_those_there_are():
    message = "there is no preset `demos`; did you mean `demo`?; presets: demo, paper"
    with pytest.raises(ConfigError, match=re.escape(message)):
        build_config(preset="demos")


def test_a_file_that_is_missing_or_not_toml(tmp_path):
    with pytest.raises(ConfigError, match="there is no file"):
        read_config(tmp_path / "run.toml")
    (tmp_path / "run.toml").write_text("[data\n")
    with pytest.raises(ConfigError, match="is not TOML"):
        read_config(tmp_path / "run.toml")
    (tmp_path / "run.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not TOML"):
        read_config(tmp_path / "run.toml")
    (tmp_path / "run.toml").write_text("[data]\nsauce = 'x'\n")
    with pytest.raises(
        ConfigError, match=r"run.toml`: there is no setting `data.sauce`; did you mean `data.source`"
    ):
        read_config(tmp_path / "run.toml")


def test_differences_name_key_and_both_values():
    after = build_config(assignments=["tokenize.levels=4", "embed.template={title}"])
    assert differences(RunConfig(), after) == [
        "embed.template: unset -> '{title}'",
        "tokenize.levels: 3 -> 4",
    ]


@pytest.mark.parametrize("use", ['["sasrec", "tiger"]', "sasrec,tiger", " sasrec , tiger"])
def test_recommenders_are_a_list_or_text(use):
    config = build_config(assignments=[f"recommenders.use={use}"])
    assert config.recommenders.use == ("sasrec", "tiger")
    assert build_config(assignments=["recommenders.use=tiger"]).recommenders.use == ("tiger",)


def test_two_variants_of_one_method(tmp_path):
    tables = {"use": ["sasrec", "wide"], "wide": {"method": "sasrec", "d_model": 256}}
    config = build_config({"recommenders": tables})
    assert [config.recommenders[name].build().d_model for name in config.recommenders.use] == [128, 256]
    write_config(config, tmp_path / "run.toml")
    assert read_config(tmp_path / "run.toml") == config
    stages = plan(Context(config, RunDirectory(tmp_path)))
    assert [stage.name for stage in stages if stage.name.startswith("train")] == [
        "train.sasrec",
        "train.wide",
    ]


def test_settings_of_recommenders_that_are_not_used_stay(tmp_path):
    config = build_config(preset="demo", assignments=["recommenders.use=sasrec"])
    assert config.recommenders["tiger"].d_model == 64 and config.recommenders["gru4rec"].layers == 1
    write_config(config, tmp_path / "run.toml")
    assert read_config(tmp_path / "run.toml").recommenders["tiger"].d_model == 64


def test_every_setting_of_a_recommender_is_recorded_but_those_without_effect(tmp_path):
    def recorded(*assignments):
        config = build_config(assignments=["recommenders.use=sasrec,tiger", *assignments])
        stages = plan(Context(config, RunDirectory(tmp_path)))
        return {stage.name: stage.settings for stage in stages}["train.tiger"]

    tiger = build_config(assignments=["recommenders.use=tiger"]).recommenders["tiger"]
    without = tiger.configures.not_in_identity
    assert "measure_gemm" in without and "learning_rate" not in without
    assert set(recorded()) == {
        f"recommenders.tiger.{key}" for key in tiger.model_dump() if key not in without
    }
    shuffled = recorded("recommenders.tiger.shuffle_ties=true")
    assert shuffled["recommenders.tiger.shuffle_ties"] is True
    assert recorded("recommenders.tiger.measure_gemm=false") == recorded()


@pytest.mark.parametrize(
    ("items", "shape"),
    [
        (24, (2, 16)),
        (1_682, (2, 64)),
        (3_686, (2, 128)),
        (12_101, (2, 256)),
        (40_000, (3, 256)),
        (10**6, (3, 256)),
    ],
)
def test_a_preset_chooses_the_shape_by_the_size_of_the_catalogue(items, shape):
    assert sid_shape(items) == shape
    tokenize = build_config(preset="demo", items=items).tokenize
    assert (tokenize.levels, tokenize.codebook_size) == shape
    levels, codebook_size = shape
    assert codebook_size**levels >= 2 * items and (codebook_size == 16 or items / codebook_size >= 24)


def test_the_shape_of_the_paper_grows_only_with_very_large_catalogues():
    assert preset_shape("paper", 1_682) == preset_shape("paper", 10**6) == (3, 256)
    assert preset_shape("paper", 10**7) == (4, 256)


def test_the_shape_of_a_preset_may_be_overridden():
    config = build_config(preset="demo", items=1_682, assignments=["tokenize.levels=3"])
    assert (config.tokenize.levels, config.tokenize.codebook_size) == (3, 64)
