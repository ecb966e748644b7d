"""Templates of the page: every text in them is escaped, and none brings secrets or orders to a terminal along."""

from __future__ import annotations

import jinja2
from markupsafe import Markup

from repdrift.core import words
from repdrift.report.page.prose import prose, shown, without_marks


def page_templates(folder: str) -> jinja2.Environment:
    """Returns the templates below a folder of `repdrift.report`; `.` for all of them."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("repdrift.report", folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"prose": prose, "plain": without_marks}
    environment.filters |= {
        "number": words.number,
        "percent": words.percent,
        "pvalue": words.pvalue,
        "score_number": words.score_number,
    }
    return environment


def _shown(value: object) -> object:
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value
