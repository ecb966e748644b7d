"""Exported studies as archives: equal bytes for equal content, and nothing taken from an archive that was not checked."""

import json
import stat
import zipfile

import pytest

from repdrift.core.errors import DataError
from repdrift.core.records.export import MANIFEST_FILE, ExportManifest
from repdrift.sharing import archive_reading
from repdrift.sharing.archive_reading import open_export
from repdrift.sharing.archive_writing import listed_files, write_archive
from repdrift.sharing.checking import check_archive, check_unpacked

FILES = {"a.txt": b"first", "part/b.bin": bytes(range(256)) * 40}


def manifest(files=FILES):
    return ExportManifest(
        study="s", analysed="now", repdrift="0", sample_texts=False, files=listed_files(files), left_out=[]
    )


@pytest.fixture
def archive(tmp_path):
    write_archive(tmp_path / "a.zip", FILES, manifest())
    return tmp_path / "a.zip"


def _made(path, entries, listed=None):
    """An archive with these entries, (name or ZipInfo, content), and a manifest of `listed`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # zipfile warns of names that stand twice
        for name, content in entries:
            made.writestr(name, content)
        files = {name if isinstance(name, str) else name.filename: content for name, content in entries}
        made.writestr(MANIFEST_FILE, manifest(files if listed is None else listed).file_text())
    return path


def test_equal_files_give_equal_bytes_whatever_their_order(tmp_path, archive):
    write_archive(tmp_path / "b.zip", dict(reversed(FILES.items())), manifest())
    assert archive.read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(archive) as made:
        assert made.namelist() == ["a.txt", "part/b.bin", MANIFEST_FILE]
        assert {entry.date_time for entry in made.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_what_was_written_is_read_back_and_unpacked(tmp_path, archive):
    with open_export(archive) as opened:
        assert {name: opened.read(name) for name in opened.manifest.files} == FILES
        opened.unpack(tmp_path / "out", below="part/")
        assert [path.name for path in (tmp_path / "out").rglob("*.*")] == ["b.bin"]
        with pytest.raises(DataError, match=r"holds no other\.txt"):
            opened.read("other.txt")
    assert check_archive(archive).faults == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../out.txt", "leads out of the folder"),
        ("part/../../out.txt", "leads out of the folder"),
        ("/etc/out.txt", "leads out of the folder"),
        ("part//b.txt", "leads out of the folder"),
        ("folder/", "leads out of the folder"),
        ("C:out.txt", "a character in its name"),
        ("part\\out.txt", "a character in its name"),
        ("a\x1b[31m.txt", "a character in its name"),
        ("x" * 400, "400 characters"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, name, said):
    path = _made(tmp_path / "bad.zip", [(name, b"x")])
    with pytest.raises(DataError, match=said) as caught, open_export(path):
        pass
    assert "\x1b" not in str(caught.value)


def test_links_are_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(DataError, match="is a link"), open_export(_made(tmp_path / "bad.zip", [(link, b"/etc")])):
        pass


@pytest.mark.parametrize("again", ["a.txt", "A.TXT"])
def test_a_name_that_stands_twice_is_refused(tmp_path, again):
    path = _made(tmp_path / "bad.zip", [("a.txt", b"1"), (again, b"2")])
    with pytest.raises(DataError, match="stands in it twice"), open_export(path):
        pass


def test_a_file_below_a_file_is_refused(tmp_path):
    path = _made(tmp_path / "bad.zip", [("a", b"1"), ("a/b", b"2")])
    with pytest.raises(DataError, match="lies below another file"), open_export(path):
        pass


def test_bombs_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_reading, "MOST_BYTES", 1 << 20)
    path = _made(tmp_path / "bomb.zip", [("zeros", bytes(2 << 20))])
    with pytest.raises(DataError, match="would unpack to"), open_export(path):
        pass
    monkeypatch.setattr(archive_reading, "MOST_FILES", 3)
    path = _made(tmp_path / "many.zip", [(str(i), b"") for i in range(4)])
    with pytest.raises(DataError, match="holds 5 files"), open_export(path):
        pass


def test_a_size_that_is_not_true_is_found_before_more_is_read(tmp_path, archive):
    """The archive says that a file is smaller than what its bytes unpack to."""
    content = bytearray(archive.read_bytes())
    at = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1)  # the directory's entry of part/b.bin
    content[at + 24 : at + 28] = (100).to_bytes(4, "little")
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"b\.bin.* has 100 bytes, expected 10,240"), open_export(archive):
        pass


def test_files_that_the_manifest_does_not_name_are_refused(tmp_path):
    path = _made(tmp_path / "more.zip", [("a.txt", b"1"), ("b.txt", b"2")], listed={"a.txt": b"1"})
    with pytest.raises(DataError, match=r"b\.txt' is in the archive and not in its manifest"), open_export(path):
        pass
    path = _made(tmp_path / "fewer.zip", [("a.txt", b"1")], listed={"a.txt": b"1", "b.txt": b"2"})
    with pytest.raises(DataError, match=r"b\.txt' is in its manifest and not in the archive"), open_export(path):
        pass


def test_other_archives_are_no_exports(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as made:
        made.writestr("a.txt", "x")
    with pytest.raises(DataError, match=r"its last file should be export\.json, got 'a\.txt'"):
        check_archive(tmp_path / "other.zip")
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(DataError, match="is no zip archive"):
        check_archive(tmp_path / "text.zip")
    with pytest.raises(DataError, match="does not exist"):
        check_archive(tmp_path / "nothing.zip")


def test_a_manifest_that_was_changed_is_refused(tmp_path):
    said = json.loads(manifest().file_text())
    said["study"] = "another"
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as made:
        made.writestr(MANIFEST_FILE, json.dumps(said))
    with pytest.raises(DataError, match="changed or damaged"):
        check_archive(tmp_path / "x.zip")


def test_every_cut_and_every_changed_byte_is_found_or_changes_nothing(tmp_path, archive):
    whole = archive.read_bytes()
    for length in range(0, len(whole), 37):
        archive.write_bytes(whole[:length])
        with pytest.raises(DataError):
            check_archive(archive)
    for at in range(0, len(whole), 11):
        content = bytearray(whole)
        content[at] ^= 0x41
        archive.write_bytes(content)
        try:
            with open_export(archive) as opened:
                read = {name: opened.read(name) for name in opened.manifest.files}
        except DataError:
            continue
        assert read == FILES, at


def test_a_changed_file_is_named(tmp_path):
    path = _made(tmp_path / "x.zip", [("a.txt", b"one"), ("b.txt", b"two")], listed={"a.txt": b"one", "b.txt": b"owt"})
    (fault,) = check_archive(path).faults
    assert "b.txt is not the file that was exported" in fault


def test_an_unpacked_export_is_checked_file_by_file(tmp_path, archive):
    with zipfile.ZipFile(archive) as made:
        made.extractall(tmp_path / "out")
    assert check_unpacked(tmp_path / "out").faults == []
    (tmp_path / "out" / "a.txt").write_text("other")
    (tmp_path / "out" / "part" / "b.bin").unlink()
    faults = check_unpacked(tmp_path / "out").faults
    assert len(faults) == 2
    assert "a.txt was changed" in faults[0]
    assert "b.bin is in the manifest and not there" in faults[1]
