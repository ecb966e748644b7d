"""The description of each page for search engines and previews: the beginning of its first paragraph."""

from __future__ import annotations

import textwrap
from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_LONGEST = 160


def _describe(app: Sphinx, _page: str, _template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    first = None if doctree is None else next(iter(doctree.findall(nodes.paragraph)), None)
    words = f"Documentation of {app.config.html_title}" if first is None else first.astext()
    short = textwrap.shorten(words, _LONGEST, placeholder=" ...")
    context["metatags"] = f'{context.get("metatags", "")}<meta name="description" content="{escape(short)}">\n'


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the description."""
    app.connect("html-page-context", _describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
