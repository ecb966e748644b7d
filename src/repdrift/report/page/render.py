"""A page as one HTML file that loads nothing from elsewhere."""

from __future__ import annotations

import base64
import gzip
import hashlib
from functools import cache
from itertools import groupby
from typing import Any

import jinja2
from markupsafe import Markup

from repdrift.core.hidden_secrets import environment_read_once
from repdrift.report.page.contents import INSIDE, Download, Page
from repdrift.report.page.payload import as_script, payload
from repdrift.report.page.prose import headline_parts
from repdrift.report.page.templates import page_templates

_SCRIPTS = (
    "elements",
    "data",
    "state",
    "filters",
    "links",
    "spec",
    "marks",
    "legends",
    "panels",
    "readout",
    "charts",
    "tables",
    "runs",
    "downloads",
    "start",
)
"""The page's program, in the order in which its files are read. Each is one part of one function."""

_LARGEST_PLAIN = 1 << 20
"""Letters of data that a page holds as they are; more are compressed, to about a third."""

_TEMPLATES = jinja2.PackageLoader("repdrift.report", ".")


@environment_read_once()
def page_html(page: Page) -> str:
    """Returns the page. Every text from outside is escaped, and no script runs but the page's own."""
    environment = page_templates(".")
    environment.filters["packed"] = _packed
    library, program = _charting_library(), _program()
    data = as_script(payload(page))
    packed = len(data) > _LARGEST_PLAIN
    return environment.get_template("page/page.html").render(
        page=page,
        groups=[(name, list(views)) for name, views in groupby(page.views, key=lambda view: view.group)],
        inside=INSIDE,
        headline_parts=headline_parts,
        data=Markup(_letters(data.encode())) if packed else data,  # noqa: S704 - letters and digits
        packed=packed,
        style=Markup(_own_file("page.css")),  # noqa: S704 - our own file
        library=Markup(library),  # noqa: S704 - the charting library's own code
        program=Markup(program),  # noqa: S704 - our own files
        script_hashes=Markup(" ".join(f"'sha256-{_sha256(text)}'" for text in (library, program))),  # noqa: S704 - digests
    )


def _packed(download: Download) -> str:
    return _letters(download.content())


def _letters(content: bytes) -> str:
    """Returns bytes compressed and as letters."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


@cache
def _charting_library() -> str:
    """Vega, Vega-Lite and vega-embed as one script, from the package that carries them."""
    import vl_convert

    library: Any = vl_convert  # its types ask for an argument that has a default

    return _without_closing(library.javascript_bundle())


def _program() -> str:
    parts = "\n".join(_own_file(f"js/{name}.js") for name in _SCRIPTS)
    return _without_closing(f'(async () => {{\n"use strict";\n{parts}\n}})();\n')


def _without_closing(script: str) -> str:
    """Returns the script itself. Raises ValueError if it could end the element that holds it."""
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError("a script of the page holds `</script` or `<!--`, which would end it in the middle")
    return script


def _own_file(name: str) -> str:
    return _TEMPLATES.get_source(jinja2.Environment(autoescape=True), f"page/{name}")[0]


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
