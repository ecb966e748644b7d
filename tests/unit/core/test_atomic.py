import errno
import shutil
from types import SimpleNamespace

import pytest

from repdrift.core.atomic import atomic_path, write_text
from repdrift.core.errors import StorageError


def test_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(KeyError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise KeyError("stop")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_is_a_storage_error_that_names_the_file(tmp_path):
    path = tmp_path / "file.txt"
    with pytest.raises(StorageError, match=r"no space left while writing .*file\.txt"), atomic_path(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("free", "kind"), [(100, StorageError), (10**12, RuntimeError)])
def test_error_of_a_writer_without_errno_is_judged_by_the_space_left(tmp_path, monkeypatch, free, kind):
    """torch says "unexpected pos", safetensors "I/O error": seen on a full tmpfs."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    with pytest.raises(kind), atomic_path(tmp_path / "layer_0.pt"):
        raise RuntimeError("unexpected pos 704 vs 598")
    assert not list(tmp_path.iterdir())


def test_folder_below_a_file_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((StorageError, FileExistsError)):
        write_text(tmp_path / "file" / "below.txt", "x")


def test_what_the_system_refuses_is_said_with_the_file_and_what_to_do(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, reason in (
        (tmp_path / "folder", "folder: Is a directory.*move it away"),
        (tmp_path / "file" / "x.json", "x.json: .*move it away"),
        (tmp_path / ("n" * 300), "File name too long.*Choose a shorter name"),
        (tmp_path / "loop" / "x.json", "x.json: .*(leads back to itself|move it away)"),
    ):
        with pytest.raises(StorageError, match=f"cannot write .*{reason}"):
            write_text(path, "{}")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder", "loop"]
