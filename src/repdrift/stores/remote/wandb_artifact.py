"""Copies in a Weights & Biases artifact. One artifact holds the sets of all tasks."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from repdrift.core.errors import ConfigError, MissingDependencyError, MissingRunError, RepdriftError, StorageError
from repdrift.core.hidden_secrets import cause_without_secrets
from repdrift.stores.remote.addresses import register

_ADDRESS = re.compile(r"wandb://(?P<entity>[\w.-]+)/(?P<project>[\w.-]+)/(?P<artifact>[\w.-]+)(?::(?P<alias>[\w.-]+))?")
_OFF = ("disabled", "offline", "dryrun")
ARTIFACT_TYPE = "representations"


class WandbRemote:
    """The files of one artifact.

    Sending makes a new version.
    """

    def __init__(self, entity: str, project: str, artifact: str, alias: str = "latest") -> None:
        self._entity, self._project, self._artifact, self._alias = entity, project, artifact, alias
        self.address = f"wandb://{entity}/{project}/{artifact}:{alias}"
        self._opened: Any = None

    @classmethod
    def parse(cls, address: str) -> Self:
        """Parse `wandb://entity/project/artifact[:alias]`. Raises ConfigError if the address has another form."""
        match = _ADDRESS.fullmatch(address)
        if match is None:
            raise ConfigError(
                f"{address!r} should be wandb://entity/project/artifact or wandb://entity/project/artifact:alias"
            )
        return cls(match["entity"], match["project"], match["artifact"], match["alias"] or "latest")

    def names(self) -> list[str]:
        """The names of all files of the artifact's version, sorted."""
        return sorted(self._version().manifest.entries)

    def fetch(self, name: str, target: Path) -> None:
        """Download one file to `target`."""
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".wandb-") as scratch:
            try:
                path = Path(self._version().get_entry(name).download(root=scratch))
            except KeyError as error:
                raise MissingRunError(f"{self.address} has no file {name}") from cause_without_secrets(error)
            except Exception as error:  # wandb's client raises its own kinds, from network to permissions
                raise StorageError(f"cannot fetch {name} from {self.address}: {error}") from cause_without_secrets(
                    error
                )
            path.replace(target)

    def require_sending(self) -> None:
        """Raises StorageError if W&B is switched off here: its client would then take the files and send nothing."""
        mode = _mode(_wandb())
        if mode in _OFF:
            raise self._not_sent(mode)

    def send(self, files: Sequence[tuple[str, Path]]) -> None:
        """Log one new version of the artifact that holds the files, and wait until it is there.

        Raises StorageError if it did not arrive.
        """
        wandb = _wandb()
        try:
            with wandb.init(entity=self._entity, project=self._project, job_type="push-representations") as run:
                version = wandb.Artifact(self._artifact, type=ARTIFACT_TYPE)
                for name, path in files:
                    version.add_file(str(path), name=name)
                logged = run.log_artifact(version)
                if run.disabled or run.offline:
                    raise self._not_sent("disabled" if run.disabled else "offline")
                logged.wait()
        except RepdriftError:
            raise
        except (
            Exception
        ) as error:  # wandb's own kinds, those of its transport, and ValueError if the service refused it
            raise StorageError(f"cannot send to {self.address}: {error}") from cause_without_secrets(error)

    def _not_sent(self, mode: str) -> StorageError:
        return StorageError(
            f"nothing was sent to {self.address}: Weights & Biases is switched off here (mode {mode!r}, from WANDB_MODE or "
            "`wandb offline`). Set WANDB_MODE=online, or `wandb online`, and push again."
        )

    def remove(self, name: str) -> None:
        """Do nothing: sending makes a new version, whole or not at all."""
        del name

    def matches(self, name: str, path: Path) -> bool:
        """Return False: a version must hold all its files. The service does not store the same content twice."""
        del name, path
        return False

    def _version(self) -> Any:
        if self._opened is None:
            wandb = _wandb()
            try:
                self._opened = wandb.Api().artifact(
                    f"{self._entity}/{self._project}/{self._artifact}:{self._alias}", type=ARTIFACT_TYPE
                )
            except Exception as error:  # many kinds; without a login a ValueError or a UsageError
                raise StorageError(
                    f"cannot open {self.address}: {error}. Log in with `wandb login`, and check entity, project and artifact."
                ) from cause_without_secrets(error)
        return self._opened


def _mode(wandb: Any) -> str:
    """The mode that W&B's client is in: the environment's, or else that of its settings files."""
    if os.environ.get("WANDB_DISABLED", "").lower() in ("1", "true", "yes"):
        return "disabled"
    return os.environ.get("WANDB_MODE") or wandb.setup().settings.mode


def _wandb() -> Any:
    try:
        import wandb
    except ImportError as error:
        raise MissingDependencyError.of("wandb", "wandb", "a Weights & Biases artifact") from error
    return wandb


register("wandb", WandbRemote.parse)
