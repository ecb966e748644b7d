"""Chats as data sets hold them: lists of turns, {role, content} or {from, value}; here they are joined to plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from repdrift.core.errors import DataError

_WRITINGS = (("role", "content"), ("from", "value"))
_READ_OR_ROLE = frozenset(name for pair in _WRITINGS for name in pair)
TURN_BREAK = "\n"
"""Stands between two turns that are joined."""


def is_chat(value: Any) -> bool:
    """Tells whether a value is a list of turns."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, dict) and any(set(keys) <= turn.keys() for keys in _WRITINGS) for turn in value)
    )


def joined_turns(turns: Sequence[dict[str, Any]], at: str) -> str:
    """Joins the contents of turns with line breaks, without roles and without a chat template. Empty turns are skipped.

    at: names the row for messages. Raises DataError if a turn holds anything but text.
    """
    return TURN_BREAK.join(text for turn in turns if (text := turn_text(turn, at)).strip())


def unread_entries(turns: Sequence[dict[str, Any]]) -> set[str]:
    """Names what turns hold beside role and text, such as the calls of tools or the reasoning: none of it is read."""
    return {name for turn in turns for name, value in turn.items() if value and name not in _READ_OR_ROLE}


def turn_text(turn: dict[str, Any], at: str) -> str:
    """The text of one turn, "" if it only calls a tool. at: names the row. Raises DataError if the turn holds anything but text."""
    contents = [turn[name] for name in ("content", "value") if turn.get(name) is not None]
    if len(contents) > 1 and contents[0] != contents[1]:
        raise DataError(
            f"{at}: a turn of the chat has both a content and a value, and they differ; take one of them out"
        )
    content = contents[0] if contents else None
    if content is None:  # a turn that only calls a tool
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(p, dict) and isinstance(p.get("text"), str) for p in content):
        return TURN_BREAK.join(part["text"] for part in content)
    raise DataError(
        f"{at}: a turn of the chat holds something other than text ({type(content).__name__}). Write the texts that the models "
        "should read into a column of their own, and name it as the text column."
    )
