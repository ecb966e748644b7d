"""Texts of the page: without secrets and orders, and with what stands between backticks as code."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from repdrift.core.shown_text import for_terminal
from repdrift.core.words import sentence_case

_CODE = re.compile(r"`([^`\n]+)`")
_TOGETHER = re.compile(r"(?<=\d) (?=%)|(?<=\bp) (?=[=<>] \d)|(?<=\bp [=<>]) (?=\d)")
"""Spaces at which no line ends: between a number and its percent sign, and within `p = 0.03`."""


def shown(text: str) -> str:
    """Returns a text without secrets and without orders to a terminal or a reader."""
    return _TOGETHER.sub("\u00a0", for_terminal(text))


def prose(text: str | Markup) -> Markup:
    """Returns a sentence as HTML: escaped, with its parts between backticks as `<code>`. HTML of our own is left as it is."""
    if isinstance(text, Markup):
        return text
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(shown(text)))))  # noqa: S704 - escaped before


def headline_parts(text: str) -> tuple[str, str]:
    """Returns a headline's first clause, and the rest as a sentence of its own; "" where it has one clause alone.

    A clause ends at a semicolon outside of brackets, or with its sentence.
    """
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and text.startswith(("; ", ". "), place):
            return f"{text[:place]}.", sentence_case(text[place + 2 :])
    return text, ""


def without_marks(text: str) -> str:
    """Returns a sentence without backticks, for places that take no HTML: titles and labels."""
    return _CODE.sub(r"\1", text)
