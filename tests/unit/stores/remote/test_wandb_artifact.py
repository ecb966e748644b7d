import shutil
from pathlib import Path

import pytest

from repdrift.core.errors import ConfigError, CorruptSetError, MissingRunError, StorageError
from repdrift.stores.remote import open_remote, pull, push, store_faults, wandb_artifact
from repdrift.stores.remote.wandb_artifact import WandbRemote
from tests.unit.stores.remote.conftest import write_small_set
from tests.unit.stores.remote.wandb_service import Service
from tests.unit.stores.small_sets import require_equal


@pytest.mark.parametrize(
    "variables", [{"WANDB_MODE": mode} for mode in ("disabled", "offline", "dryrun")] + [{"WANDB_DISABLED": "true"}]
)
def test_push_while_wandb_is_switched_off_is_an_error(variables, sets, monkeypatch, capsys):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        StorageError, match=r"nothing was sent to wandb://team/drift/base:latest.*switched off.*WANDB_MODE=online"
    ):
        push(sets, open_remote("wandb://team/drift/base"))
    assert "sending" not in capsys.readouterr().err


def test_switched_off_client_takes_the_files_and_it_is_said_that_nothing_was_sent(sets, monkeypatch, offline_wandb):
    """With the real client, which finds out later than `push` that it is switched off."""
    monkeypatch.setattr(wandb_artifact, "wandb_mode", lambda _wandb: "online")
    monkeypatch.setattr(WandbRemote, "_open", lambda *_: None)  # there is no service to ask
    with pytest.raises(StorageError, match="nothing was sent"):
        push(sets, open_remote("wandb://team/drift/base_representations"))
    runs = list(offline_wandb.glob("offline-run-*"))
    assert len(runs) == 1
    assert next(runs[0].glob("*.wandb")).stat().st_size > 0


ADDRESS = "wandb://team/drift/base_representations"


@pytest.fixture
def service(monkeypatch, tmp_path):
    """The service is replaced at the boundary of its client."""
    for name in ("WANDB_MODE", "WANDB_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    for name in ("WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    stand_in = Service()
    monkeypatch.setattr(wandb_artifact, "_wandb", lambda: stand_in)
    return stand_in


def test_wandb_artifact_is_pushed_pulled_and_verified(sets, service, tmp_path):
    push(sets, open_remote(ADDRESS))
    assert len(service.versions) == 1
    pull(open_remote(f"{ADDRESS}:v0"), tmp_path / "here")
    require_equal(sets, tmp_path / "here")
    assert not list((tmp_path / "wandb_cache_dir").rglob("*.pt")), "the client's cache holds no second copy"


def test_a_version_has_the_files_of_the_one_before_and_only_what_differs_is_sent(sets, service, tmp_path):
    push(sets / "sst2", open_remote(ADDRESS))
    push(sets / "sst2", open_remote(ADDRESS))
    assert len(service.versions) == 1, "nothing differs: no version is made"
    service.uploaded.clear()
    push(sets, open_remote(ADDRESS))
    assert len(service.versions) == 2
    names = service.versions[1].manifest.entries
    assert {"identity/metadata.json", "sst2/identity/metadata.json", "mrpc/identity/metadata.json"} <= set(names)
    changed = Path(shutil.copytree(sets, tmp_path / "changed"))
    write_small_set(changed / "sst2/identity", key="k2")
    service.uploaded.clear()
    push(changed, open_remote(ADDRESS))
    assert set(service.uploaded) == {
        "sst2/identity/layer_0.pt",
        "sst2/identity/layer_1.pt",
        "sst2/identity/metadata.json",
    }


def test_a_version_that_another_push_made_meanwhile_is_taken_over(sets, service):
    push(sets / "sst2", open_remote(ADDRESS))
    service.before_logging.append(lambda: push(sets / "mrpc/identity", open_remote(ADDRESS)))
    push(sets, open_remote(ADDRESS))
    latest = service.versions[service.aliases["latest"]].manifest.entries
    assert {"identity/metadata.json", "metadata.json", "mrpc/identity/metadata.json"} <= set(latest)
    assert len(service.versions) == 4


def test_a_reference_in_a_manifest_is_not_followed(sets, service, tmp_path):
    push(sets, open_remote(ADDRESS))
    entry = service.versions[0].manifest.entries["sst2/identity/layer_0.pt"]
    entry.ref = f"file://{tmp_path}/private"
    with pytest.raises(CorruptSetError, match="as a reference to another place, which is not followed"):
        pull(open_remote(ADDRESS), tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_content_that_is_not_what_the_metadata_says_is_refused(sets, service, tmp_path):
    push(sets, open_remote(ADDRESS))
    digest = service.versions[0].manifest.entries["sst2/identity/layer_0.pt"].digest
    service.contents[digest] = service.contents[digest][:-1] + b"x"
    with pytest.raises(CorruptSetError, match=r"sst2/identity/layer_0\.pt .* expected"):
        pull(open_remote(ADDRESS), tmp_path / "here")
    assert not (tmp_path / "here/sst2/identity/metadata.json").exists()
    assert [fault.name for fault in store_faults(open_remote(ADDRESS))[1]] == ["sst2/identity/layer_0.pt"]


def test_a_service_that_is_gone_is_one_message_without_the_key(sets, service, tmp_path):
    push(sets, open_remote(ADDRESS))
    remote = open_remote(ADDRESS)
    remote.files()
    service.is_gone = True
    with pytest.raises(StorageError, match="no route to the service"):
        pull(remote, tmp_path / "here")
    write_small_set(tmp_path / "new/rte/identity", key="k3")
    with pytest.raises(StorageError, match="cannot send to") as refused:
        push(tmp_path / "new", remote)
    assert "0123456789abcdef" not in f"{refused.value!r} {refused.value.__cause__!r}"


def test_a_version_is_not_pushed_to(sets, service):
    with pytest.raises(ConfigError, match="is one version, which never changes"):
        push(sets, open_remote(f"{ADDRESS}:v0"))
    with pytest.raises(MissingRunError, match="nothing at wandb://team/drift/base_representations:best"):
        pull(open_remote(f"{ADDRESS}:best"), Path("unused"))
