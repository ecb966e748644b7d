"""Bytes of a text file to text: packed files, byte order marks, encodings; every error names the byte and the line."""

from __future__ import annotations

import codecs
import zlib
from importlib import import_module
from pathlib import Path

from repdrift.core.errors import ConfigError, DataError
from repdrift.core.reading import reading_errors

_PACKERS = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}
PACKED = tuple(_PACKERS)
"""Endings of packed files that are read as they are."""

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
POINTER_OF_LFS = b"version https://git-lfs.github.com/spec/"
POINTER_SAID = "is a pointer of Git LFS, and the data it points to were not fetched: run `git lfs pull` in its folder."
_MANY_NULS = 0.1
"""Share of NUL bytes above which a file is taken for UTF-16: of English text in UTF-16 they are half."""


def decoded(path: Path, encoding: str | None) -> str:
    """Read a text file, unpacked if its ending says that it is packed.

    encoding: None: what the byte order mark says, else UTF-8. Raises DataError if the bytes are in another encoding, with
    the byte and its line, or the file cannot be unpacked; ConfigError for an unknown encoding.
    """
    content = _unpacked(path)
    mark, found = next(((m, name) for m, name in _MARKS if content.startswith(m)), (b"", "utf-8"))
    if content.startswith(POINTER_OF_LFS):
        raise DataError(f"data file {path} {POINTER_SAID}")
    if encoding is not None:
        _require_meant(path, content, encoding, mark, found)
    if encoding is None and not mark and content.count(0) > _MANY_NULS * len(content):
        raise DataError(f"data file {path} is not UTF-8 text: it is full of NUL bytes, as UTF-16 is. {_REMEDY}")
    if encoding is None:
        content, encoding = content[len(mark) :], found
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"data file {path} is not {encoding.upper()} text: byte 0x{content[error.start]:02x} in line {line} (byte {error.start} of the "
            f"file). {_REMEDY}"
        ) from error
    except (LookupError, ValueError) as error:
        raise ConfigError(
            f"the encoding {encoding!r} is not known; examples: utf-8, utf-16, cp1252 (Western Windows), latin-1"
        ) from error
    return text.removeprefix("\ufeff").removesuffix("\x1a")  # the end of a file in DOS


_REMEDY = (
    "Save it as UTF-8, or name its encoding: --encoding on the command line, `encoding:` in the task's entry of a study "
    "(cp1252 for Western Windows, latin-1, utf-16-le, gb18030, shift_jis, ...)."
)


def _require_meant(path: Path, content: bytes, encoding: str, mark: bytes, found: str) -> None:
    """Raises ConfigError if a file is surely in another encoding than the one that was asked for, and would be read all the same."""
    try:
        asked = codecs.lookup(encoding)
        one_byte_each = len(bytes(range(128, 256)).decode(encoding, "ignore")) > 100  # of those with two, at most 64
    except (LookupError, ValueError):
        return  # said where it is decoded
    family = found.rsplit("-", 1)[0] if found != "utf-8" else "utf-8-sig"
    if mark and asked.name not in (found, family):
        there = found
    elif one_byte_each and not content.isascii() and _is_utf_8(content):
        there = "utf-8"
    else:
        return
    raise ConfigError(
        f"data file {path} is {there.upper()} text, and would be read wrongly as {encoding!r}. Leave the encoding out, or name the right one."
    )


def _is_utf_8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def lines_of(text: str) -> list[str]:
    """Split a text into lines. A line ends at \\n, \\r\\n or \\r, and at no other character; the last may lack its end."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _unpacked(path: Path) -> bytes:
    packer = _PACKERS.get(path.suffix.lower())
    with reading_errors(path):
        content = path.read_bytes()
    if packer is None:
        return content
    module = import_module(packer)
    try:
        return module.decompress(content)
    except (OSError, EOFError, ValueError, zlib.error, getattr(module, "LZMAError", EOFError)) as error:
        raise DataError(
            f"data file {path} cannot be unpacked: {error}. Is it complete? Copy or pack it again."
        ) from error
