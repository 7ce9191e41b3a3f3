"""Damaged trie files that are trusted, and files with another encoding of a trie."""

import numpy as np
import pytest
from tests.campaign.trie_files import EXTREMES, originals, queries

from sidkit import LiveTrie, SidLayout, Trie
from sidkit.errors import FormatError, InternalError, SidkitError


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return originals(tmp_path_factory.mktemp("tries") / "trie")


def test_trusted_files_cause_wrong_answers_or_errors(files, tmp_path):
    rng = np.random.default_rng(7)
    path = tmp_path / "trie"
    failed = 0
    for whole in files:
        for _ in range(10):
            data = bytearray(whole)
            at = int(rng.integers(96, len(data) // 8 * 8)) // 8 * 8
            data[at : at + 8] = EXTREMES[rng.integers(len(EXTREMES))].to_bytes(8, "little")
            path.write_bytes(data)
            try:
                trie = Trie.open(path, trusted=True)
            except FormatError:
                continue
            for query in queries(trie):
                try:
                    query()
                except SidkitError as error:
                    assert not isinstance(error, InternalError)
                    failed += 1
    assert failed


def test_the_message_names_the_cause(tmp_path):
    path = tmp_path / "trie"
    layout = SidLayout([300, 300])
    Trie.build(np.arange(30, dtype=np.uint64), layout).save(path)
    data = bytearray(path.read_bytes())
    column = data.index(np.arange(30, dtype=np.uint16).tobytes())
    data[column : column + 60] = b"\xff" * 60
    path.write_bytes(data)
    with pytest.raises(FormatError, match="checksum"):
        Trie.open(path)
    trie = Trie.open(path, trusted=True)
    with pytest.raises(FormatError, match=r"its content is damaged: .* Open it without `trusted`"):
        trie.allowed(trie.step(trie.start(1), np.array([0])))
    with pytest.raises(FormatError, match="a token is out of range"):
        LiveTrie(trie)


def test_a_trie_has_one_encoding(files, tmp_path):
    for number, whole in enumerate(files):
        path = tmp_path / str(number)
        path.write_bytes(whole)
        trie = Trie.open(path)
        trie.save(path)
        assert path.read_bytes() == whole
