import multiprocessing
import os
import signal

import pytest

from repdrift.core import temporary_file
from repdrift.core.atomic import atomic_path, write_text
from repdrift.core.temporary_file import temporary_beside


def write_and_wait(path, pipe):
    with atomic_path(path) as temporary:
        temporary.write_text("mine")
        pipe.send("begun")
        pipe.recv()


@pytest.fixture
def writer(tmp_path):
    """A process that is writing `file.txt`, and the pipe through which it is told to finish."""
    context = multiprocessing.get_context("spawn")
    pipe, other_end = context.Pipe()
    process = context.Process(target=write_and_wait, args=(tmp_path / "file.txt", other_end), daemon=True)
    process.start()
    assert pipe.poll(60)
    assert pipe.recv() == "begun"
    yield process, pipe
    process.kill()
    process.join()


def test_a_living_writer_keeps_its_file_and_a_killed_one_does_not(tmp_path, writer):
    process, _ = writer
    path = tmp_path / "file.txt"
    write_text(path, "other")
    (begun,) = tmp_path.glob(".file.txt.*.partial")
    assert begun.read_text() == "mine"
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    write_text(tmp_path / "file.txt.more", "of another name")
    write_text(tmp_path / "txt", "of another name")
    assert begun.exists()
    write_text(path, "third")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file.txt", "file.txt.more", "txt"]
    assert path.read_text() == "third"


def test_a_writer_ends_after_another_one_wrote_the_same_file(tmp_path, writer):
    process, pipe = writer
    write_text(tmp_path / "file.txt", "other")
    pipe.send("end")
    process.join()
    assert process.exitcode == 0
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("file.txt", "mine")]


def test_two_writers_of_one_process_keep_their_files(tmp_path):
    with atomic_path(tmp_path / "a") as first, atomic_path(tmp_path / "a") as second:
        first.write_text("1")
        second.write_text("2")
    assert (tmp_path / "a").read_text() == "1"


def test_only_files_that_such_a_writer_makes_are_removed(tmp_path):
    kept = [
        ".a.partial",
        ".a.12345678.partial.txt",
        ".a.b.12345678.partial",
        ".a.123456789.partial",
        "a.12345678.partial",
    ]
    for name in kept:
        (tmp_path / name).write_text("")
    (tmp_path / ".a.folder12.partial").mkdir()
    (tmp_path / ".a.linked12.partial").symlink_to(tmp_path / ".a.partial")
    os.mkfifo(tmp_path / ".a.pipe1234.partial")
    (tmp_path / ".a.12345678.partial").write_text("")
    write_text(tmp_path / "a", "x")
    left = {p.name for p in tmp_path.iterdir()}
    assert left >= {*kept, "a", ".a.folder12.partial", ".a.linked12.partial"}
    assert ".a.12345678.partial" not in left


def test_a_file_that_is_taken_away_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    lock, taken = temporary_file._lock, []

    def late(handle, *, wait):
        if wait and not taken:
            (name,) = tmp_path.glob(".a.*.partial")
            name.unlink()
            taken.append(name)
        return lock(handle, wait=wait)

    monkeypatch.setattr(temporary_file, "_lock", late)
    with temporary_beside(tmp_path / "a") as temporary:
        assert temporary.exists()
        assert temporary not in taken


def test_a_file_system_without_locks_keeps_every_file(tmp_path, monkeypatch):
    monkeypatch.setattr(temporary_file, "_lock", lambda *_, **__: False)
    (tmp_path / ".a.12345678.partial").write_text("")
    write_text(tmp_path / "a", "x")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".a.12345678.partial", "a"]
