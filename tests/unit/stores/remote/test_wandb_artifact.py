from pathlib import Path

import pytest

from repdrift.core.errors import StorageError
from repdrift.stores.remote import open_remote, pull, push, wandb_artifact
from repdrift.stores.remote.wandb_artifact import WandbRemote
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


def test_switched_off_client_takes_the_files_and_it_is_said_that_nothing_was_sent(sets, tmp_path, monkeypatch):
    """With the real client, which finds out later than `push` that it is switched off."""
    monkeypatch.setattr(wandb_artifact, "_mode", lambda _wandb: "online")
    for name, value in {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "WANDB_SILENT": "true", "WANDB_CACHE_DIR": str(tmp_path / "cache"),
                        "WANDB_DATA_DIR": str(tmp_path / "data")}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageError, match="nothing was sent"):
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
    require_equal(sets, tmp_path / "here")
