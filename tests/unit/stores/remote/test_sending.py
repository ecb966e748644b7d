"""A push that ends anywhere: it never looks complete, it goes on where it was, and two at once leave one whole folder."""

import itertools
import json
import shutil
import threading
from pathlib import Path

import pytest

from repdrift.core.errors import CorruptSetError, MissingRunError, StorageError
from repdrift.stores.remote import (
    Sent,
    listed_folders,
    open_remote,
    pull,
    push,
    push_folders,
    sending,
    shared_folders,
    store_faults,
)
from repdrift.stores.remote.s3_etag import s3_etag
from tests.unit.stores.remote.breaking_stores import Killed, dying_at, writes_of
from tests.unit.stores.remote.conftest import write_small_set
from tests.unit.stores.small_sets import contents

_numbers = itertools.count()


@pytest.fixture
def memory():
    """An empty place in memory, whose files are not whole from the start."""
    return f"memory://sending{next(_numbers)}"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(sending, "_WAIT_S", 0.02)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Two sets of one name and size with other content, which no test changes."""
    root = tmp_path_factory.mktemp("small")
    for version in ("old", "new"):
        write_small_set(root / version / "mrpc/identity", key=version)
    return root


def pulled(address, folder):
    """What a pull brings, by name; None if it is refused."""
    try:
        pull(open_remote(address), folder)
    except (CorruptSetError, MissingRunError):
        return None
    finally:
        found = contents(folder) if folder.exists() else {}
        shutil.rmtree(folder, ignore_errors=True)
    return found


@pytest.mark.parametrize("half_a_file", [False, True])
@pytest.mark.parametrize("is_there", [False, True], ids=["nothing there", "another set there"])
def test_a_push_killed_anywhere_never_looks_complete_and_is_finished_by_the_next(
    small, memory, tmp_path, is_there, half_a_file
):
    old, new = contents(small / "old"), contents(small / "new")
    for number in itertools.count():
        address = f"{memory}/{number}"
        if is_there:
            push(small / "old", open_remote(address))
        try:
            push(small / "new", dying_at(address, number, half_a_file=half_a_file), jobs=1)
        except Killed:
            assert pulled(address, tmp_path / "here") in ((None, old) if is_there else (None,))
            push(small / "new", open_remote(address))
            assert pulled(address, tmp_path / "here") == new
            continue
        break
    assert number >= 5, "it died at every write"


def test_what_arrived_before_an_error_is_not_sent_again(sets, s3_server, tmp_path, monkeypatch):
    """Without reading back, and without ETags of contents, as of a bucket that encrypts."""
    monkeypatch.setattr(sending, "_READ_BACK_AT_MOST_BYTES", 0)
    address = f"{s3_server}/{tmp_path.name}"

    def breaks(count, _name, path):
        if path is not None and count >= 4:
            raise StorageError("connection lost")

    def store():
        remote = open_remote(address)
        monkeypatch.setattr(remote, "mark_of", lambda _: None)
        monkeypatch.setattr(remote, "mark_of_content", lambda _: None)
        return remote

    with pytest.raises(StorageError, match="connection lost"):
        push(sets / "mrpc/identity", writes_of(store(), breaks), jobs=1)
    assert [row.problem for row in listed_folders(open_remote(address))] == ["a push broke off, or is under way"]
    sent = []
    push(sets / "mrpc/identity", writes_of(store(), lambda _count, _name, path: sent.append(path) if path else None))
    assert len(sent) == 2, "three had arrived"


def test_files_are_told_by_their_etags_where_there_is_no_list(sets, s3_server, tmp_path, monkeypatch):
    monkeypatch.setattr(sending, "_READ_BACK_AT_MOST_BYTES", 0)
    address = f"{s3_server}/{tmp_path.name}"
    push(sets, open_remote(address))
    for name in open_remote(address).files():
        if name.endswith(".sent.json"):
            open_remote(address).remove(name)  # pyright: ignore
    assert push_folders(shared_folders(sets), open_remote(address)) == Sent()


def test_the_etag_of_a_file_in_parts_is_that_of_s3(s3_server, tmp_path, monkeypatch):
    monkeypatch.setattr("repdrift.stores.remote.s3_etag._PART_BYTES", 5 << 20)
    remote = open_remote(f"{s3_server}/{tmp_path.name}")
    for size in (0, 1000, (10 << 20) - 1, 11 << 20):
        path = tmp_path / f"{size}.bin"
        path.write_bytes(bytes(range(250)) * (size // 250) + b"x" * (size % 250))
        stored = remote.put(path, path.name, lambda _: None)  # pyright: ignore
        assert stored.mark == s3_etag(path), size
        assert stored.nbytes == size
    assert stored.mark.endswith("-3")


@pytest.mark.parametrize("kind", ["memory", "s3", "folder"])
def test_two_pushes_at_once_leave_one_whole_set(small, memory, kind, tmp_path, request):
    """Another push comes, from its begin to its end, before each write of the first."""
    place = {"memory": memory, "folder": str(tmp_path / "store")}.get(
        kind
    ) or f"{request.getfixturevalue('s3_server')}/{tmp_path.name}"
    points = range(7) if kind == "s3" else itertools.count()
    for number in points:
        address = f"{place}/{number}"
        came = []

        def other(count, _name, _path, number=number, address=address, came=came):
            if count == number and not came:
                came.append(True)
                push(small / "old", open_remote(address))

        push(small / "new", writes_of(open_remote(address), other), jobs=1)
        assert store_faults(open_remote(address)) == (1, []), number
        assert pulled(address, tmp_path / "here") == contents(small / "new"), number
        if not came:
            break


def test_pushes_on_threads_leave_one_whole_set(small, tmp_path):
    address = str(tmp_path / "store")

    for _ in range(3):
        failed = []

        def send(version, failed=failed):
            try:
                push(small / version, open_remote(address))
            except StorageError as error:
                failed.append(error)

        threads = [threading.Thread(target=send, args=(version,)) for version in ("old", "new")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert store_faults(open_remote(address)) == (1, [])


def test_a_file_that_changes_while_it_is_sent_is_not_complete_there(small, memory, tmp_path):
    folder = Path(shutil.copytree(small / "new", tmp_path / "new"))

    def change(_count, name, path):
        if path is not None and name.endswith("layer_1.pt"):
            path.write_bytes(path.read_bytes() + b"x")

    with pytest.raises(StorageError, match=r"layer_1\.pt was changed while it was sent"):
        push(folder, writes_of(open_remote(memory), change))
    assert pulled(memory, tmp_path / "here") is None


def test_a_store_that_goes_away_half_way_says_so_and_keeps_what_arrived(small, memory, tmp_path, monkeypatch):
    remote = open_remote(memory)
    put = remote._files.put_file  # pyright: ignore
    calls = []

    def gone(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise ConnectionResetError(104, "Connection reset by peer")
        return put(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(remote._files, "put_file", gone)  # pyright: ignore
        with pytest.raises(StorageError, match="Connection reset by peer.*Check the network"):
            push(small / "new", remote, jobs=1)
    assert pulled(memory, tmp_path / "here") is None
    assert push_folders(shared_folders(small / "new"), open_remote(memory)).files == 2, "one layer and the head"


def test_what_an_old_set_had_and_the_new_one_has_not_is_removed(small, memory, tmp_path):
    folder = tmp_path / "longer/mrpc/identity"
    write_small_set(folder, key="longer", layers=(0, 1, 7))
    push(tmp_path / "longer", open_remote(memory))
    push(small / "new", open_remote(memory))
    assert "mrpc/identity/layer_7.pt" not in open_remote(memory).files()


def test_a_damaged_file_there_is_found_and_sent_again(sets, s3_server, tmp_path):
    address = f"{s3_server}/{tmp_path.name}"
    push(sets, open_remote(address))
    remote = open_remote(address)
    remote.put_content("sst2/identity/layer_0.pt", b"x" * remote.files()["sst2/identity/layer_0.pt"].nbytes)  # pyright: ignore
    (fault,) = store_faults(open_remote(address))[1]
    assert (fault.name, fault.problem[:20]) == ("sst2/identity/layer_0.pt", "changed or truncated")
    assert push_folders(shared_folders(sets), open_remote(address)).files == 2, "the file, and the head after it"
    assert store_faults(open_remote(address)) == (4, [])
    assert push_folders(shared_folders(sets), open_remote(address), resend=True).files == 24


def test_a_damaged_list_of_what_was_sent_costs_time_only(small, memory, tmp_path):
    push(small / "new", open_remote(memory))
    open_remote(memory).put_content("mrpc/identity/.sent.json", b"{")  # pyright: ignore
    push(small / "new", open_remote(memory))
    assert pulled(memory, tmp_path / "here") == contents(small / "new")


def test_a_list_of_files_names_what_was_sent(small, memory):
    push(small / "new", open_remote(memory))
    listed = json.loads(open_remote(memory).read("mrpc/identity/.sent.json"))
    assert set(listed["files"]) == {"layer_0.pt", "layer_1.pt"}
