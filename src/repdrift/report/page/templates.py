"""Templates of the page: every text in them is escaped, and none brings secrets or orders to a terminal along."""

from __future__ import annotations

import re

import jinja2
from markupsafe import Markup

from repdrift.core import words
from repdrift.core.shown_text import for_terminal
from repdrift.report.page.prose import prose, without_marks

_TOGETHER = re.compile(r"(?<=\d) (?=%)|(?<=\bp) (?=[=<] \d)|(?<=\bp [=<]) (?=\d)")
"""Spaces at which no line ends: between a number and its percent sign, and within `p = 0.03`."""


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
    environment.filters |= {"number": words.number, "percent": words.percent, "pvalue": words.pvalue}
    return environment


def _shown(value: object) -> object:
    """Returns what an expression of the page writes: a text without secrets and without orders to a terminal or a reader."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _TOGETHER.sub("\u00a0", for_terminal(value))
