"""A collection of documents about topics, whose right answers are visible, and an encoder without weights."""

import re
import zlib

import numpy as np

from sidkit.search import Collection
from sidkit.search.dsi import TextVectors

TOPICS = 8
#: Words of the documents and of the queries of each topic; the two share none.
DOCUMENT_WORDS = [[f"d{topic}w{word}" for word in range(6)] for topic in range(TOPICS)]
QUERY_WORDS = [[f"q{topic}w{word}" for word in range(6)] for topic in range(TOPICS)]
DIM = 32


def encode_words(texts, **_):
    """The sum of a random vector for each word, of length 1."""
    vectors = [sum(map(_vector, re.findall(r"\w+", text.lower())), np.zeros(DIM)) for text in texts]
    lengths = [max(np.linalg.norm(each), 1e-9) for each in vectors]
    return np.array([each / length for each, length in zip(vectors, lengths, strict=True)], np.float32)


def encode_tokens(texts, model, max_tokens):
    """A random vector for each word."""
    values = np.zeros((len(texts), max_tokens, DIM), np.float16)
    words = [re.findall(r"\w+", text.lower())[:max_tokens] for text in texts]
    for row, each in enumerate(words):
        values[row, : len(each)] = [_vector(word) for word in each]
    return TextVectors(values, np.array([len(each) for each in words]))


def _vector(word):
    return np.random.default_rng(zlib.crc32(word.encode())).normal(size=DIM)


def topic_collection(documents=80, queries=120, seed=0, foreign=True):
    """Documents of topics in turn; all documents of its topic are relevant to a query.

    With `foreign`, the words of queries never occur in documents: only training connects them.
    """
    random = np.random.default_rng(seed)
    words = QUERY_WORDS if foreign else DOCUMENT_WORDS
    texts = [" ".join(random.choice(DOCUMENT_WORDS[row % TOPICS], 8)) for row in range(documents)]
    asked = [" ".join(random.choice(words[row % TOPICS], 3, replace=False)) for row in range(queries)]
    splits = ["train"] * (queries // 2) + ["dev"] * (queries // 4)
    splits += ["test"] * (queries - len(splits))
    pairs = [(q, d) for q in range(queries) for d in range(documents) if q % TOPICS == d % TOPICS]
    return Collection.from_frames(
        {
            "doc_id": [f"D{row}" for row in range(documents)],
            "title": [f"topic{row % TOPICS}" for row in range(documents)],
            "text": texts,
        },
        {"query_id": list(range(queries)), "text": asked, "split": splits},
        {
            "query_id": [q for q, _ in pairs],
            "doc_id": [f"D{d}" for _, d in pairs],
            "relevance": [1 + (d // TOPICS) % 2 for _, d in pairs],
        },
        name="topics",
    )
