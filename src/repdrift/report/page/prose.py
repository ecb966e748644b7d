"""Sentences of the page: what stands between backticks is code."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from repdrift.core.shown_text import for_terminal

_CODE = re.compile(r"`([^`\n]+)`")


def prose(text: str | Markup) -> Markup:
    """Returns a sentence as HTML: escaped, with its parts between backticks as `<code>`. HTML of our own is left as it is."""
    if isinstance(text, Markup):
        return text
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(for_terminal(text)))))  # noqa: S704 - escaped before


def without_marks(text: str) -> str:
    """Returns a sentence without backticks, for places that take no HTML: titles and labels."""
    return _CODE.sub(r"\1", text)
