"""The studies that were put together to one, and what the reader of the whole should know of it."""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record

MERGE_FILE = "merge.json"


class MergedSource(Record):
    """One study that went into another."""

    label: str
    """A, B, ... in the order of the command."""
    study: str
    where: str
    """The study file, folder or archive, as it was named."""
    analysed: str
    """When its own analysis was made."""
    repdrift: str | None
    models: list[str]
    """The final models that were taken from it, in words."""
    renamed: dict[str, str] = {}
    """Names of its arms that were changed: old name, new name."""
    commands: list[str] = []


class MergedStudy(Record):
    """All studies that went into one."""

    format_version: Literal[1] = 1
    from_tables: bool
    """True if only tables were at hand, so that nothing was measured anew; False if representation sets were."""
    sources: list[MergedSource]
    command: str
    cautions: list[str] = []
    """Sentences that change how the numbers are read: what could not be known, and where the parts differ."""
