import errno
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sidkit._files import atomic_directory, atomic_path, sha256_of, write_bytes, write_text


def test_a_file_is_whole_or_as_before(tmp_path):
    path = tmp_path / "new" / "file.txt"
    write_text(path, "first")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_text("half of the sec")
        raise KeyboardInterrupt
    assert path.read_text() == "first"
    write_bytes(path, b"second")
    assert path.read_text() == "second"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_is_whole_or_as_before(tmp_path):
    folder = tmp_path / "new" / "folder"
    with atomic_directory(folder) as temporary:
        (temporary / "a").write_text("first")
    with pytest.raises(KeyboardInterrupt), atomic_directory(folder) as temporary:
        (temporary / "b").write_text("half")
        raise KeyboardInterrupt
    assert [path.name for path in folder.iterdir()] == ["a"]
    with atomic_directory(folder) as temporary:
        (temporary / "c").write_text("second")
    assert [path.name for path in folder.iterdir()] == ["c"]
    assert list(folder.parent.iterdir()) == [folder]


def test_the_digest_of_a_file(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_a_full_disk_is_told_in_one_way(tmp_path):
    path = tmp_path / "file.txt"
    for writer in (OSError(28, "no room"), ValueError("I/O error: No space left on device (os error 28)")):
        with (
            pytest.raises(OSError, match=r"No space left on device: '.*file\.txt'") as caught,
            atomic_path(path),
        ):
            raise writer
        assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


def test_what_went_wrong_elsewhere_stays_as_it_is(tmp_path):
    for error in (FileNotFoundError(2, "gone", "another.txt"), ValueError("no number")):
        with pytest.raises(type(error)) as caught, atomic_path(tmp_path / "file.txt"):
            raise error
        assert caught.value is error


def test_a_device_is_written_to_and_stays_one():
    write_bytes(os.devnull, b"content")
    assert not Path(os.devnull).is_file()


def test_a_pipe_gets_the_content(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_bytes)
        write_bytes(pipe, b"content")
        assert read.result() == b"content"
    assert [each.name for each in tmp_path.iterdir()] == ["pipe"]
