"""Registries: names to objects, where every module of a package folder registers the objects that it defines."""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

from repdrift.core.errors import UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """Names to objects, filled by importing every module of one package.

    A new entry needs only a new file. The modules of the package are imported once, at the first look-up, in the order of
    their names; private modules (leading underscore) are not.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._entries: dict[str, T] = {}
        self._discovered = False
        self._discovering = threading.RLock()
        self._is_importing = False

    def add(self, name: str, entry: T) -> T:
        """Register `entry` and return it. Raises ValueError for a second entry of that name, which is a programming error."""
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._entries[name] = entry
        return entry

    def get(self, name: str) -> T:
        """Look `name` up. Raises UnknownNameError, which suggests the nearest known name."""
        self._discover()
        if name not in self._entries:
            raise UnknownNameError.of(self.kind, name, self.names())
        return self._entries[name]

    def names(self) -> list[str]:
        """Every registered name, in the order of registration."""
        self._discover()
        return list(self._entries)

    def __iter__(self) -> Iterator[T]:
        self._discover()
        return iter(list(self._entries.values()))

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._entries

    def _discover(self) -> None:
        if self._discovered:
            return
        with self._discovering:
            # A module of the package that looks up while it is imported sees what there is.
            if self._discovered or self._is_importing:
                return
            self._is_importing = True
            try:
                package = importlib.import_module(self._package)
                for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
                    if not module.name.startswith("_"):
                        importlib.import_module(f"{self._package}.{module.name}")
                self._discovered = True
            finally:
                self._is_importing = False
