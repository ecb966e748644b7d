"""Names that columns of text have in common data sets."""

from __future__ import annotations

from collections.abc import Iterable

# Pairs come first: a question without its context is half a sample.
USUAL_TEXT_COLUMNS = (
    ("question", "context"),
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("text",),
    ("sentence",),
    ("content",),
    ("document",),
    ("prompt",),
    ("instruction",),
)
"""The columns that are taken as text if none is named: of these, the first that the file has."""

NEVER_THE_TEXT = {"id", "idx", "index", "uuid", "label", "labels"}
"""Columns that are not taken as text unless they are named, though they may hold texts."""

USUAL_CHAT_COLUMNS = ("messages", "conversations", "conversation")

_OTHER_NAMES = """
abstract answer article body caption category chosen class comment completion conversation conversations date description email
headline hypothesis id idx index input label labels lang language message messages name output passage premise query question rating
rejected response review score source speaker stars summary target texts title tweet url user utterance
"""
_KNOWN = {name for pair in USUAL_TEXT_COLUMNS for name in pair} | set(_OTHER_NAMES.split())


_SURE = {name for pair in USUAL_TEXT_COLUMNS for name in pair} | NEVER_THE_TEXT


def name_surely(names: Iterable[str]) -> bool:
    """Tells whether one of `names` is hardly ever anything but the name of a column. `user` may be somebody's name."""
    return any(name.casefold() in _SURE for name in names)


def known_names(names: Iterable[str]) -> list[str]:
    """Those of `names` that columns usually have; capitals do not matter."""
    return [name for name in names if name.casefold() in _KNOWN]
