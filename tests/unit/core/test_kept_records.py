"""Records that are kept in memory: read again as soon as their file is another one, and never else."""

import os
import subprocess
import sys
import time

import pytest

from repdrift.core.errors import DataError
from repdrift.core.records.base import Record
from repdrift.core.records.kept_records import read_kept

WRITER = """
import sys, time
from pathlib import Path
from repdrift.core.records.base import Record

class Small(Record):
    count: int

for count in range(100, 400):
    Small(count=count).write(Path(sys.argv[1]))
    if count % 50 == 0:
        time.sleep(0.15)
"""


class Small(Record):
    count: int


class Other(Record):
    count: float


@pytest.fixture
def reads(monkeypatch):
    """The paths of the records that were read from the disk."""
    found, read = [], Record.read.__func__

    def counted(kind, path):
        found.append(path)
        return read(kind, path)

    monkeypatch.setattr(Record, "read", classmethod(counted))
    return found


def settled(path, count):
    """A record whose file changed some time ago."""
    Small(count=count).write(path)
    time.sleep(0.12)
    return path


def test_a_file_that_stays_is_read_once_for_each_kind(tmp_path, reads):
    path = settled(tmp_path / "a.json", 3)
    assert [read_kept(Small, path).count for _ in range(5)] == [3] * 5
    assert reads == [path]
    assert isinstance(read_kept(Other, path).count, float)
    assert len(reads) == 2


def test_a_file_that_changed_just_now_is_not_kept(tmp_path, reads):
    path = tmp_path / "a.json"
    Small(count=3).write(path)
    assert [read_kept(Small, path).count for _ in range(3)] == [3] * 3
    assert len(reads) >= 2


def test_a_file_of_the_same_size_and_time_is_told_from_the_one_before(tmp_path):
    path = settled(tmp_path / "a.json", 3)
    before = path.stat()
    assert read_kept(Small, path).count == 3
    Small(count=4).write(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert read_kept(Small, path).count == 4
    text = path.read_text()
    time.sleep(0.12)
    assert read_kept(Small, path).count == 4
    path.write_text(text.replace("4", "5", 1))  # in its place, and not by us
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DataError, match="changed or damaged"):
        read_kept(Small, path)
    path.unlink()
    with pytest.raises(DataError, match="does not exist"):
        read_kept(Small, path)


def test_a_record_that_another_process_replaces_again_and_again_is_never_older_than_what_was_seen(tmp_path, reads):
    path = settled(tmp_path / "a.json", 99)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
    seen, looks = [], 0
    while writer.poll() is None:
        seen.append(read_kept(Small, path).count)
        looks += 1
    assert writer.returncode == 0
    assert seen == sorted(seen)
    assert read_kept(Small, path).count == 399
    assert len(set(seen)) > 3
    assert len(reads) < looks, "what stayed was kept"
