"""Functions of batches: equal to the methods that they call, picklable, and clear about bad batches."""

import pickle

import numpy as np
import pyarrow as pa
import pytest
from tests.worlds import small_world

from sidkit.embed import embed_texts
from sidkit.errors import ConfigError, DataError
from sidkit.recommenders import load_model
from sidkit.run.opened import open_run
from sidkit.scale import EmbedBatch, RecommendBatch, TokenizeBatch
from sidkit.scale.batches.vectors import list_column
from sidkit.tokenizers import RQKMeans, load_tokenizer


def vectors(x, kind="list"):
    column = list_column(x)
    if kind == "fixed":
        column = column.cast(pa.list_(pa.float32(), x.shape[1]))
    elif kind == "large":
        column = column.cast(pa.large_list(pa.float32()))
    elif kind == "double":
        column = column.cast(pa.list_(pa.float64()))
    return pa.table({"item_id": np.arange(len(x)), "vector": column})


@pytest.mark.parametrize("kind", ["list", "fixed", "large", "double"])
def test_codes_are_those_of_the_tokenizer(catalogue, kind):
    place, x = catalogue
    tokenize = TokenizeBatch(place / "tokenizer.safetensors")
    result = tokenize(vectors(x[:100], kind))
    codes = load_tokenizer(place / "tokenizer.safetensors").encode(x[:100])
    assert result["codes"].to_pylist() == codes.tolist()
    assert result["item_id"].to_pylist() == list(range(100))


def test_a_slice_of_a_batch_is_its_rows(catalogue):
    place, x = catalogue
    tokenize = TokenizeBatch(place / "tokenizer.safetensors")
    whole = tokenize(vectors(x[:100]))
    batch = vectors(x[:100]).to_batches()[0].slice(30, 20)
    assert tokenize(batch).equals(whole.slice(30, 20).combine_chunks())


def test_a_function_is_pickled_without_its_model(catalogue):
    place, x = catalogue
    tokenize = TokenizeBatch(place / "tokenizer.safetensors")
    expected = tokenize(vectors(x[:10]))
    data = pickle.dumps(tokenize)
    assert len(data) < 500
    assert pickle.loads(data)(vectors(x[:10])).equals(expected)


def test_a_new_file_under_the_same_path_is_loaded(tmp_path, catalogue):
    _, x = catalogue
    tokenize = TokenizeBatch(tmp_path / "tokenizer.safetensors")
    for size in (4, 32):
        tokenizer = RQKMeans(2, size).fit(x)
        tokenizer.save(tmp_path / "tokenizer.safetensors")
        assert tokenize(vectors(x[:50]))["codes"].to_pylist() == tokenizer.encode(x[:50]).tolist()


def test_no_rows_keep_the_schema(catalogue):
    place, x = catalogue
    tokenize = TokenizeBatch(place)
    empty = vectors(x[:1]).slice(0, 0)
    assert tokenize(empty).schema == tokenize.schema(empty.schema)
    assert len(tokenize(empty)) == 0


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[1.0], None]), "has missing values: expected a complete vector in every row, got 1 nulls"),
        (pa.array([[1.0, None], [1.0, 2.0]]), "has missing values"),
        (pa.array([[1.0], [1.0, 2.0]]), "different lengths: expected 1 numbers, got 2 in row 1"),
        (pa.array([[1], [2]]), "wrong type: expected lists of floats, got list<item: int64>"),
        (pa.array([[1.0] * 3] * 2), "wrong number of dimensions: expected 8, got 3"),
        (pa.array([[float("nan")] * 8] * 2), "vectors are not finite"),
    ],
)
def test_bad_vectors_are_named(catalogue, column, message):
    place, _ = catalogue
    with pytest.raises(DataError, match=message):
        TokenizeBatch(place)(pa.table({"item_id": [1, 2], "vector": column}))


def test_a_missing_column_is_named(catalogue):
    place, _ = catalogue
    with pytest.raises(DataError, match="expected item_id, vector, got item_id without `vector`"):
        TokenizeBatch(place)(pa.table({"item_id": [1]}))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="there is no file"):
        TokenizeBatch(tmp_path / "nothing")(vectors(np.ones((1, 2), np.float32)))


def test_texts_are_embedded(tiny_model):
    items = pa.table({"item_id": ["a", "b", "c"], "title": ["red", None, "blue"], "year": [1, None, 3]})
    embed = EmbedBatch(tiny_model, template="{title} ({year})")
    assert embed.columns == ("item_id", "title", "year")
    result = embed(items)
    expected = embed_texts(["red (1)", "", "blue (3)"], model=tiny_model)
    assert np.array_equal(np.array(result["vector"].to_pylist(), np.float32), expected)


def histories(world, *lists):
    return pa.table({"user_id": list(range(len(lists))), "history": pa.array(lists, pa.list_(pa.string()))})


def test_recommendations_are_those_of_the_model(saved_model):
    world = small_world()
    ids = world.ids
    lists = [ids[:3], ids[5:6], ids[7:9]]
    result = RecommendBatch(saved_model, k=4)(histories(world, *lists))
    items, scores = load_model(saved_model).recommend(lists, 4)
    found = np.isfinite(scores)
    assert result["items"].to_pylist() == [
        row[there].tolist() for row, there in zip(items, found, strict=True)
    ]
    assert result["scores"].to_pylist() == [
        row[there].tolist() for row, there in zip(scores, found, strict=True)
    ]


def test_lists_end_where_items_do(saved_model):
    world = small_world()
    result = RecommendBatch(saved_model, k=50)(histories(world, world.ids[:3]))
    assert len(result["items"][0]) == len(world.ids) - 3


def test_a_missing_history_is_empty(saved_model):
    world = small_world()
    result = RecommendBatch(saved_model, k=3)(histories(world, None, []))
    assert result["items"][0] == result["items"][1]


def test_a_run_recommends(small_run):
    run = open_run(small_run, model="popularity")
    ids = run.dataset.item_ids.to_list()
    table = pa.table({"user_id": [0], "history": [ids[:2]]})
    result = RecommendBatch(small_run, k=3, model="popularity")(table)
    assert result["items"][0].as_py() == run.recommend(ids[:2], 3)[0].tolist()


def test_a_model_has_no_models(saved_model):
    with pytest.raises(ConfigError, match="`model` belongs to a run"):
        RecommendBatch(saved_model, model="tiger").schema(pa.schema([("user_id", "i8"), ("history", "i8")]))
