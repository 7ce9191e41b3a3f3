"""`run.toml`, presets and `--set`: what is accepted, and what a person reads when it is not."""

import re
from pathlib import Path

import pytest

from sidkit.errors import ConfigError
from sidkit.run import PRESETS, RunConfig, RunDirectory, build_config, differences, read_config, write_config
from sidkit.run.config import TigerConfig
from sidkit.run.config.settings import flatten, read_tables
from sidkit.run.pipeline import plan
from sidkit.run.stages import Work

#: Settings of a training that are in every record.
FIRST_KEYS = (
    "max_steps",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "warmup_steps",
    "clip_norm",
    "weight_averaging",
    "patience",
    "evaluate_every_steps",
    "validate_users",
    "checkpoint_every_seconds",
    "precision",
    "seed",
)

STORED = sorted((Path(__file__).parents[2] / "docs" / "results").glob("**/run.toml"))


def test_there_are_stored_runs():
    assert {path.parent.name for path in STORED} >= {"tiger-seed0", "sasrec-seed0", "rqtransformer-seed0"}


@pytest.mark.parametrize("path", STORED, ids=lambda path: f"{path.parent.parent.name}/{path.parent.name}")
def test_a_stored_run_can_be_made_again(path, tmp_path):
    """Its settings are still accepted, and say the same when they are written anew."""
    config = read_config(path)
    write_config(config, tmp_path / "run.toml")
    assert read_config(tmp_path / "run.toml") == config
    written = flatten(read_tables(tmp_path / "run.toml"))
    assert {key: written.get(key) for key in flatten(read_tables(path))} == flatten(read_tables(path))


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
    tiger = build_config(preset="paper").models.tiger
    assert (tiger.encoder_layers, tiger.decoder_layers, tiger.d_model) == (4, 4, 128)
    assert (tiger.heads, tiger.d_head, tiger.d_ff) == (6, 64, 1024)


MISTAKES = {
    "recommenders.tiger.max_step=3": "no setting `recommenders.tiger.max_step`; did you mean `recommenders.tiger.max_steps`?",
    "quantise.levels=3": "there is no setting `quantise`; did you mean `tokenize`?",
    "tokenize.levels=three": "`tokenize.levels`: input should be a valid integer, it is 'three'",
    "tokenize.levels=0": "`tokenize.levels`: input should be greater than or equal to 1, it is 0",
    "tokenize.levels=20": "is 20 x 8 = 160, but a Semantic ID holds at most 128 bits",
    'recommenders.use=["tigr"]': "'tiger', 'actionpiece', 'rqtransformer' or 'decoderonly', it is 'tigr'",
    "recommenders.use=[]": "names at least one model and each at most once, it is []",
    "decode.beam=3": "`beam` is at least `k`, it is 3 against 50",
    "evaluate.ks=[100]": "`evaluate.ks` goes up to 100, but only `decode.k` = 50 items are kept",
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


def test_settings_that_came_later_leave_runs_current_where_they_change_nothing(tmp_path):
    def asked(*assignments):
        config = build_config(assignments=['recommenders.use=["sasrec", "tiger"]', *assignments])
        stages = plan(config, Work(config, RunDirectory(tmp_path)))
        return {stage.name: stage.settings for stage in stages}["train.tiger"]

    assert set(asked()) == {
        *(f"recommenders.tiger.{key}" for key in TigerConfig.model_fields),
        *(f"recommenders.tiger.{key}" for key in FIRST_KEYS),
    }
    assert asked("recommenders.tiger.shuffle_ties=true")["recommenders.tiger.shuffle_ties"] is True
    assert asked("recommenders.tiger.measure_gemm=false") == asked()
