"""Which library versions made a file."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

_REPORTED = ("repdrift", "torch", "transformers", "peft", "tokenizers", "numpy")


def library_versions() -> dict[str, str]:
    """Versions of the libraries that can change a number, by package name; absent ones are left out."""
    found: dict[str, str] = {}
    for package in _REPORTED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
