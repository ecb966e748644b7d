"""Texts from outside as they may be shown: in a terminal nothing that it would obey, in a table nothing that it would run.

Each way out has one escape: `for_terminal`, `for_spreadsheet`, `words.markdown_text`, and in figures `report.labels.plain`.
All of them leave secrets out (`hidden_secrets`).
"""

from __future__ import annotations

import json
import re
from typing import Any

from repdrift.core.hidden_secrets import shown, without_secrets

_OBEYED = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control characters but for tab and line feed, marks that turn the direction of writing or are not seen, other line ends,
and the halves of characters that stand for bytes of a path that are not UTF-8."""
_RUN = re.compile(r"'*\s*[=+\-@\t\r\n＝＋－＠]")
"""The beginning of a cell that a spreadsheet program takes for a formula. Apostrophes in front are counted in, so that
the escape can be undone."""


def for_terminal(text: str) -> str:
    """Returns `text` without secrets, with every character that a terminal would obey written as its code (`\\x1b`)."""
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], without_secrets(text))


def json_text(value: Any) -> str:
    """Returns `value` as JSON for a terminal or a pipe: without secrets, every special character written as its code."""
    return json.dumps(shown(value), indent=2).replace("\x7f", "\\u007f")


def for_spreadsheet(cell: str) -> str:
    """Returns a text for a cell of a csv file: an apostrophe stands before what a spreadsheet program would run.

    `from_spreadsheet` takes the apostrophe away again.
    """
    text = for_terminal(cell)
    return f"'{text}" if _RUN.match(text) else text


def from_spreadsheet(cell: str) -> str:
    """Returns the text of a cell that `for_spreadsheet` wrote."""
    return cell[1:] if cell.startswith("'") and _RUN.match(cell[1:]) else cell
