"""The registry of tokenizers: one module per method, settings from constructors, classes of third parties."""

import inspect

import numpy as np
import pytest

from sidkit._settings import settings_model
from sidkit.errors import ConfigError, FormatError
from sidkit.tokenizers import LSH, TOKENIZERS, RQKMeans, Tokenizer, load_tokenizer

METHODS = [
    *("atomic", "cooccurrence", "hkmeans", "lmindexer", "lsh", "opq", "pq"),
    *("random", "rqkmeans", "rqvae", "rvq", "vq", "vqvae", "words"),
]


def test_every_method_is_found():
    assert [name for name in TOKENIZERS if not TOKENIZERS[name].__module__.startswith("tests")] == METHODS


@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_a_tokenizer_whose_settings_come_from_its_constructor(method):
    tokenizer = TOKENIZERS[method]
    assert issubclass(tokenizer, Tokenizer) and tokenizer.method == method
    assert tokenizer.__module__.startswith(f"sidkit.tokenizers.{method}")
    assert inspect.getdoc(tokenizer).partition("\n")[0].endswith((".", ")."))
    model = settings_model(tokenizer)
    undescribed = [name for name, field in model.model_fields.items() if not field.description]
    assert not undescribed
    assert repr(model().build()) == repr(tokenizer())


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"estimator": "rotation"}, "RQVAE(estimator='rotation')"),
        ({"estimator": {"temperature": 0.5}}, "RQVAE(estimator=Gumbel(temperature=0.5))"),
        ({"codebook_update": {"decay": 0.9}}, "RQVAE(codebook_update=EMA(decay=0.9))"),
        ({"sinkhorn": {"levels": "all"}}, "RQVAE(sinkhorn=Sinkhorn(levels='all', epsilon=0.05))"),
        ({"auxiliary_loss": {"weight": 0.2}}, "RQVAE(auxiliary_loss=CoST(weight=0.2))"),
        (
            {"auxiliary_loss": {"diversity_weight": 0.2}},
            "RQVAE(auxiliary_loss=LETTER(collaborative_weight=0.02, diversity_weight=0.2))",
        ),
    ],
)
def test_options_of_rqvae_are_strings_or_tables(table, expected):
    assert repr(settings_model(TOKENIZERS["rqvae"])(**table).build()) == expected


def test_unknown_methods_name_the_nearest():
    with pytest.raises(ConfigError, match=r"no tokenizer `rqkmean`.*did you mean `rqkmeans`"):
        TOKENIZERS["rqkmean"]


def test_a_tokenizer_of_a_third_party(tmp_path):
    class Halved(RQKMeans):
        """Residual k-means that inherits its constructor."""

        method = "halved"

    x = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    Halved(2, [4, 2]).fit(x).save(tmp_path / "tokenizer")
    with pytest.raises(FormatError, match="cannot be read: there is no tokenizer `halved`"):
        load_tokenizer(tmp_path / "tokenizer")
    TOKENIZERS.register("halved", Halved)
    try:
        again = load_tokenizer(tmp_path / "tokenizer")
        assert type(again) is Halved and again.codebook_size == [4, 2]
        with pytest.raises(FormatError, match="has the wrong method: expected a LSH, got `halved`"):
            LSH.load(tmp_path / "tokenizer")
    finally:
        TOKENIZERS.unregister("halved")
