"""The data of a page as JSON: each table once, by columns, with repeated texts written once."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from repdrift.core.shown_text import for_terminal
from repdrift.report.page.contents import Filter, Page, View

_SIGNIFICANT = 6
"""Digits of a number in the page; downloads have all of them."""

_LARGEST_INTEGER = 2**53
"""JavaScript rounds larger ones: a seed beyond it is a text in the page."""


def payload(page: Page) -> dict[str, Any]:
    """Returns what the page's program reads: filters, views and tables. Views on one table share it."""
    tables: dict[int, tuple[str, pd.DataFrame]] = {}
    views = [_view(view, tables) for view in (page.main, *page.views)]
    return {
        "filters": [
            *(_filter(each) for each in page.filters),
            *({**_filter(each), "view": view.name} for view in page.views for each in view.choices),
        ],
        "views": views,
        "tables": {name: columns(table) for name, table in tables.values()},
        "runs": {
            "columns": _shown(dict(page.runs.columns)),
            "table": columns(page.runs.rows),
            "details": _shown(list(page.runs.details)),
            "curves": None if page.runs.curves is None else columns(page.runs.curves),
        },
    }


def as_script(value: object) -> Markup:
    """Returns JSON that may stand in a `<script>` element: no text in it can end the element or open a comment."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for character in ("<", ">", "&", "\u2028", "\u2029"):
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - escaped above, and JSON outside of its strings has none of these characters


def columns(table: pd.DataFrame) -> dict[str, Any]:
    """The columns of a table: a list of numbers, or `{"of": texts, "at": places}` where texts repeat. Missing is null."""
    return {str(name): _column(table[name]) for name in table.columns}


def _filter(each: Filter) -> dict[str, Any]:
    return {
        "column": each.column,
        "label": _shown(each.label),
        "options": [[_shown(_plain(value)), _shown(words)] for value, words in each.options],
        "chosen": [_shown(_plain(value)) for value in each.chosen],
        "several": each.several,
        "whole": _shown(each.whole),
    }


def _view(view: View, tables: dict[int, tuple[str, pd.DataFrame]]) -> dict[str, Any]:
    same = next((key for key, (_, table) in tables.items() if key == id(view.rows) or table.equals(view.rows)), None)
    name, _ = tables.setdefault(same or id(view.rows), (f"table{len(tables)}", view.rows))
    return {
        "name": view.name,
        "title": _shown(view.title),
        "table": name,
        "spec": _shown(view.spec),
        "filters": list(view.filters),
        "panelBy": view.panel_by,
        "oneScale": list(view.one_scale),
        "logFields": list(view.log_fields),
        "selects": dict(view.selects),
        "keyboard": list(view.keyboard),
        "shown": _shown(view.shown),
        "legend": [
            {"words": _shown(each.words), "color": each.color, "dash": list(each.dash), "outline": each.outline}
            for each in view.legend
        ],
    }


def _column(values: pd.Series) -> Any:
    found = [_plain(value) for value in values.tolist()]
    texts = [value for value in found if isinstance(value, str)]
    if not texts:
        return found
    different: Sequence[Any] = list(dict.fromkeys(found))
    places = {value: position for position, value in enumerate(different)}
    return {"of": _shown(different), "at": [places[value] for value in found]}


def _shown(value: Any) -> Any:
    """Returns a value with every text in it as it may be shown, without secrets and marks that turn the direction of writing.

    All parts of the page's data go through it, so that a name is the same text in a filter, a table and a scale.
    """
    if isinstance(value, str):
        return for_terminal(value)
    if isinstance(value, Mapping):
        return {name: _shown(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(each) for each in value]
    return value


def _plain(value: Any) -> Any:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return _rounded(value) if math.isfinite(value) else None
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        return str(value)
    return value


def _rounded(value: float) -> float:
    """Returns a number with the digits of the page; a whole number, such as a count in a column with gaps, stays what it is."""
    if value.is_integer() and abs(value) <= _LARGEST_INTEGER:
        return int(value)
    short = float(f"{value:.{_SIGNIFICANT}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
