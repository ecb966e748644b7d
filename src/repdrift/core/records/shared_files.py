"""The lists of files that a store keeps beside what it holds: of run folders and results, and of the files that a push has sent."""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record

SHARED_FILES = "store_files.json"
"""In a store, in the folder of a run or of results, sent last: a folder there without it is not complete."""
SENT_FILES = ".sent.json"
"""In a store, in every folder: what the last push sent, from which a push that was stopped goes on."""
SharedKind = Literal["set", "run", "results"]


class SharedFiles(Record):
    """The files of a run folder or of results in a store. Sets have their `metadata.json` in its place."""

    format_version: Literal[1] = 1
    kind: SharedKind
    files: dict[str, str]
    """SHA-256 of every file, by path below the folder."""
    file_sizes: dict[str, int]
    """Bytes of every file, by the same paths."""


class SentFile(Record):
    """One file that a push has sent."""

    sha256: str
    mark: str
    """The store's mark of the file after it was sent, such as an ETag. Another mark means that it was written again."""


class SentFiles(Record):
    """The files that a push has sent to a folder of a store, by path below the folder."""

    format_version: Literal[1] = 1
    push: str
    """A random name of the push that wrote this, by which another push sees that it is not alone."""
    files: dict[str, SentFile]
