import subprocess
from pathlib import Path

import pytest
import torch

from repdrift.core.errors import ConfigError, CorruptSetError, MissingRunError, StorageError, UnfinishedSetError
from repdrift.stores import RepresentationSetWriter, open_set, verify_set
from repdrift.stores.remote import open_remote, pull, push
from repdrift.stores.remote.wandb_artifact import WandbRemote
from tests.unit.stores.small_sets import fields

ROOT = Path(__file__).parents[3]


@pytest.fixture
def sets(tmp_path):
    for task in ("sst2", "mrpc"):
        for name in ("step_000000", "identity"):
            with RepresentationSetWriter(tmp_path / "base" / task / name, key="k1", layers=[0, 1], n_rows=6) as writer:
                for layer in (0, 1):
                    writer.write_layer(layer, torch.randn(6, 4))
                writer.finish(**fields(task=task))
    return tmp_path / "base"


@pytest.fixture
def s3(monkeypatch):
    """An S3 server on loopback, with a bucket."""
    import boto3
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="drift")
    s3fs.S3FileSystem.clear_instance_cache()
    yield "s3://drift/base"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def _equal(a, b):
    files = sorted(p.relative_to(a) for p in a.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(b) for p in b.rglob("*") if p.is_file())
    assert all((a / f).read_bytes() == (b / f).read_bytes() for f in files)


@pytest.fixture(params=["folder", "s3"])
def address(request, tmp_path):
    return str(tmp_path / "remote") if request.param == "folder" else request.getfixturevalue("s3")


def test_push_and_pull_bring_back_the_same_bytes(sets, address, tmp_path):
    assert push(sets, open_remote(address)) == [
        "mrpc/identity",
        "mrpc/step_000000",
        "sst2/identity",
        "sst2/step_000000",
    ]
    pull(open_remote(address), tmp_path / "here")
    _equal(sets, tmp_path / "here")


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

    def breaks(name, target):
        if name.endswith("layer_1.pt") and not fetched.count("broke"):
            fetched.append("broke")
            raise StorageError("connection lost")
        fetched.append(name)
        fetch(name, target)

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
    (sets / "sst2/identity/metadata.json").unlink()
    with pytest.raises(CorruptSetError, match="not sent"):
        push(sets, open_remote(str(tmp_path / "remote")))
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
    sent = []
    monkeypatch.setattr(remote, "send", sent.extend)
    push(sets, remote)
    assert sent == []


def test_remote_cannot_write_outside_the_output_folder(sets, tmp_path):
    push(sets, open_remote(str(tmp_path / "remote")))

    class Hostile:
        address = "hostile"

        def names(self):
            return ["../../outside/metadata.json"]

    with pytest.raises(CorruptSetError, match="names a set"):
        pull(Hostile(), tmp_path / "here")
    assert not (tmp_path.parent / "outside").exists()


def test_addresses_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match="should be wandb://entity/project/artifact"):
        open_remote("wandb://only/two")
    with pytest.raises(ConfigError, match="give a remote"):
        open_remote(" ")
    with pytest.raises(MissingRunError, match="nothing at"):
        pull(open_remote("/nonexistent/place"), Path("unused"))


def test_wandb_push_works_offline_with_the_real_client(sets, tmp_path, monkeypatch):
    for name, value in {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "WANDB_SILENT": "true", "WANDB_CACHE_DIR": str(tmp_path / "cache"),
                        "WANDB_DATA_DIR": str(tmp_path / "data")}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    push(sets, open_remote("wandb://team/drift/base_representations"))
    runs = list((tmp_path / "wandb").glob("offline-run-*"))
    assert len(runs) == 1
    assert next(runs[0].glob("*.wandb")).stat().st_size > 0


def test_wandb_artifact_is_pulled_and_verified(sets, tmp_path):
    """The service is replaced at its boundary: the artifact object that the client's Api gives."""

    class Entry:
        def __init__(self, path):
            self.path = path

        def download(self, root):
            target = Path(root) / self.path.name
            target.write_bytes(self.path.read_bytes())
            return str(target)

    class Artifact:
        class manifest:  # noqa: N801
            entries = {p.relative_to(sets).as_posix(): None for p in sets.rglob("*") if p.is_file()}

        def get_entry(self, name):
            return Entry(sets / name)

    remote = WandbRemote.parse("wandb://team/drift/base_representations:v3")
    remote._opened = Artifact()
    pull(remote, tmp_path / "here")
    _equal(sets, tmp_path / "here")


def _download(*arguments, cwd, **environment):
    import os

    return subprocess.run(
        ["bash", ROOT / "scripts/download_base_representations.sh", *arguments],
        cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, "PYTHON": _python(), **environment},
    )  # fmt: skip


def _python():
    import sys

    return sys.executable


def test_download_script_brings_a_task_from_s3(sets, s3, tmp_path):
    push(sets, open_remote(s3))
    done = _download("--task", "mrpc", "--source", s3, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert verify_set(tmp_path / "base_representations/mrpc/step_000000") == []


def test_download_script_says_how_when_it_is_told_nothing(tmp_path):
    done = _download(cwd=tmp_path, WANDB_ENTITY="", WANDB_PROJECT="", REPDRIFT_BASE_SOURCE="")
    assert done.returncode == 2
    assert "--source URL" in done.stderr
    assert _download("--nonsense", cwd=tmp_path).returncode == 2
    assert "Usage" in _download("--help", cwd=tmp_path).stdout
