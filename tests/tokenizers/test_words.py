"""Word codes: the contract, and that phrases are the items' own and distinct."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tests.contracts.tokenizer_contract import TokenizerContract, clustered

from sidkit.errors import ConfigError, DataError, FormatError, NotFittedError
from sidkit.ids import SidTable, Trie
from sidkit.tokenizers import WordTokenizer, load_tokenizer
from sidkit.tokenizers.parts.phrases import distinct_phrases, vocabulary, words_of


def described(x):
    """Texts that say in which half of each dimension a vector is, and which one it is."""
    halves = x > np.median(x, axis=0)
    return [
        " ".join(f"{'high' if half else 'low'}{at}" for at, half in enumerate(row[:6])) + f" number{number}"
        for number, row in enumerate(halves)
    ]


class TestWordTokenizerContract(TokenizerContract):
    loses = 1e-9

    def make(self, **settings):
        return WordTokenizer(3, 8, **settings)

    def inputs(self, x):
        return {"texts": described(x)}

    def test_decode_is_nearer_than_the_mean(self, fitted, x):
        decoded = fitted.decode(fitted.encode(x))
        assert np.square((x - decoded) / x.std(axis=0)).mean() < 0.9

    def test_a_constant_dimension_survives(self, x):
        x = x.copy()
        x[:, 3] = 7.25
        tokenizer = self.learn(self.make(), x)
        np.testing.assert_allclose(tokenizer.decode(tokenizer.encode(x))[:, 3], 7.25, rtol=1e-4)

    test_fewer_vectors_than_codes = None
    test_a_failed_fit_leaves_the_old_state = None


CATALOGUE = [
    "Red lipstick > makeup",
    "Red lipstick > makeup > matte",
    "Blue mascara > makeup",
    "Shampoo for dry hair > hair",
    "Shampoo for oily hair > hair",
    "Shampoo for oily hair > hair",
    "",
]


@pytest.fixture
def shop():
    x = np.random.default_rng(0).normal(size=(len(CATALOGUE), 4))
    return x, WordTokenizer(3).fit(x, texts=CATALOGUE)


def test_phrases_are_words_of_the_item_and_distinct(shop):
    x, tokenizer = shop
    phrases = tokenizer.phrases(tokenizer.encode(x))
    for phrase, text in zip(phrases, CATALOGUE, strict=True):
        assert set(phrase.split()) <= set(words_of(text))
    assert len(set(phrases)) == len(CATALOGUE)
    assert phrases[-1] == ""
    assert len(phrases[0].split()) == 3


def test_common_words_come_first(shop):
    x, tokenizer = shop
    places = {word: place for place, word in enumerate(tokenizer.vocabulary_)}
    for phrase in tokenizer.phrases(tokenizer.encode(x)):
        found = [places[word] for word in phrase.split()]
        assert found == sorted(found)


def test_the_last_word_gives_way_first():
    words = ["aa", "bb", "cc", "dd"]
    texts = ["aa aa aa bb bb cc", "aa aa aa bb bb cc", "aa aa aa bb bb cc", "aa aa aa bb bb cc", "dd"]
    found = distinct_phrases(texts, words, 2)
    assert found == [(0, 1), (0, 2), (1, 2), (0,), (3,)]


@given(st.lists(st.text("abc ", max_size=12), max_size=12), st.integers(1, 3))
def test_no_text_shares_a_phrase_while_it_can_make_another(texts, length):
    words = vocabulary(texts, 100)
    phrases = distinct_phrases(texts, words, length)
    for row, (text, phrase) in enumerate(zip(texts, phrases, strict=True)):
        own = {words.index(word) for word in words_of(text)}
        assert set(phrase) <= own
        assert len(phrase) == len(set(phrase)) <= length
        assert bool(own) == bool(phrase)
        if len(own) <= 5 and phrase in phrases[:row] and phrase:
            subsets = sum(1 for other in set(map(frozenset, phrases[:row])) if other <= own and other)
            assert subsets == sum(1 for size in range(1, length + 1) for _ in combinations(own, size))


def test_tables_and_tries_take_them(shop):
    x, tokenizer = shop
    codes = tokenizer.encode(x)
    table = SidTable.from_codes(codes, list(range(len(x))), tokenizer.codebook_sizes)
    trie = Trie.build(table)
    assert len(trie) == len(x)
    wide = WordTokenizer(10, 4096).fit(
        x, texts=[f"{text} {' '.join(f'w{k}{n}' for n in range(900))}" for k, text in enumerate(CATALOGUE)]
    )
    assert wide.codebook_sizes == (4096,) * 10
    table = SidTable.from_codes(wide.encode(x), list(range(len(x))), wide.codebook_sizes)
    assert sum(table.layout.bits) == 120
    assert table.packed.shape == (len(x), 2)


def test_invalid_arguments(shop, tmp_path):
    x, tokenizer = shop
    with pytest.raises(
        DataError, match=r"texts are missing: expected one per vector, got None. Call fit\(x, texts="
    ):
        WordTokenizer().fit(x)
    with pytest.raises(DataError, match="expected 7 texts, one per vector, got 6"):
        WordTokenizer().fit(x, texts=CATALOGUE[1:])
    with pytest.raises(DataError, match="expected words of two or more letters, got none in 7 texts"):
        WordTokenizer().fit(x, texts=["!"] * 7)
    with pytest.raises(
        ConfigError, match=r"`codebook_size` of words is invalid: expected an integer in 2\.\.65536, got 1"
    ):
        WordTokenizer(codebook_size=1)
    with pytest.raises(NotFittedError, match="this WordTokenizer is not fitted"):
        WordTokenizer().phrases([[0]])
    with pytest.raises(DataError, match="codes are invalid: expected integers"):
        tokenizer.phrases([[9999]])
    path = tmp_path / "words.safetensors"
    tokenizer.save(path)
    assert load_tokenizer(path).vocabulary_ == tokenizer.vocabulary_
    arrays = load_file(path)
    with safe_open(path, "numpy") as file:
        metadata = {key: text for key, text in file.metadata().items() if key != "checksum"}
    save_file(arrays | {"vocabulary": np.array([255], np.uint8)}, path, metadata)
    with pytest.raises(FormatError, match="`vocabulary` is invalid: expected UTF-8 text"):
        load_tokenizer(path)


def test_new_items_have_the_phrase_of_the_nearest():
    x = clustered(rows=30)
    tokenizer = WordTokenizer(3).fit(x, texts=described(x))
    assert (tokenizer.encode(x * np.float32(1.0001)) == tokenizer.encode(x)).all()
