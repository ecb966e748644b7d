"""Links of a page to files of the repository that are no pages, such as a benchmark's README: the site gives them as downloads."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

_LINK = re.compile(r"(?<!!)\[`?([^\]`]+)`?\]\(([^)#:\s]+)\)")


def _as_downloads(app: Sphinx, page: str, source: list[str]) -> None:
    folder = (Path(app.srcdir) / page).parent

    def link(found: re.Match[str]) -> str:
        path = Path(os.path.normpath(folder / found[2]))
        inside = path.is_relative_to(app.srcdir)
        is_page = inside and str(path.relative_to(app.srcdir).with_suffix("")) in app.project.docnames
        return f"{{download}}`{found[1]} <{found[2]}>`" if path.is_file() and not is_page else found[0]

    source[0] = _LINK.sub(link, source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the change of links."""
    app.connect("source-read", _as_downloads)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
