"""Opens a remote by its address. Each kind of remote has a file, which registers the scheme of its addresses."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from repdrift.core.errors import ConfigError
from repdrift.core.hidden_secrets import remember_secrets
from repdrift.core.registry import Registry
from repdrift.stores.remote.shared_folders import Sent, SharedFolder


@dataclass(frozen=True)
class StoredFile:
    """One file of a store, as its listing has it."""

    nbytes: int | None
    """Its size; None if the store does not tell."""
    mark: str | None
    """A text that changes whenever another content is written, such as an ETag; None if the store gives none."""


LARGEST_RECORD_BYTES = 128 << 20
"""The largest file that is read into memory: no record is larger."""
Moved = Callable[[int], None]
"""Takes the number of bytes that moved since the last call."""


class Remote(Protocol):
    """A store elsewhere that holds files under relative names with forward slashes."""

    address: str

    def files(self, below: str = "") -> dict[str, StoredFile]:
        """All files there, by name, sorted; or those in the folder `below`, by their whole names. Raises MissingRunError if there is none."""
        ...

    def read(self, name: str) -> bytes:
        """The content of one small file. Raises MissingRunError if it is not there."""
        ...

    def fetch(self, name: str, target: Path, moved: Moved) -> None:
        """Copy one file to `target`. May run on several threads at once."""
        ...

    def require_sending(self) -> None:
        """Raises StorageError if what is sent would not arrive, before anything is said to be sent."""
        ...

    def send(self, folders: Sequence[SharedFolder], *, jobs: int, resend: bool) -> Sent:
        """Copy what is missing or differs there, so that a folder never looks complete before it is.

        jobs: files that move at the same time. resend: send every file, whatever lies there.
        """
        ...


_SCHEMES: Registry[Callable[[str], Remote]] = Registry("remote", "repdrift.stores.remote")
_AWS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_GOOGLE = "GOOGLE_APPLICATION_CREDENTIALS"
_AZURE = "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
_KEYS = {"s3": _AWS, "s3a": _AWS, "gs": _GOOGLE, "gcs": _GOOGLE, "abfs": _AZURE, "abfss": _AZURE, "az": _AZURE}
"""Where stores with buckets take their keys from, by scheme."""
_CONTAINERS = ("abfs", "abfss", "az")
"""Schemes whose addresses may begin with container@account."""
_CHAIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*::")
_WITH_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
ANY_OTHER_SCHEME = "*"
"""A remote registered under this name gets the addresses whose scheme no other remote has."""


def register(scheme: str, opens: Callable[[str], Remote]) -> None:
    """Register the function that opens addresses `scheme://...`."""
    _SCHEMES.add(scheme, opens)


def open_remote(address: str) -> Remote:
    """Open the remote at `address`: `wandb://entity/project/artifact[:alias]`, or any address that fsspec understands.

    Such an address is a folder, s3://bucket/path, gs://, memory://, ... Raises ConfigError if it is empty or malformed.
    """
    remember_secrets(address)
    if not address.strip():
        raise ConfigError("give a remote: a folder, a URL such as s3://bucket/path, or wandb://entity/project/artifact")
    scheme = address.split("://", 1)[0].lower()
    return _SCHEMES.get(scheme if scheme in _SCHEMES else ANY_OTHER_SCHEME)(address)


def require_address(address: str) -> None:
    """Raises ConfigError for an address of a wrong form. Nothing is opened, and nobody is asked."""
    remember_secrets(address)
    checked_address(address)
    if address.lower().startswith("wandb://"):
        open_remote(address)  # which only reads the address


def checked_address(address: str) -> tuple[str, str]:
    """Returns the scheme of an address, and the address with the scheme in small letters; the scheme of a folder is "file".

    Raises ConfigError for an address that cannot stand for a folder of files: chained to another, with a query or a
    fragment, or with keys in front of a bucket, which no library would take from there.
    """
    if chain := _CHAIN.match(address):
        raise ConfigError(
            f"{address} is chained: what is between could hand out files of another time. Name the store itself, without {chain[0]}"
        )
    found = _WITH_SCHEME.fullmatch(address)
    if found is None or found["scheme"].lower() in ("file", "local"):
        return "file", address
    scheme, rest = found["scheme"].lower(), found["rest"]
    bucket = rest.split("/", 1)[0]
    if scheme in _KEYS and not bucket.strip():
        raise ConfigError(f"{address} names no bucket: give {scheme}://bucket/path")
    if (
        scheme in _KEYS
        and ("@" in bucket or (":" in bucket and not bucket.startswith("arn:")))
        and not (scheme in _CONTAINERS and ":" not in rest.rpartition("@")[0])
    ):
        raise ConfigError(
            f"{address} holds keys in front of the bucket, where they are not used and others can read them. "
            f"Leave them out, and set {_KEYS[scheme]} in the environment."
        )
    if "?" in rest or "#" in rest:
        raise ConfigError(
            f"{address} has a query or a fragment, behind which no file can be named. Give the address of the folder alone, and "
            "what gives access in the environment."
        )
    return scheme, f"{scheme}://{rest}"
