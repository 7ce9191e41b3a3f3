"""Checksums inside of files, temporary files, and directories that are replaced."""

import numpy as np
import polars as pl
import pytest
import safetensors.numpy

from sidkit._files import UNSEALED, atomic_directory, atomic_path, check_seal, remove_temporaries, seal
from sidkit._tables import read_parquet, write_parquet
from sidkit.errors import FormatError


@pytest.fixture(params=["parquet", "safetensors"])
def sealed(request, tmp_path):
    """A sealed file of either format."""
    path = tmp_path / f"file.{request.param}"
    if request.param == "parquet":
        write_parquet(pl.DataFrame({"a": [1, 2, 3]}), path, {"more": "metadata"})
    else:
        safetensors.numpy.save_file({"a": np.arange(3)}, path, UNSEALED)
        seal(path)
    return path


def test_every_flipped_bit_is_found_or_harmless(sealed):
    check_seal(sealed)
    data = sealed.read_bytes()
    accepted = 0
    for place in range(8, len(data) - 8):  # the lengths and marks of the formats are checked by their readers
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        sealed.write_bytes(changed)
        try:
            check_seal(sealed)
        except FormatError:
            continue
        accepted += 1
    assert accepted <= 2


def test_files_without_a_checksum_are_read(tmp_path):
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "a.parquet")
    assert read_parquet(tmp_path / "a.parquet")["a"].to_list() == [1]
    (tmp_path / "empty").write_bytes(b"")
    check_seal(tmp_path / "empty")


def test_a_killed_process_leaves_temporaries_that_are_recognized(tmp_path):
    kept = [".config-settings.json", ".lock", "a.tmp-file", ".my.tmp-notes.txt"]
    for name in kept:
        (tmp_path / name).write_text("mine")
    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "stages.json") as temporary:
        left = tmp_path / "models" / temporary.name
        left.parent.mkdir()
        left.write_text("half")
        raise KeyboardInterrupt
    with atomic_directory(tmp_path / "made") as temporary:
        half = tmp_path / temporary.name.replace("made", "other")
        half.mkdir()
        (half / "file").write_text("half")
    remove_temporaries(tmp_path)
    assert not left.exists()
    assert not half.exists()
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == sorted(kept)


def test_a_directory_is_replaced_as_a_whole(tmp_path, monkeypatch):
    for exchanges in (True, False):
        if not exchanges:
            monkeypatch.setattr("sidkit._files._exchange", lambda one, other: False)
        target = tmp_path / f"made{exchanges}"
        for content in ("old", "new"):
            with atomic_directory(target) as temporary:
                (temporary / content).write_text(content)
        assert [each.name for each in target.iterdir()] == ["new"]
        with pytest.raises(KeyboardInterrupt), atomic_directory(target) as temporary:
            (temporary / "newer").write_text("half")
            raise KeyboardInterrupt
        assert [each.name for each in target.iterdir()] == ["new"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["madeFalse", "madeTrue"]
