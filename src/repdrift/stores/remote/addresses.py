"""Opens a remote by its address. Each kind of remote has a file, which registers the scheme of its addresses."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from repdrift.core.errors import ConfigError
from repdrift.core.hidden_secrets import remember_secrets
from repdrift.core.registry import Registry


class Remote(Protocol):
    """A store elsewhere that holds files under relative names with forward slashes."""

    address: str

    def names(self) -> list[str]:
        """The names of all files there, sorted. Raises MissingRunError if there is nothing at the address."""
        ...

    def fetch(self, name: str, target: Path) -> None:
        """Copy one file to `target`."""
        ...

    def require_sending(self) -> None:
        """Raises StorageError if what is sent would not arrive, before anything is said to be sent."""
        ...

    def send(self, files: Sequence[tuple[str, Path]]) -> None:
        """Copy files, each (name there, path here), in this order."""
        ...

    def remove(self, name: str) -> None:
        """Remove one file, if it is there, before files that belong with it are replaced."""
        ...

    def matches(self, name: str, path: Path) -> bool:
        """Tell whether the file is there with the same content, as far as can be known without a transfer."""
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
