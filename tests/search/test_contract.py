"""The contract that every retriever keeps."""

import numpy as np
import polars as pl
import pytest
from tests.search.worlds import TOPICS, topic_collection

from sidkit.errors import ConfigError, DataError, FormatError, NotFittedError
from sidkit.search import RETRIEVERS, Collection, load_retriever

#: Settings that are quick on a small collection.
SETTINGS = {
    "bm25": {},
    "dense": {},
    "dsi": {
        "epochs": 40,
        "codebook_size": 3,
        "d_model": 32,
        "layers": 1,
        "learning_rate": 0.01,
        "dropout": 0.0,
    },
    "hybrid": {"retrievers": ("bm25", "dense")},
    "ivf": {"probes": 100},
    "sid": {"epochs": 4, "beam": 8},
}
GROWING = ["bm25", "dense", "hybrid", "ivf", "sid"]
WORLD = topic_collection(foreign=False)


@pytest.fixture(scope="module")
def fitted():
    """Every retriever, fitted once."""
    kept = {}

    def get(method):
        if method not in kept:
            if method == "ivf":
                pytest.importorskip("faiss")
            kept[method] = RETRIEVERS[method](**SETTINGS[method]).fit(WORLD)
        return kept[method]

    return get


def test_every_retriever_is_tested():
    assert set(RETRIEVERS) == set(SETTINGS)


@pytest.mark.parametrize("method", SETTINGS)
class TestContract:
    def test_the_right_topic_is_found(self, method, fitted):
        ids, scores = fitted(method).search("d3w0 d3w1 d3w2", k=5)
        assert ids.shape == scores.shape == (5,) and scores.dtype == np.float32
        assert {int(each[1:]) % TOPICS for each in ids} == {3}
        assert (np.diff(scores) <= 0).all()

    def test_a_batch_gives_what_single_queries_give(self, method, fitted):
        texts = WORLD.split("test").texts[:4]
        ids, scores = fitted(method).search(texts, k=7)
        for row, text in enumerate(texts):
            one_ids, one_scores = fitted(method).search(text, k=7)
            assert one_scores == pytest.approx(scores[row], abs=1e-5)
            same = np.abs(np.diff(scores[row], prepend=np.inf, append=-np.inf)) > 1e-5
            clear = same[:-1] & same[1:]  # scores without a near tie have one order
            assert (one_ids == ids[row])[clear].all()

    def test_evaluation(self, method, fitted):
        found = fitted(method).evaluate(WORLD.split("test"))
        assert found["ndcg@10"] > 0.7 and found.protocol["split"] == "test"
        with pytest.raises(DataError, match="nothing to evaluate"):
            fitted(method).evaluate(WORLD.split("test").take(np.empty(0, np.int64)))

    def test_saved_and_loaded(self, method, fitted, tmp_path):
        texts = WORLD.split("test").texts[:3]
        retriever = fitted(method)
        retriever.save(tmp_path / "saved")
        retriever.save(tmp_path / "saved")  # replaces it
        for loaded in (load_retriever(tmp_path / "saved"), type(retriever).load(tmp_path / "saved")):
            ids, scores = loaded.search(texts, k=5)
            expected_ids, expected = retriever.search(texts, k=5)
            assert (ids == expected_ids).all() and scores == pytest.approx(expected, abs=1e-6)

    def test_damaged_files(self, method, fitted, tmp_path):
        fitted(method).save(tmp_path / "saved")
        documents = tmp_path / "saved" / "documents.parquet"
        documents.write_bytes(documents.read_bytes()[:-1])
        with pytest.raises(FormatError, match=r"documents.parquet` is missing or damaged"):
            load_retriever(tmp_path / "saved")

    def test_before_fit(self, method, tmp_path):
        retriever = RETRIEVERS[method](**SETTINGS[method])
        for call in (lambda: retriever.search("x"), lambda: retriever.save(tmp_path / "x")):
            with pytest.raises(NotFittedError):
                call()

    def test_invalid_arguments(self, method, fitted):
        for k in (0, -1, 2.5, True):
            with pytest.raises(ConfigError, match="`k` is invalid"):
                fitted(method).search("x", k=k)
        for text in (" ", 5):
            with pytest.raises(DataError, match="query 0 is invalid"):
                fitted(method).search([text])

    def test_more_than_exists_is_padded(self, method, fitted):
        ids, scores = fitted(method).search("d3w0 d3w1", k=100)
        real = scores > -np.inf
        assert all(each is None for each in ids[~real]) and len(set(ids[real])) == real.sum()

    def test_no_query(self, method, fitted):
        ids, scores = fitted(method).search([], k=3)
        assert ids.shape == scores.shape == (0, 3)

    def test_queries_of_the_test_split_are_not_used(self, method):
        if method == "ivf":
            pytest.importorskip("faiss")
        world = topic_collection(foreign=False)
        blind = Collection(
            world.documents,
            world.queries.filter(pl.col("split") != "test"),
            world.qrels.filter(
                pl.col("query_id").is_in(
                    world.queries.filter(pl.col("split") != "test")["query_id"].implode()
                )
            ),
        )
        texts = world.split("test").texts
        quick = SETTINGS[method] | ({"epochs": 2} if "epochs" in SETTINGS[method] else {})
        first = RETRIEVERS[method](**quick).fit(world).search(texts)
        second = RETRIEVERS[method](**quick).fit(blind).search(texts)
        assert (first[0] == second[0]).all() and (first[1] == second[1]).all()


@pytest.mark.parametrize("method", GROWING)
def test_new_documents_are_found_without_training(method):
    if method == "ivf":
        pytest.importorskip("faiss")
    retriever = RETRIEVERS[method](**SETTINGS[method]).fit(WORLD)
    before, _ = retriever.search("d5w1 d5w2", k=80)
    fresh = {"doc_id": ["new", "other"], "text": ["d5w1 d5w2 " * 4, "d0w0 d0w1"]}
    assert retriever.add_documents(fresh) is retriever
    ids, _ = retriever.search("d5w1 d5w2", k=82)
    assert ids[0] == "new" and len(retriever.doc_ids_) == 82
    if method == "dense":  # without changes of statistics the others keep their order
        assert [each for each in ids if each not in ("new", "other")] == list(before)
    with pytest.raises(DataError, match="exists already"):
        retriever.add_documents(fresh)
    with pytest.raises(DataError, match="wrong type"):
        retriever.add_documents({"doc_id": [1], "text": ["x"]})


def test_integer_ids_come_back_as_integers():
    documents = {"doc_id": [7, 9], "text": ["apple pie", "pear tart"]}
    retriever = RETRIEVERS["bm25"]().fit(documents)
    ids, scores = retriever.search("a pear", k=2)
    assert ids.dtype == np.int64 and ids.tolist() == [9, -1] and scores[1] == -np.inf


def test_fit_refuses_tables_next_to_a_collection():
    with pytest.raises(ConfigError, match="expected a collection alone"):
        RETRIEVERS["bm25"]().fit(WORLD, {"query_id": [1], "text": ["x"]})


def test_save_spares_other_files(tmp_path):
    (tmp_path / "letter.txt").write_text("x")
    retriever = RETRIEVERS["bm25"]().fit(WORLD)
    with pytest.raises(FileExistsError, match="holds other files"):
        retriever.save(tmp_path)
    with pytest.raises(NotADirectoryError):
        retriever.save(tmp_path / "letter.txt")
    with pytest.raises(FormatError, match="does not describe a retriever"):
        load_retriever(tmp_path)
