"""Copies in a Weights & Biases artifact. One artifact holds the folders of many pushes."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from repdrift.core.errors import (
    ConfigError,
    CorruptSetError,
    MissingDependencyError,
    MissingRunError,
    RepdriftError,
    StorageError,
)
from repdrift.core.fingerprint import open_regular
from repdrift.core.hidden_secrets import cause_without_secrets
from repdrift.core.progress import say
from repdrift.core.reading import reading_errors
from repdrift.stores.remote.addresses import LARGEST_RECORD_BYTES, Moved, StoredFile, register
from repdrift.stores.remote.file_names import joined
from repdrift.stores.remote.moving import nothing_shown
from repdrift.stores.remote.shared_folders import Sent, SharedFile, SharedFolder

_ADDRESS = re.compile(r"wandb://(?P<entity>[\w.-]+)/(?P<project>[\w.-]+)/(?P<artifact>[\w.-]+)(?::(?P<alias>[\w.-]+))?")
WANDB_OFF = ("disabled", "offline", "dryrun")
_VERSION = re.compile(r"v\d+")
_ATTEMPTS = 4
_READ_BYTES = 1 << 22
ARTIFACT_TYPE = "representations"


class WandbRemote:
    """The files of one artifact.

    Sending makes a new version, which is whole or not there at all; files that the version before it has are not sent again.
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

    def files(self, below: str = "") -> dict[str, StoredFile]:
        """All files of the artifact's version, or of a folder there, by name, sorted.

        Raises MissingRunError if there is no such version; CorruptSetError if an entry is a reference to somewhere else.
        """
        version = self._version()
        if version is None:
            raise MissingRunError(
                f"nothing at {self.address}. Check entity, project, artifact and alias, and `wandb login`."
            )
        listed = self._listed(version)
        if below and below != ".":
            listed = {name: file for name, file in listed.items() if name.startswith(f"{below}/")}
        return listed

    def _listed(self, version: Any) -> dict[str, StoredFile]:
        entries: dict[str, Any] = version.manifest.entries
        for name, entry in entries.items():
            if entry.ref is not None:  # the client would read any address, also files of this machine
                raise CorruptSetError(
                    f"{self.address} has {name!r} as a reference to another place, which is not followed. Push the files themselves."
                )
        return {name: StoredFile(entries[name].size, entries[name].digest) for name in sorted(entries)}

    def read(self, name: str) -> bytes:
        """The content of one small file."""
        with tempfile.TemporaryDirectory(prefix="repdrift-wandb-") as scratch:
            target = Path(scratch) / "content"
            if (size := self._entry(name).size) is not None and size > LARGEST_RECORD_BYTES:
                raise StorageError(f"{name} in {self.address} has {size:,} bytes: it is no record of repdrift")
            self.fetch(name, target, nothing_shown)
            with reading_errors(target, StorageError):
                return target.read_bytes()

    def fetch(self, name: str, target: Path, moved: Moved) -> None:
        """Download one file to `target`, past the client's cache."""
        entry = self._entry(name)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".wandb-") as scratch:
            try:
                path = Path(entry.download(root=scratch, skip_cache=True))
            except Exception as error:  # wandb's client raises its own kinds, from network to permissions
                raise StorageError(f"cannot fetch {name} from {self.address}: {error}") from cause_without_secrets(
                    error
                )
            with reading_errors(path, StorageError):
                moved(path.stat().st_size)
                path.replace(target)

    def _entry(self, name: str) -> Any:
        version = self._version()
        if version is None or name not in version.manifest.entries:
            raise MissingRunError(f"{self.address} has no file {name}")
        return version.get_entry(name)

    def require_sending(self) -> None:
        """Raises StorageError if W&B is switched off here: its client would then take the files and send nothing.

        Raises ConfigError for the address of one version, which never changes.
        """
        if _VERSION.fullmatch(self._alias):
            raise ConfigError(
                f"{self.address} is one version, which never changes; push to wandb://{self._entity}/{self._project}/{self._artifact}, which makes a new one"
            )
        mode = wandb_mode(_wandb())
        if mode in WANDB_OFF:
            raise self._not_sent(mode)

    def send(self, folders: Sequence[SharedFolder], *, jobs: int, resend: bool) -> Sent:
        """Log one new version with what is missing or differs, beside all that the version before it holds; wait until it is there.

        If another push made a version meanwhile, a further one holds the files of both. No version is made if nothing differs.
        Raises StorageError if it did not arrive.
        """
        del jobs  # the client sends several files at once by itself
        base = self._version()
        for retries in range(_ATTEMPTS):
            changes = _Changes.between(folders, {} if base is None or resend else self._listed(base))
            total = sum(len(folder.files) + 1 for folder in folders)
            say(
                f"sending {changes.n_files} of {total} files ({changes.nbytes / 1e6:,.1f} MB) of {len(folders)} folder(s) to {self.address}"
            )
            if not changes.n_files:
                return Sent(retries=retries)
            number = self._log(base, changes)
            before = -1 if base is None else _number(base)
            if number <= before + 1:
                self._opened = None
                return Sent(changes.n_files, changes.nbytes, retries)
            say(f"another push made version v{number - 1} of {self.address} at the same time: taking its files over")
            base = self._open(f"v{number - 1}")
        raise StorageError(
            f"{self.address}: others made versions during each of {_ATTEMPTS} attempts, and the latest may lack their files. Push one after the other."
        )

    def _log(self, base: Any, changes: _Changes) -> int:
        """Log a version that has the files of `base` with these changes; returns its number."""
        wandb = _wandb()
        try:
            with (
                tempfile.TemporaryDirectory(prefix="repdrift-wandb-") as scratch,
                wandb.init(entity=self._entity, project=self._project, job_type="push") as run,
            ):
                version = wandb.Artifact(self._artifact, type=ARTIFACT_TYPE) if base is None else base.new_draft()
                for number, (name, source) in enumerate(changes.sources.items()):
                    if isinstance(source, bytes):
                        path = Path(scratch) / str(number)
                        path.write_bytes(source)
                    else:
                        path = source.path
                    # `immutable`: the client would else copy every file into its cache first.
                    version.add_file(str(path), name=name, skip_cache=True, policy="immutable", overwrite=True)
                logged = run.log_artifact(version, aliases=list(dict.fromkeys(("latest", self._alias))))
                if run.disabled or run.offline:
                    raise self._not_sent("disabled" if run.disabled else "offline")
                logged.wait()
                for source in changes.sources.values():
                    if not isinstance(source, bytes):
                        source.require_unchanged()
                return _number(logged)
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

    def _version(self) -> Any:
        if self._opened is None:
            self._opened = self._open(self._alias)
        return self._opened

    def _open(self, alias: str) -> Any:
        """The version of that alias; None if the service says that there is none."""
        name = f"{self._entity}/{self._project}/{self._artifact}:{alias}"
        try:
            api = _wandb().Api()
            if not api.artifact_exists(name, type=ARTIFACT_TYPE):
                return None
            return api.artifact(name, type=ARTIFACT_TYPE)
        except RepdriftError:
            raise
        except Exception as error:  # many kinds; without a login a ValueError or a UsageError
            raise StorageError(
                f"cannot open {self.address}: {str(error).rstrip('.')}. Log in with `wandb login`, and check entity, project and artifact."
            ) from cause_without_secrets(error)


@dataclass(frozen=True)
class _Changes:
    """The files of a new version that the one before it has not: files on this machine, and heads of folders by their content."""

    sources: dict[str, SharedFile | bytes]

    @classmethod
    def between(cls, folders: Sequence[SharedFolder], there: Mapping[str, StoredFile]) -> _Changes:
        sources: dict[str, SharedFile | bytes] = {}
        for folder in folders:
            for file, source in folder.files.items():
                name = joined(folder.name, file)
                if (
                    name not in there
                    or there[name].nbytes != source.nbytes
                    or there[name].mark != _md5_of_file(source.path)
                ):
                    sources[name] = source
            head = joined(folder.name, folder.head)
            if head not in there or there[head].mark != _md5(folder.content):
                sources[head] = folder.content
        return cls(sources)

    @property
    def n_files(self) -> int:
        return len(self.sources)

    @property
    def nbytes(self) -> int:
        return sum(len(source) if isinstance(source, bytes) else source.nbytes for source in self.sources.values())


def _number(version: Any) -> int:
    return int(str(version.version).removeprefix("v"))


def _md5(content: bytes) -> str:
    """MD5 in base64, as W&B's manifests have it."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def _md5_of_file(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with reading_errors(path, StorageError), open_regular(path) as stream:
        while chunk := stream.read(_READ_BYTES):
            digest.update(chunk)
    return base64.b64encode(digest.digest()).decode()


def wandb_mode(wandb: Any) -> str:
    """Returns the mode of W&B's client, such as `online`: the environment's, or else that of its settings files."""
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
