import os
import shutil
from pathlib import Path

import pytest
import torch

from repdrift.core.errors import CorruptSetError, MissingRunError, StorageError, UnfinishedSetError
from repdrift.stores import RepresentationSetWriter, open_set, verify_set
from repdrift.stores.remote import Sent, open_remote, pull, push, push_folders, shared_folders
from repdrift.stores.remote.addresses import StoredFile
from tests.unit.stores.small_sets import fields, require_equal


def test_push_and_pull_bring_back_the_same_bytes(sets, address, tmp_path):
    assert push(sets, open_remote(address)) == [
        "mrpc/identity",
        "mrpc/step_000000",
        "sst2/identity",
        "sst2/step_000000",
    ]
    pull(open_remote(address), tmp_path / "here")
    require_equal(sets, tmp_path / "here")


def test_only_the_wanted_task_is_fetched_and_an_unknown_one_is_named(sets, address, tmp_path):
    push(sets, open_remote(address))
    pull(open_remote(address), tmp_path / "here", only=["mrpc"])
    assert sorted(p.name for p in (tmp_path / "here").iterdir()) == ["mrpc"]
    with pytest.raises(MissingRunError, match="holds nothing for rte; it has: mrpc, sst2"):
        pull(open_remote(address), tmp_path / "here", only=["rte"])


def test_interrupted_pull_is_unfinished_and_goes_on_where_it_stopped(sets, address, tmp_path, monkeypatch):
    push(sets, open_remote(address))
    remote = open_remote(address)
    fetched = []
    fetch = remote.fetch

    def breaks(name, target, moved):
        if name.endswith("layer_1.pt") and not fetched.count("broke"):
            fetched.append("broke")
            raise StorageError("connection lost")
        fetched.append(name)
        fetch(name, target, moved)

    monkeypatch.setattr(remote, "fetch", breaks)
    with pytest.raises(StorageError, match="connection lost"):
        pull(remote, tmp_path / "here", only=["sst2"])
    first = tmp_path / "here/sst2/identity"
    with pytest.raises(UnfinishedSetError):
        open_set(first)
    assert not list(first.glob(".*.*")), "no temporary file is left"
    fetched[:] = ["broke"]
    pull(remote, tmp_path / "here", only=["sst2"])
    assert "sst2/identity/layer_0.pt" not in fetched, "what had arrived is not fetched again"
    assert verify_set(first) == []


def test_damaged_copy_is_refused_and_never_looks_complete(sets, tmp_path):
    push(sets, open_remote(str(tmp_path / "remote")))
    victim = tmp_path / "remote/sst2/step_000000/layer_0.pt"
    data = bytearray(victim.read_bytes())
    data[-3] ^= 1
    victim.write_bytes(bytes(data))
    with pytest.raises(CorruptSetError, match=r"sst2/step_000000/layer_0\.pt .* expected"):
        pull(open_remote(str(tmp_path / "remote")), tmp_path / "here", only=["sst2"])
    with pytest.raises(UnfinishedSetError):
        open_set(tmp_path / "here/sst2/step_000000")


def test_faulty_set_is_not_sent(sets, tmp_path):
    faulty = Path(shutil.copytree(sets, tmp_path / "faulty"))
    (faulty / "sst2/identity/metadata.json").unlink()
    with pytest.raises(CorruptSetError, match="not sent"):
        push(faulty, open_remote(str(tmp_path / "remote")))
    assert not (tmp_path / "remote").exists()


def test_unfinished_extraction_is_neither_sent_nor_pulled_over(sets, tmp_path):
    push(sets, open_remote(str(tmp_path / "remote")))
    unfinished = tmp_path / "here/sst2/identity"
    with RepresentationSetWriter(unfinished, key="k2", layers=[0, 1], n_rows=6) as writer:
        writer.write_layer(0, torch.randn(6, 4))
    with pytest.raises(StorageError, match=r"sst2/identity holds an unfinished extraction: it is not replaced.*delete"):
        pull(open_remote(str(tmp_path / "remote")), tmp_path / "here")
    assert (unfinished / ".partial/layer_0.pt").is_file()
    with pytest.raises(CorruptSetError, match="0 of 1 batches are written"):
        push(tmp_path / "here", open_remote(str(tmp_path / "elsewhere")))


def test_second_push_sends_nothing_new(sets, address, monkeypatch):
    push(sets, open_remote(address))
    remote = open_remote(address)
    for name in ("put", "put_content", "remove"):
        monkeypatch.setattr(remote, name, lambda *_: pytest.fail("something was sent"))
    assert push_folders(shared_folders(sets), remote) == Sent(0, 0)


def test_remote_cannot_write_outside_the_output_folder(sets, tmp_path):
    push(sets, open_remote(str(tmp_path / "remote")))

    class Hostile:
        address = "hostile"

        def files(self):
            return {"../../outside/metadata.json": StoredFile(10, "a")}

    with pytest.raises(CorruptSetError, match="names a folder"):
        pull(Hostile(), tmp_path / "here")  # pyright: ignore[reportArgumentType] - a part of a remote
    assert not (tmp_path.parent / "outside").exists()


def test_pulled_set_has_no_file_of_the_set_that_it_replaces(sets, tmp_path):
    push(sets, open_remote(str(tmp_path / "remote")))
    folder = tmp_path / "here/sst2/identity"
    with RepresentationSetWriter(folder, key="old", layers=[0, 1, 5], n_rows=6, payload="safetensors") as writer:
        for layer in (0, 1, 5):
            writer.write_layer(layer, torch.randn(6, 4))
        writer.write_adapter(5, {"query": torch.ones(2, 4)}, {"query": torch.ones(4, 2)})
        writer.finish(**{name: value for name, value in fields().items() if name not in ("key", "layers")})
    (folder / "notes.txt").write_text("mine")
    pull(open_remote(str(tmp_path / "remote")), tmp_path / "here")
    assert [str(fault) for fault in verify_set(folder)] == [
        f"{folder}/notes.txt: is not part of the set. Move it out of the folder."
    ]
    (folder / "notes.txt").unlink()
    require_equal(sets, tmp_path / "here")


def test_push_that_broke_off_does_not_leave_the_old_set_looking_whole(sets, s3_server, tmp_path, monkeypatch):
    """Two sets of one name and size are pushed in turn; the second push breaks off, and the first set is pushed again."""
    monkeypatch.setattr("repdrift.stores.remote.sending._READ_BACK_AT_MOST_BYTES", 0)
    address = f"{s3_server}/{tmp_path.name}"
    other = Path(shutil.copytree(sets, tmp_path / "other"))
    shutil.rmtree(other / "mrpc/identity")
    with RepresentationSetWriter(other / "mrpc/identity", key="k2", layers=[0, 1], n_rows=6) as writer:
        for layer in (0, 1):
            writer.write_layer(layer, torch.randn(6, 4))
        writer.finish(**{**fields(task="mrpc"), "key": "k2"})
    push(sets, open_remote(address))
    remote = open_remote(address)
    put = remote.put
    puts = []

    def breaks(path, name, moved):
        puts.append(name)
        if len(puts) > 1:
            raise StorageError("connection lost")
        return put(path, name, moved)

    monkeypatch.setattr(remote, "put", breaks)
    with pytest.raises(StorageError, match="connection lost"):
        push(other, remote)
    push(sets, open_remote(address))
    pull(open_remote(address), tmp_path / "here")
    require_equal(sets, tmp_path / "here")


def test_a_bucket_that_does_not_exist_is_said_and_not_made(sets, s3_server, tmp_path):
    import boto3

    with pytest.raises(StorageError, match=r"'drfit' does not exist, and none is made by a push\. Make it first"):
        push(sets, open_remote("s3://drfit/sets"))
    assert [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]] == ["drift"]
    with pytest.raises(MissingRunError, match="the bucket does not exist"):
        pull(open_remote("s3://drfit/sets"), tmp_path / "here")


def test_a_store_that_refuses_says_a_next_step(sets, s3_server, monkeypatch):
    remote = open_remote("s3://drift/refused")
    for error, step in (
        (PermissionError("Access Denied"), "Check the credentials"),
        (ConnectionRefusedError(111, "Connection refused"), "Check the network"),
        (TimeoutError("timed out"), "Check the network"),
        (ValueError("AuthorizationHeaderMalformed: the region 'a' is wrong"), "Set AWS_DEFAULT_REGION"),
        (NotImplementedError(), "choose another"),
    ):

        def refuse(*_, error=error, **__):
            raise error

        monkeypatch.setattr(remote._files, "put_file", refuse)  # pyright: ignore[reportAttributeAccessIssue]
        with pytest.raises(StorageError, match=step):
            push(sets, remote)


def test_a_server_that_is_not_there_is_no_empty_folder(tmp_path):
    with pytest.raises(StorageError, match="Check the network"):
        pull(open_remote("http://127.0.0.1:9/sets"), tmp_path)


@pytest.mark.parametrize("name", ["layer_1.pt", "metadata.json", ".sent.json"])
def test_a_pipe_in_a_folder_is_no_file_and_is_not_waited_for(sets, tmp_path, name):
    address = str(tmp_path / "remote")
    push(sets / "mrpc/identity", open_remote(address))
    path = tmp_path / "remote" / name
    path.unlink()
    os.mkfifo(path)
    if name != ".sent.json":
        with pytest.raises(CorruptSetError, match="Push that folder"):
            pull(open_remote(address), tmp_path / "here")
    push(sets / "mrpc/identity", open_remote(address))
    pull(open_remote(address), tmp_path / "here")
    require_equal(sets / "mrpc/identity", tmp_path / "here")
