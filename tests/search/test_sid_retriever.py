"""SidRetriever and Hybrid: the search without training, what training adds, weights."""

import numpy as np
import pytest
from tests.search.worlds import topic_collection

from sidkit.errors import ConfigError
from sidkit.search import BM25, Collection, Dense, Hybrid, SidRetriever
from sidkit.search.retrievers.hybrid import combined, standardized, weight_grid

FOREIGN = topic_collection()


def test_without_queries_it_is_a_tree_search_over_dense_vectors():
    documents = FOREIGN.documents
    retriever = SidRetriever(beam=1000).fit(documents)
    dense = Dense().fit(documents)
    texts = topic_collection(foreign=False).split("test").texts
    scores, exact = retriever.search(texts, 10)[1], dense.search(texts, 10)[1]
    assert scores == pytest.approx(exact, abs=1e-6)
    assert retriever.chosen_.tolist() == [0, 0, 0, 0]


def test_training_finds_what_words_do_not_say():
    test = FOREIGN.split("test")
    retriever = SidRetriever(epochs=10, batch_size=16, learning_rate=0.01, beam=8).fit(FOREIGN)
    before, after = Dense().fit(FOREIGN).evaluate(test), retriever.evaluate(test)
    assert after["ndcg@10"] > before["ndcg@10"] + 0.3
    share, epochs, start, chosen = retriever.chosen_
    assert share > 0 and epochs >= 2 and chosen > start


def test_held_out_queries_are_trained_on_in_the_end():
    queries = FOREIGN.queries.with_columns(split=FOREIGN.queries["split"].replace("validation", "train"))
    collection = Collection.from_frames(FOREIGN.documents, queries, FOREIGN.qrels)
    retriever = SidRetriever(epochs=6, batch_size=16, learning_rate=0.01).fit(collection)
    assert retriever.evaluate(FOREIGN.split("test"))["ndcg@10"] > 0.8


def test_training_that_does_not_help_is_left_out():
    """Random labels: the validation queries choose the search without training, or hardly any of it."""
    random = np.random.default_rng(0)
    qrels = FOREIGN.qrels.with_columns(doc_id=random.permutation(FOREIGN.qrels["doc_id"].to_numpy()))
    qrels = qrels.unique(["query_id", "doc_id"], maintain_order=True)
    world = topic_collection(foreign=False)
    mixed = Collection.from_frames(
        world.documents,
        world.queries,
        qrels.join(world.queries.filter(split="train"), on="query_id")
        .select(qrels.columns)
        .vstack(
            world.qrels.join(world.queries.filter(split="validation"), on="query_id").select(qrels.columns)
        ),
    )
    retriever = SidRetriever(epochs=4, batch_size=16, learning_rate=0.01).fit(mixed)
    assert retriever.chosen_[3] >= retriever.chosen_[2]


def test_semantic_ids_and_work():
    retriever = SidRetriever(levels=2, codebook_size=3, beam=1).fit(FOREIGN.documents)
    assert retriever.sids_[retriever.doc_ids_[0]].count("-") == 2  # two codes and a collision token
    assert retriever.sids_.sizes[:2] == (3, 3)
    assert 0 < retriever.work(["d1w1"]) < len(FOREIGN) + 6


def test_new_documents_inherit_the_offsets_of_their_prefix():
    retriever = SidRetriever(epochs=10, batch_size=16, learning_rate=0.01, beam=100).fit(FOREIGN)
    fresh = {"doc_id": [f"N{row}" for row in range(8)], "title": [""] * 8}
    fresh["text"] = [" ".join(f"d{row}w{word}" for word in (0, 2, 4)) for row in range(8)]
    retriever.add_documents(fresh)
    found = [retriever.search(f"q{row}w0 q{row}w1 q{row}w2", k=12)[0] for row in range(8)]
    # Half of them are far more than by chance; the rest depends on the last bits of the training.
    assert sum(f"N{row}" in ids for row, ids in enumerate(found)) >= 4


def test_weights_come_from_the_validation_queries():
    weak = topic_collection()  # words never match, so only the trained retriever is of use
    hybrid = Hybrid(retrievers=[BM25(), SidRetriever(epochs=10, batch_size=16, learning_rate=0.01)]).fit(weak)
    assert hybrid.weights_.sum() == pytest.approx(1) and hybrid.weights_[1] >= 0.5
    assert hybrid.evaluate(weak.split("test"))["ndcg@10"] > 0.8


def test_without_queries_weights_are_equal():
    assert Hybrid(retrievers=("bm25", "dense")).fit(FOREIGN.documents).weights_.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("given", [(), "bm25"])
def test_invalid_parts(given):
    with pytest.raises(ConfigError, match="`retrievers`"):
        Hybrid(retrievers=given).fit(FOREIGN)
    with pytest.raises(ConfigError, match="there is no retriever `bm52`"):
        Hybrid(retrievers=["bm52"]).fit(FOREIGN)


def test_combined_scores_by_hand():
    first = np.array([[0, 1, -1]], np.int32), np.array([[3, 1, -np.inf]], np.float32)
    second = np.array([[2, 1, 0]], np.int32), np.array([[2, 1, 0]], np.float32)
    third = 1.5**0.5
    rows, scores = combined([first, second], np.array([0.5, 0.5]), 4)
    # Standardized: 0 and 1 have 1 and -1 in the first list; 2, 1 and 0 have ±√1.5 and 0 in the second.
    assert rows.tolist() == [[2, 0, 1, -1]]
    assert scores[0, :3] == pytest.approx([0.5 * (third - 1), 0.5 * (1 - third), -0.5])


def test_standardized_rows():
    values = standardized(np.array([[1, 3, -np.inf], [2, 2, 2]], np.float32))
    assert values.tolist() == [[-1, 1, -np.inf], [0, 0, 0]]
    assert len(weight_grid(3)) == 66 and all(each.sum() == pytest.approx(1) for each in weight_grid(3))
