"""The version of repdrift: that of the tag which its installed package was built from."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("repdrift")
except PackageNotFoundError:  # the source folder on the path, and nothing installed
    __version__ = "0+not.installed"
