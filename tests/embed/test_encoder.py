import shutil

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer

import sidkit.embed.encoder
from sidkit.embed import embed_texts, item_texts, model_directory
from sidkit.embed.cache import text_keys
from sidkit.embed.model import model_digest
from sidkit.errors import ConfigError, DataError, FormatError, MissingExtraError

TEXTS = ["a comb", "soap", "a comb", "", "a very long text about nothing at all", "nail polish"]


@pytest.fixture
def encoded(monkeypatch):
    """The texts that went through the model, in order."""
    seen = []
    plain = sidkit.embed.encoder._encode

    def spy(encoder, texts):
        seen.extend(texts)
        return plain(encoder, texts)

    monkeypatch.setattr(sidkit.embed.encoder, "_encode", spy)
    return seen


def one_by_one(model, texts):
    encoder = SentenceTransformer(str(model), device="cpu")
    return np.stack([encoder.encode([text], show_progress_bar=False)[0] for text in texts])


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_the_vectors_are_the_models(tiny_model, encoded, batch_size):
    calls = []
    vectors = embed_texts(
        TEXTS,
        model=tiny_model,
        batch_size=batch_size,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert (vectors.dtype, vectors.shape, vectors.flags.c_contiguous) == (np.float32, (6, 16), True)
    np.testing.assert_allclose(vectors, one_by_one(tiny_model, TEXTS), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert sorted(encoded) == sorted(set(TEXTS))
    assert encoded[0] == max(TEXTS, key=len)
    assert calls[-1] == (5, 5)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_a_text_loses_its_end_at_the_limit(tiny_model):
    short, long, cut = embed_texts(["ab", "abcdef", "abxyz"], model=tiny_model, max_tokens=4)
    np.testing.assert_allclose(short, long, atol=1e-5)
    np.testing.assert_allclose(short, cut, atol=1e-5)
    short, long = embed_texts(["ab", "abcdef"], model=tiny_model)
    assert not np.allclose(short, long, atol=1e-3)
    same = embed_texts(TEXTS, model=tiny_model, max_tokens=500)
    assert np.array_equal(same, embed_texts(TEXTS, model=tiny_model))


def test_a_new_text_costs_one_text(tiny_model, encoded, tmp_path):
    first = embed_texts(TEXTS, model=tiny_model, cache=tmp_path)
    encoded.clear()
    second = embed_texts([*TEXTS[::-1], "new", "soap"], model=tiny_model, cache=tmp_path)
    assert encoded == ["new"]
    assert np.array_equal(second[: len(TEXTS)], first[::-1])
    assert np.array_equal(second[-1], first[1])


def test_other_settings_and_weights_are_other_vectors(tiny_model, encoded, tmp_path):
    embed_texts(["abcdef"], model=tiny_model, cache=tmp_path)
    embed_texts(["abcdef"], model=tiny_model, cache=tmp_path, max_tokens=4)
    changed = shutil.copytree(tiny_model, tmp_path / "changed")
    weights = changed / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x3c")
    assert model_digest(changed) != model_digest(tiny_model)
    embed_texts(["abcdef"], model=changed, cache=tmp_path)
    assert encoded == ["abcdef"] * 3


def test_an_interrupt_loses_one_chunk_at_most(tiny_model, encoded, tmp_path, monkeypatch):
    monkeypatch.setattr(sidkit.embed.encoder, "CHUNK", 2)

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_texts(TEXTS, model=tiny_model, batch_size=1, cache=tmp_path, progress=stop)
    encoded.clear()
    vectors = embed_texts(TEXTS, model=tiny_model, cache=tmp_path)
    assert len(encoded) == 3
    np.testing.assert_allclose(vectors, one_by_one(tiny_model, TEXTS), atol=1e-5)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:100], "cannot be read"),
        (lambda content: content[:-1], "cannot be read"),
        (lambda content: b"", "cannot be read"),
        (lambda content: b"\xff" * 8 + content[8:], "cannot be read"),
        (
            lambda content: content.replace(b"vectors", b"vectorz"),
            "is foreign: expected `keys` of uint8 and `vectors`",
        ),
        (lambda content: content[:-36] + b"\xff" * 4 + content[-32:], "expected finite vectors"),
    ],
)
def test_a_damaged_cache_is_an_error(tiny_model, tmp_path, damage, message):
    embed_texts(["abc"], model=tiny_model, cache=tmp_path)
    (path,) = tmp_path.glob("*/*.safetensors")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FormatError, match=f"{message}.*Delete it; its texts are embedded again"):
        embed_texts(["abc"], model=tiny_model, cache=tmp_path)


def test_vectors_of_another_model_are_told(tiny_model, tmp_path):
    embed_texts(["abc"], model=tiny_model, cache=tmp_path)
    (path,) = tmp_path.glob("*/*.safetensors")
    vectors = {"keys": text_keys(["soap"]), "vectors": np.zeros((1, 5), dtype=np.float32)}
    save_file(vectors, path.with_name("other.safetensors"))
    with pytest.raises(FormatError, match="expected vectors of one width, got 16 and 5"):
        embed_texts(["soap", "abc"], model=tiny_model, cache=tmp_path)


def test_settings_that_make_no_sense(tiny_model):
    with pytest.raises(ConfigError, match="`batch_size` is invalid: expected an integer >= 1, got 0"):
        embed_texts(["a"], model=tiny_model, batch_size=0)
    with pytest.raises(ConfigError, match="got batch_size=64, max_tokens=2"):
        embed_texts(["a"], model=tiny_model, max_tokens=2)
    with pytest.raises(DataError, match="there are no texts to embed"):
        embed_texts([], model=tiny_model)


def test_models_that_are_none(tmp_path, monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    message = (
        r"`nobody/nothing` is neither `minilm` nor a directory, and cannot be downloaded.*no network. Without"
    )
    with pytest.raises(ConfigError, match=message):
        model_directory("nobody/nothing")
    with pytest.raises(ConfigError, match=r"expected modules.json or config.json, got neither"):
        model_directory(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"expected .safetensors, got none. Other formats are pickles"):
        model_directory(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot be loaded as a sentence-transformers model"):
        embed_texts(["a"], model=tmp_path)


def test_a_name_on_the_hub_is_fetched_without_pickles(tiny_model, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download",
        lambda name, **options: asked.append((name, options)) or str(tiny_model),
    )
    assert embed_texts(["a"], model="someone/some-model").shape == (1, 16)
    (name, options) = asked[0]
    assert name == "someone/some-model"
    assert "*.safetensors" in options["allow_patterns"]
    assert not any(pattern.endswith("bin") for pattern in options["allow_patterns"])


def test_minilm_is_a_package(monkeypatch):
    assert (model_directory("minilm") / "model.safetensors").is_file()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sidkit\[embed\]'"):
        model_directory("minilm")


@pytest.mark.slow
@pytest.mark.data
def test_minilm_gives_the_vectors_that_others_got(beauty):
    items = pl.read_parquet(beauty / "items.parquet").gather_every(500)
    theirs = np.load(beauty / "emb_minilm_l6_v2_f16.npy")[::500].astype(np.float32)
    ours = embed_texts(item_texts(items), max_tokens=64)
    cosine = (ours * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert len(cosine) == 25
    assert cosine.min() >= 0.999
