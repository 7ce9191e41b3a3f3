"""The table `[tokenize]`: every tokenizer with all of its options, and no option of another."""

import inspect
import re

import pytest
from tests.run.world import QUICK

from sidkit.errors import ConfigError
from sidkit.evaluate import Metrics
from sidkit.ids import SidTable
from sidkit.run import build_config, read_config, run_pipeline, write_config
from sidkit.run.config.tokenize import tokenizer_settings
from sidkit.tokenizers import TOKENIZERS, Tokenizer, load_tokenizer

#: Settings that make a method small, or show that it takes its options.
TRIED = {
    "rqkmeans": {"balanced": True, "init": "k-means++", "standardize": False},
    "rqvae": {"epochs": 12, "latent_dim": 4, "hidden_dims": (8,), "commitment": 0.5, "weight_decay": 0.1}
    | {"codebook_update": "ema", "estimator": "rotation", "distance": "cosine", "sinkhorn": "last"}
    | {"whiten": 3},
    "vq": {"balanced": True},
    "vqvae": {"epochs": 12, "latent_dim": 4, "hidden_dims": (8,), "distance": "cosine"},
    "rvq": {"epochs": 5, "kmeans_init": False, "revive_dead_codes": False},
    "hkmeans": {"balanced": False, "init": "k-means++"},
    "pq": {"iterations": 3, "standardize": False},
    "opq": {"rounds": 2},
    "lsh": {"codebook_size": [8, 4]},
    "random": {"seed": 3},
    "atomic": {},
    "cooccurrence": {"balanced": True},
    "words": {"codebook_size": 40},
    "lmindexer": {"latent_dim": 4, "vocabulary_size": 30, "hint_rate": 0.2, "contrastive_weight": 0.5}
    | {"commitment": 2.0, "warmup_epochs": 1, "epochs_per_level": 2, "on_collapse": "warn"},
}
METHODS = TOKENIZERS.names()


def settings_of(method):
    fields = tokenizer_settings(method).model_fields
    small = {key: value for key, value in (("levels", 2), ("codebook_size", 8)) if key in fields}
    tried = {key: list(value) if isinstance(value, tuple) else value for key, value in TRIED[method].items()}
    return {"method": method} | small | tried


def test_every_tokenizer_is_tried():
    assert set(TRIED) == set(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_every_argument_of_a_tokenizer_is_an_option(method):
    expected = set(inspect.signature(TOKENIZERS[method]).parameters) - {"threads"}
    assert set(build_config({"tokenize": {"method": method}}).tokenize.arguments()) == expected


@pytest.mark.parametrize("method", METHODS)
def test_defaults_are_those_of_the_tokenizer(method):
    built = build_config({"tokenize": {"method": method}}).tokenize.build()
    assert built.get_params() == TOKENIZERS[method]().get_params()


@pytest.mark.parametrize("method", METHODS)
def test_the_tokenizer_has_the_options(method, tmp_path):
    config = build_config({"tokenize": settings_of(method)})
    tokenizer = config.tokenize.build()
    assert isinstance(tokenizer, Tokenizer)
    for name, value in TRIED[method].items():
        assert getattr(tokenizer, name) == value
    write_config(config, tmp_path / "run.toml")
    assert read_config(tmp_path / "run.toml") == config


def test_options_that_are_objects(tmp_path):
    tables = {
        "method": "rqvae",
        "estimator": {"temperature": 0.5},
        "auxiliary_loss": {"diversity_weight": 2.0},
    }
    config = build_config({"tokenize": tables})
    tokenizer = config.tokenize.build()
    assert (tokenizer.estimator.temperature, tokenizer.auxiliary_loss.diversity_weight) == (0.5, 2.0)
    assert config.tokenize.fit_inputs == ("collaborative_embeddings",)
    write_config(config, tmp_path / "run.toml")
    assert read_config(tmp_path / "run.toml") == config
    with pytest.raises(
        ConfigError, match=r"no setting `tokenize.estimator.temprature`; did you mean `tokenize"
    ):
        build_config({"tokenize": {"method": "rqvae", "estimator": {"temprature": 0.5}}})


@pytest.mark.parametrize("method", METHODS)
def test_a_run_up_to_the_semantic_ids(method, world, tmp_path):
    tables = {"data": {"source": str(world)}, "embed": {"vectors": str(world / "vectors.npy")}}
    config = build_config(tables, {"tokenize": settings_of(method)})
    directory = run_pipeline(config, tmp_path / "run", until="ids")
    assert load_tokenizer(directory.path / "tokenizer.safetensors").method == method
    assert len(SidTable.load(directory.path / "sids.parquet").item_ids) == 24
    assert directory.records["tokenize"].facts["items"] == 24


@pytest.mark.parametrize("method", ["opq", "atomic"])
def test_a_generative_model_of_any_codes(method, world, tmp_path):
    tables = {"data": {"source": str(world)}, "embed": {"vectors": str(world / "vectors.npy")}}
    quick = [setting for setting in QUICK if not setting.startswith(("recommenders.use", "tokenize"))]
    config = build_config(
        tables, {"tokenize": settings_of(method)}, assignments=[*quick, "recommenders.use=rqtransformer"]
    )
    directory = run_pipeline(config, tmp_path / "run", until="evaluate")
    metrics = Metrics.load(directory.path / "metrics.json")
    for exclude_seen in (True, False):
        assert metrics.find("rqtransformer", "recall@10", exclude_seen=exclude_seen).value > 0.9


MISTAKES = {
    "tokenize.method=kmeans": "there is no tokenizer `kmeans`: expected one of atomic, cooccurrence,",
    "tokenize.epochs=5": "for the method `rqkmeans`, only for `rqvae`, `rvq`, `vqvae`",
    "tokenize.iterations=0": "`tokenize.iterations`: input should be greater than or equal to 1",
    "tokenize.rounds=5": "no setting `tokenize.rounds` for the method `rqkmeans`, only for `opq`, `pq`",
    "tokenize.codebook_size=[4, 4]": "`codebook_size` does not fit `levels`: expected one size or 3, got 2",
    "tokenize.codebook_size=[65536, 65536, 0]": "`tokenize.codebook_size`: input should be greater than",
    "tokenize.codebook_size=0": "`tokenize.codebook_size`: input should be greater than or equal to 1",
    "tokenize.codebook_size=many": "a valid integer or input should be a valid list, it is 'many'",
    "tokenize.init=random": "`tokenize.init`: input should be 'bisect', 'k-means++' or 'k-means||', "
    "it is 'random'",
}


@pytest.mark.parametrize(("assignment", "message"), MISTAKES.items())
def test_a_mistake_is_named(assignment, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        build_config(assignments=[assignment])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"levels": 4}, "no setting `tokenize.levels` for the method `vq`, only for"),
        ({"codebook_size": [8]}, "`tokenize.codebook_size`: input should be a valid integer"),
    ],
)
def test_methods_of_one_level(settings, message):
    with pytest.raises(ConfigError, match=message):
        build_config({"tokenize": {"method": "vq"} | settings})
    assert build_config({"tokenize": {"method": "vq"}}).tokenize.build().codebook_sizes == (256,)


OPTIONS = {method: tokenizer_settings(method).model_fields for method in METHODS}
#: Every option that some methods lack, with a method that has it and one that has not.
FOREIGN = {
    option: (method, next(other for other in METHODS if option not in OPTIONS[other]))
    for method in METHODS
    for option in OPTIONS[method]
    if any(option not in OPTIONS[other] for other in METHODS)
}


@pytest.mark.parametrize("option", FOREIGN)
def test_an_option_of_another_method_is_refused(option):
    method, other = FOREIGN[option]
    value = OPTIONS[method][option].get_default(call_default_factory=True)
    with pytest.raises(ConfigError, match=f"there is no setting `tokenize.{option}`"):
        build_config({"tokenize": {"method": other, option: 7 if value is None else value}})


def test_another_method_over_a_run_keeps_what_was_chosen_and_it_has(tmp_path):
    first = build_config({"tokenize": {"levels": 2, "iterations": 7, "codebook_size": 64}})
    write_config(first, tmp_path / "run.toml")
    tables = read_config(tmp_path / "run.toml").model_dump(mode="json", exclude_none=True)
    second = build_config(tables, assignments=["tokenize.method=rqvae"]).tokenize
    assert (second.levels, second.codebook_size, second.batch_size) == (2, 64, 1024)
    third = build_config(tables, {"tokenize": {"method": "words"}}).tokenize
    assert (third.levels, third.codebook_size) == (2, 64)
    assert build_config(tables, {"tokenize": {"method": "atomic"}}).tokenize.arguments() == {}


def test_collaborative_vectors_are_not_standardized_again():
    plain = build_config().model_dump(mode="json", exclude_none=True)
    assert plain["tokenize"]["standardize"] is True
    hybrid = build_config(plain, assignments=["tokenize.vectors=hybrid"])
    assert hybrid.tokenize.standardize is False
    tables = hybrid.model_dump(mode="json", exclude_none=True)
    assert build_config(tables, assignments=["tokenize.vectors=content"]).tokenize.standardize is True
    chosen = build_config(assignments=["tokenize.vectors=hybrid", "tokenize.standardize=true"])
    assert chosen.tokenize.standardize is True


def test_options_that_contradict_each_other_are_errors_before_anything_runs(world, tmp_path):
    settings = {"tokenize": {"balanced": True, "batch_size": 8}, "data": {"source": str(world)}}
    with pytest.raises(ConfigError, match="`balanced` does not work with mini-batches"):
        run_pipeline(build_config(settings), tmp_path / "run", until="ids")
    assert not (tmp_path / "run" / "run.toml").exists()


def test_levels_of_different_sizes_are_counted_in_bits():
    sizes = [65536] * 8 + [2]
    with pytest.raises(ConfigError, match=r"is 16 \+ .* \+ 1 = 129, but a Semantic ID holds"):
        build_config({"tokenize": {"levels": 9, "codebook_size": sizes}})
    eight = build_config({"tokenize": {"levels": 8, "codebook_size": sizes[:8]}})
    assert eight.tokenize.codebook_size == sizes[:8]
