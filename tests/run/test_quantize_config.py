"""The table `tokenize`: every tokenizer and every option of one can be asked for, and no other."""

import inspect
import re

import pytest
from tests.run.world import QUICK

from sidkit import SidTable
from sidkit.errors import ConfigError
from sidkit.evaluate import Metrics
from sidkit.run import build_config, read_config, run_pipeline, write_config
from sidkit.run.config.tokenize import _BELONGS, _ONE_LEVEL, METHODS, TokenizeConfig
from sidkit.run.tokenizers import make_tokenizer, tokenizer_class
from sidkit.tokenizers import Tokenizer, load_tokenizer
from sidkit.tokenizers.base import _KINDS

#: One setting of each kind that a method needs to be small, or that shows it takes its options.
TRIED = {
    "rqkmeans": {"balanced": True, "start": "kmeans++", "standardize": False},
    "rqvae": {"epochs": 12, "latent": 4, "hidden": [8], "commitment": 0.5, "weight_decay": 0.1}
    | {"update": "ema", "estimator": "rotation", "distance": "cosine", "sinkhorn": "last", "whiten": 3},
    "vq": {"balanced": True},
    "vqvae": {"epochs": 12, "latent": 4, "hidden": [8], "distance": "cosine"},
    "rvq": {"epochs": 5, "kmeans_start": False, "reset": False},
    "hkmeans": {"balanced": False, "start": "kmeans++"},
    "pq": {"iterations": 3, "standardize": False},
    "opq": {"rounds": 2},
    "lsh": {"codebook_size": [8, 4]},
    "random": {"seed": 3},
    "atomic": {},
    "cooccurrence": {"balanced": True},
    "words": {"codebook_size": 40},
    "lmindexer": {"components": 4, "vocabulary": 30, "hints": 0.2, "contrast": 0.5}
    | {"commitment": 2.0, "plain_epochs": 1, "level_epochs": 2, "on_collapse": "warn"},
}


def settings_of(method):
    levels = 1 if method in _ONE_LEVEL else 2
    return {"method": method, "levels": levels, "codebook_size": 8} | TRIED[method]


def test_every_kind_of_tokenizer_has_a_method():
    assert {tokenizer_class(method) for method in METHODS} == set(_KINDS.values())
    assert set(TRIED) == set(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_every_argument_of_a_tokenizer_is_an_option(method):
    wanted = set(inspect.signature(tokenizer_class(method)).parameters) - {"threads"}
    wanted -= {"rounds"} if method == "pq" else set()  # there is no rotation to learn
    every = {option: None for option, methods in _BELONGS.items() if method in methods}
    fields = TokenizeConfig.model_fields
    given = TokenizeConfig.model_construct(
        method=method,
        **{name: fields[name].default if fields[name].default is not None else 1 for name in every},
    )
    assert set(given.arguments()) == wanted


@pytest.mark.parametrize("method", METHODS)
def test_defaults_are_those_of_the_tokenizer(method):
    """But for the number of levels, which is the same for all methods in a run."""
    made = make_tokenizer(TokenizeConfig(method=method)).settings()
    by_itself = tokenizer_class(method)().settings()
    own = {"codes"} if method in ("cooccurrence", "words") else set()
    assert {name for name in made if made[name] != by_itself[name]} <= {"levels", "rotation"} | own


@pytest.mark.parametrize("method", METHODS)
def test_the_tokenizer_has_the_options(method, tmp_path):
    config = build_config({"tokenize": settings_of(method)})
    tokenizer = make_tokenizer(config.tokenize)
    assert isinstance(tokenizer, Tokenizer)
    for name, value in TRIED[method].items():
        assert getattr(tokenizer, name) == value
    assert make_tokenizer(TokenizeConfig(method="rqkmeans", mini_batch=64)).batch_size == 64
    write_config(config, tmp_path / "run.toml")
    assert read_config(tmp_path / "run.toml") == config


@pytest.mark.parametrize("method", METHODS)
def test_a_run_up_to_the_semantic_ids(method, world, tmp_path):
    tables = {"data": {"source": str(world)}, "embed": {"vectors": str(world / "vectors.npy")}}
    config = build_config(tables, {"tokenize": settings_of(method)})
    folder = run_pipeline(config, tmp_path / "run", until="ids")
    assert load_tokenizer(folder.path / "tokenizer.safetensors").kind == tokenizer_class(method).kind
    assert len(SidTable.load(folder.path / "sids.parquet").item_ids) == 24
    assert folder.records["tokenize"].facts["items"] == 24
    assert "tokenize.mini_batch" not in folder.records["tokenize"].settings


@pytest.mark.parametrize("method", ["opq", "atomic"])
def test_a_generator_writes_codes_of_any_kind(method, world, tmp_path):
    tables = {"data": {"source": str(world)}, "embed": {"vectors": str(world / "vectors.npy")}}
    quick = [setting for setting in QUICK if not setting.startswith(("recommenders.use", "tokenize"))]
    config = build_config(
        tables, {"tokenize": settings_of(method)}, assignments=[*quick, "recommenders.use=['rqtransformer']"]
    )
    folder = run_pipeline(config, tmp_path / "run", until="evaluate")

    found = {
        one.metric: one.value
        for one in Metrics.load(folder.path / "metrics.json").results
        if one.slice == "all"
    }
    assert found["recall@10"] > 0.9


MISTAKES = {
    "tokenize.method=kmeans": "`tokenize.method`: input should be 'rqkmeans', 'rqvae', 'vq', 'vqvae'",
    "tokenize.epochs=5": "`epochs` belongs to the method `rqvae`, `vqvae`, `rvq`, but `method` is",
    "tokenize.iterations=0": "`tokenize.iterations`: input should be greater than or equal to 1",
    "tokenize.rounds=5": '`rounds` belongs to the method `opq`, but `method` is "rqkmeans"',
    "tokenize.codebook_size=[4, 4]": "`tokenize`: `codebook_size` has 2 sizes for 3 levels; give one a level",
    "tokenize.codebook_size=[65536, 65536, 0]": "or a list of one a level, is needed; it is [65536",
    "tokenize.codebook_size=0": "`tokenize.codebook_size`: one integer in 1..65536, or a list of one a level, is needed",
    "tokenize.codebook_size=many": "is needed; it is 'many'",
    "tokenize.start=random": "`tokenize.start`: input should be 'bisect' or 'kmeans++', it is 'random'",
}


@pytest.mark.parametrize(("assignment", "message"), MISTAKES.items())
def test_a_mistake_is_named(assignment, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        build_config(assignments=[assignment])


FLAGS = {"balanced", "standardize", "kmeans_start", "reset", "refit"}
FLOATS = {"learning_rate", "weight_decay", "commitment", "temperature", "sinkhorn_epsilon", "contrast"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"levels": 4}, '"vq" has one level; `levels` must be 1, not 4'),
        ({"codebook_size": [8]}, '"vq" has one level; `codebook_size` must be one number'),
    ],
)
def test_methods_of_one_level(settings, message):
    with pytest.raises(ConfigError, match=message):
        build_config({"tokenize": {"method": "vq"} | settings})
    assert make_tokenizer(TokenizeConfig(method="vq")).sizes == (256,)


@pytest.mark.parametrize("option", _BELONGS)
def test_an_option_of_another_method_is_refused(option):
    other = next(method for method in METHODS if method not in _BELONGS[option])
    value = {
        "start": "bisect",
        "hidden": [3],
        "update": "ema",
        "estimator": "gumbel",
        "distance": "l2",
        "sinkhorn": "all",
        "on_collapse": "stop",
        "decay": 0.5,
        "hints": 0.5,
    }.get(option, 7)
    value = float(value) if option in FLOATS else value
    value = True if option in FLAGS else value
    with pytest.raises(ConfigError, match=f"`{option}` belongs to the method"):
        build_config({"tokenize": {"method": other, option: value}})


def test_the_defaults_that_every_run_file_holds_are_no_mistake(tmp_path):
    (tmp_path / "run.toml").write_text('[tokenize]\nmethod = "rqkmeans"\nepochs = 300\nbatch_size = 1024\n')
    assert read_config(tmp_path / "run.toml").tokenize == TokenizeConfig()


def test_options_that_contradict_each_other_are_told_before_anything_runs(world, tmp_path):
    settings = {"tokenize": {"balanced": True, "mini_batch": 8}, "data": {"source": str(world)}}
    with pytest.raises(ConfigError, match="balanced=True needs all vectors at once, but batch_size is 8"):
        run_pipeline(build_config(settings), tmp_path / "run", until="ids")
    assert not (tmp_path / "run" / "run.toml").exists()


def test_levels_of_different_sizes_are_counted_in_bits():
    sizes = [65536] * 8 + [2]
    with pytest.raises(ConfigError, match=r"is 16 \+ .* \+ 1 = 129, but a Semantic ID holds"):
        build_config({"tokenize": {"levels": 9, "codebook_size": sizes}})
    assert (
        build_config({"tokenize": {"levels": 8, "codebook_size": sizes[:8]}}).tokenize.codebook_size
        == sizes[:8]
    )
