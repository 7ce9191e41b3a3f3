"""Collections: checks of tables, the three layouts, hostile files."""

import json

import numpy as np
import polars as pl
import pytest

from sidkit.errors import ConfigError, DataError
from sidkit.search import Collection, document_texts, is_collection, load_collection

DOCUMENTS = {"doc_id": ["a", "b", "c"], "title": ["A", None, "C"], "text": ["one", "two", None]}
QUERIES = {"query_id": ["q", "r", "s"], "text": ["x", "y", "z"], "split": ["train", "dev", "test"]}
QRELS = {"query_id": ["q", "q", "r", "s"], "doc_id": ["a", "b", "c", "a"], "relevance": [2, 0, 1, 1]}


def changed(table, **columns):
    return {**table, **columns}


def test_splits_and_labels():
    collection = Collection.from_frames(DOCUMENTS, QUERIES, QRELS, name="x")
    assert collection.splits == ("train", "validation", "test")
    train = collection.split("train")
    assert (train.texts, train.doc_rows.tolist(), train.relevance.tolist()) == (["x"], [0, 1], [2, 0])
    assert [each.tolist() for each in train.relevant()] == [[0], [0]]
    assert repr(collection).startswith("Collection(x: 3 documents, 3 queries (1 train, 1 validation, 1 test)")
    assert document_texts(collection.documents) == ["A one", "two", "C"]


def test_a_query_without_a_relevant_document_is_in_no_split():
    qrels = changed(QRELS, relevance=[0, 0, 1, 1])
    assert len(Collection.from_frames(DOCUMENTS, QUERIES, qrels).split("train")) == 0


def test_take_selects_queries_with_their_labels():
    collection = Collection.from_frames(DOCUMENTS, changed(QUERIES, split=["train"] * 3), QRELS)
    some = collection.split("train").take(np.array([2, 0]))
    assert some.query_ids.to_list() == ["s", "q"]
    assert (some.query_rows.tolist(), some.doc_rows.tolist()) == ([0, 1, 1], [0, 0, 1])


@pytest.mark.parametrize(
    ("documents", "queries", "qrels", "message"),
    [
        ({"id": ["a"]}, None, None, "has no column `doc_id`"),
        ({"doc_id": ["a"]}, None, None, "has no text"),
        (changed(DOCUMENTS, doc_id=["a", "a", "c"]), None, None, "repeated ids"),
        (changed(DOCUMENTS, doc_id=["a", None, "c"]), None, None, "missing ids"),
        (changed(DOCUMENTS, doc_id=[0.5, 1.0, 2.0]), None, None, "unsupported type"),
        (DOCUMENTS, {"query_id": ["q"]}, None, "`queries` has no text"),
        (DOCUMENTS, changed(QUERIES, text=["x", " ", "z"]), None, "queries are blank"),
        (DOCUMENTS, changed(QUERIES, query_id=["q", "q", "s"]), None, "repeated ids"),
        (
            DOCUMENTS,
            changed(QUERIES, split=["train", "prod", "test"]),
            None,
            "`split` of `queries` is unknown",
        ),
        (DOCUMENTS, QUERIES, {"query_id": ["q"]}, "no column `doc_id`"),
        (DOCUMENTS, QUERIES, changed(QRELS, relevance=[1, 0, None, 1]), "`relevance` of `qrels` is invalid"),
        (
            DOCUMENTS,
            QUERIES,
            changed(QRELS, relevance=[1.0, 0.5, 1.0, 1.0]),
            "`relevance` of `qrels` is invalid",
        ),
        (DOCUMENTS, QUERIES, changed(QRELS, relevance=["1", "x", "1", "1"]), "`relevance` of `qrels`"),
        (DOCUMENTS, QUERIES, changed(QRELS, relevance=[1, 10**9, 1, 1]), "`relevance` of `qrels`"),
        (DOCUMENTS, QUERIES, changed(QRELS, doc_id=["a", "a", "c", "a"]), "repeated pairs"),
        (DOCUMENTS, QUERIES, changed(QRELS, doc_id=["a", "b", "nowhere", "a"]), "unknown ids"),
        (DOCUMENTS, QUERIES, changed(QRELS, doc_id=[1, 2, 3, 4]), "wrong type"),
    ],
)
def test_invalid_tables(documents, queries, qrels, message):
    with pytest.raises(DataError, match=message):
        Collection.from_frames(documents, queries, qrels)


def test_unknown_ids_can_be_dropped():
    qrels = changed(QRELS, doc_id=["a", "b", "nowhere", "a"])
    with pytest.warns(UserWarning, match="1 relevance labels of unknown document ids are dropped"):
        collection = Collection.from_frames(DOCUMENTS, QUERIES, qrels, unknown="drop")
    assert len(collection.qrels) == 3
    with pytest.raises(ConfigError, match="`unknown` is invalid"):
        Collection.from_frames(DOCUMENTS, QUERIES, qrels, unknown="skip")


def test_documents_without_text():
    with pytest.warns(UserWarning, match="1 of 2 documents have no text"):
        assert document_texts(pl.DataFrame({"doc_id": [1, 2], "text": ["x", None]})) == ["x", ""]
    with pytest.raises(DataError, match="no document has any text"):
        document_texts(pl.DataFrame({"doc_id": [1], "text": [""]}))


def write_tables(directory, suffix):
    for name, table in (("documents", DOCUMENTS), ("queries", QUERIES), ("qrels", QRELS)):
        frame = pl.DataFrame(table)
        getattr(frame, f"write_{suffix}")(directory / f"{name}.{suffix}")


def write_beir(directory):
    rows = zip(*DOCUMENTS.values(), strict=True)
    lines = [json.dumps({"_id": i, "title": a or "", "text": b or "", "metadata": {}}) for i, a, b in rows]
    (directory / "corpus.jsonl").write_text("\n".join(lines))
    lines = [json.dumps({"_id": i, "text": t}) for i, t in zip("qrs", "xyz", strict=True)]
    (directory / "queries.jsonl").write_text("\n".join(lines))
    (directory / "qrels").mkdir()
    parts = {"train": "q\ta\t2\nq\tb\t0\n", "dev": "r\tc\t1\n", "test": "s\ta\t1\n"}
    for name, text in parts.items():
        (directory / "qrels" / f"{name}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{text}")


def write_trec(directory):
    (directory / "collection.tsv").write_text('a\tA "one"\nb\ttwo\nc\tC\n')
    for split, row in (("train", "q\tx"), ("dev", "r\ty"), ("test", "s\tz")):
        (directory / f"queries.{split}.tsv").write_text(row + "\n")
    parts = {"train": "q 0 a 2\nq 0 b 0\n", "dev": "r\t0\tc\t1\n", "test": "s 0 a 1\n"}
    for name, text in parts.items():
        (directory / f"qrels.{name}.txt").write_text(text)


LAYOUTS = {
    "parquet": lambda directory: write_tables(directory, "parquet"),
    "csv": lambda directory: write_tables(directory, "csv"),
    "beir": write_beir,
    "trec": write_trec,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_collection(layout, tmp_path):
    LAYOUTS[layout](tmp_path)
    assert is_collection(tmp_path)
    collection = load_collection(tmp_path)
    expected = Collection.from_frames(DOCUMENTS, QUERIES, QRELS)
    assert collection.name == tmp_path.name
    assert collection.doc_ids.to_list() == ["a", "b", "c"]
    for split in expected.splits:
        ours, theirs = collection.split(split), expected.split(split)
        assert (ours.texts, ours.doc_rows.tolist()) == (theirs.texts, theirs.doc_rows.tolist())
        assert ours.relevance.tolist() == theirs.relevance.tolist()


def test_a_csv_file_beside_integers_holds_integers(tmp_path):
    pl.DataFrame({"doc_id": [1, 2], "text": ["x", "y"]}).write_parquet(tmp_path / "documents.parquet")
    (tmp_path / "queries.csv").write_text("query_id,text\n007,x\n")
    (tmp_path / "qrels.csv").write_text("query_id,doc_id,relevance\n007,2,1\n")
    collection = load_collection(tmp_path)
    assert collection.qrels.row(0) == ("007", 2, 1)


def test_documents_alone_are_a_collection(tmp_path):
    (tmp_path / "documents.csv").write_text("doc_id,text\n1,x\n")
    collection = load_collection(tmp_path)
    assert (len(collection), collection.splits) == (1, ())


HOSTILE = {
    "an empty directory": ({}, "is not a document collection"),
    "an empty CSV": ({"documents.csv": b""}, "not a readable csv file"),
    "binary text": ({"documents.csv": b"doc_id,text\n\0\0"}, "zero bytes"),
    "no Parquet": ({"documents.parquet": b"PAR1nothing"}, "not a readable parquet file"),
    "ragged CSV": ({"documents.csv": b"doc_id,text\n1,2,3,4\n"}, "not a readable csv file"),
    "Latin-1": ({"documents.csv": "doc_id,text\n1,café\n".encode("latin-1")}, "not a readable csv file"),
    "no JSON": ({"corpus.jsonl": b"{nothing"}, "not a readable jsonl file"),
    "JSON without ids": ({"corpus.jsonl": b'{"text": "x"}\n'}, "lines without `_id`"),
    "short qrels": (
        {"collection.tsv": b"a\tx\n", "queries.tsv": b"q\tx\n", "qrels.txt": b"q 0 a\n"},
        "expected query, iteration, document and relevance",
    ),
    "qrels without queries": (
        {"collection.tsv": b"a\tx\n", "qrels.txt": b"q 0 a 1\n"},
        "has qrels and no queries",
    ),
    "one column": ({"collection.tsv": b"a\nb\n"}, "wrong number of columns"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files(case, tmp_path):
    files, message = HOSTILE[case]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_collection(tmp_path)


def test_a_directory_that_does_not_exist(tmp_path):
    assert not is_collection(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no such directory"):
        load_collection(tmp_path / "nowhere")
