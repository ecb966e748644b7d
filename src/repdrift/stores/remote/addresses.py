"""Opens a remote by its address. Each kind of remote has a file, which registers the scheme of its addresses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from repdrift.core.errors import ConfigError
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
ANY_OTHER_SCHEME = "*"
"""A remote registered under this name gets the addresses whose scheme no other remote has."""


def register(scheme: str, opens: Callable[[str], Remote]) -> None:
    """Register the function that opens addresses `scheme://...`."""
    _SCHEMES.add(scheme, opens)


def open_remote(address: str) -> Remote:
    """Open the remote at `address`: `wandb://entity/project/artifact[:alias]`, or any address that fsspec understands.

    Such an address is a folder, s3://bucket/path, gs://, memory://, ... Raises ConfigError if it is empty or malformed.
    """
    if not address.strip():
        raise ConfigError("give a remote: a folder, a URL such as s3://bucket/path, or wandb://entity/project/artifact")
    scheme = address.split("://", 1)[0]
    return _SCHEMES.get(scheme if scheme in _SCHEMES else ANY_OTHER_SCHEME)(address)
