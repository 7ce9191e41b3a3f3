import os
import random

import pytest

from sidkit.errors import FormatError
from sidkit.serve.live.journal import Journal

RECORDS = [b"first", b"a" * 1000, b"\x00" * 50, b"last"]
HEADER, FRAME = 8, 12


def written(path, records=RECORDS):
    journal = Journal(path)
    with journal.writing():
        for record in records:
            journal.append(record)
    journal.close()
    return path / "journal.bin"


def replayed(path):
    journal = Journal(path)
    found = journal.read()
    journal.close()
    return found


def test_records_come_back_in_order(tmp_path):
    written(tmp_path)
    assert replayed(tmp_path) == RECORDS


def test_each_process_reads_the_records_of_the_others(tmp_path):
    one, other = Journal(tmp_path), Journal(tmp_path)
    with one.writing():
        one.append(b"a")
    assert other.behind() and other.read() == [b"a"] and not other.behind()
    with other.writing():
        other.append(b"b")
    assert one.behind() and one.read() == [b"b"]


def test_a_record_is_on_the_disk_before_append_returns(tmp_path):
    flushed = []
    journal = Journal(tmp_path, sync=lambda file: flushed.append(os.fstat(file).st_size))
    with journal.writing():
        journal.append(b"payload")
    assert flushed[-1] == (tmp_path / "journal.bin").stat().st_size


@pytest.mark.parametrize("cut", range(1, FRAME + len(RECORDS[-1])))
def test_a_torn_last_record_is_dropped_wherever_it_ends(tmp_path, cut):
    file = written(tmp_path)
    os.truncate(file, file.stat().st_size - cut)
    assert replayed(tmp_path) == RECORDS[:-1]
    journal = Journal(tmp_path)
    with journal.writing():
        assert journal.read() == RECORDS[:-1]
        journal.append(b"next")
    assert replayed(tmp_path) == [*RECORDS[:-1], b"next"]


def test_zeros_at_the_end_are_a_torn_record(tmp_path):
    file = written(tmp_path)
    with file.open("ab") as handle:
        handle.write(b"\0" * 300)
    assert replayed(tmp_path) == RECORDS


def test_damage_before_the_last_record_names_its_offset(tmp_path):
    data = bytearray(written(tmp_path).read_bytes())
    last = len(data) - FRAME - len(RECORDS[-1])
    starts = [HEADER]
    for record in RECORDS[:-1]:
        starts.append(starts[-1] + FRAME + len(record))
    for place in random.Random(0).sample(range(HEADER, last), 60):
        damaged = bytearray(data)
        damaged[place] ^= 0x40
        (tmp_path / "journal.bin").write_bytes(damaged)
        start = max(each for each in starts if each <= place)
        with pytest.raises(FormatError, match=rf"a record at offset {start}\b"):
            replayed(tmp_path)


@pytest.mark.parametrize("content", [b"PAR1 is another file", b"SIDKITJ\x02", b"SIDX"])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "journal.bin").write_bytes(content)
    with pytest.raises(FormatError, match="is not a journal: expected"):
        Journal(tmp_path)


@pytest.mark.parametrize("length", range(HEADER))
def test_a_torn_header_is_written_again(tmp_path, length):
    file = written(tmp_path, [])
    os.truncate(file, length)
    assert replayed(tmp_path) == []
    assert file.stat().st_size == HEADER


def test_after_a_failed_flush_nothing_more_is_acknowledged(tmp_path):
    def fail(file):
        if broken:
            raise OSError(5, "the disk failed")

    broken = []
    journal = Journal(tmp_path, sync=fail)
    with journal.writing():
        journal.append(b"good")
        broken.append(True)
        with pytest.raises(OSError, match="the disk failed"):
            journal.append(b"lost")
        broken.clear()
        with pytest.raises(OSError, match="failed before"):
            journal.append(b"more")


def test_sizes_of_records(tmp_path):
    journal = Journal(tmp_path)
    with journal.writing(), pytest.raises(ValueError, match="expected 1 to"):
        journal.append(b"")
