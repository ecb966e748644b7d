"""Names of folders and files in a store: checked before one is made of them on this machine."""

from __future__ import annotations

import re

from repdrift.core.errors import CorruptSetError

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=,@-]*")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?|.*\.", re.IGNORECASE)
"""Names that Windows refuses."""
_LONGEST_PART = 200
_MOST_PARTS = 16


def is_plain_name(name: str) -> bool:
    """Tell whether a relative name can be used on every system, and leads nowhere but below its folder.

    No part is hidden, begins with a dot, is `..`, holds a backslash or a colon, or is a name that Windows reserves.
    """
    parts = name.split("/")
    return len(parts) <= _MOST_PARTS and all(
        len(part) <= _LONGEST_PART and _PART.fullmatch(part) and not _RESERVED.fullmatch(part) for part in parts
    )


def require_plain_folder(name: str, address: str) -> None:
    """Raises CorruptSetError if the name of a folder in a store could lead elsewhere. "." is the store's own folder."""
    if name != "." and not is_plain_name(name):
        raise CorruptSetError(
            f"{address} names a folder {name!r}: only letters, digits and '_', '.', '-', '+', '=', ',', '@' are taken in names, "
            "and none begins with a dot. Rename it there."
        )


def joined(folder: str, file: str) -> str:
    """The name of a file in a folder of a store."""
    return file if folder == "." else f"{folder}/{file}"
