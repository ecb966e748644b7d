"""Directions in which representations moved: the size of the common shift, and the kind of map that accounts for the change, by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from repdrift.core.directions_words import KIND_HEADS, directions_section
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.directions import LayerDirections
from repdrift.core.study_directions_words import study_directions_section
from repdrift.core.worded_section import WordedSection
from repdrift.report.page.answers import answer_of_models
from repdrift.report.page.arm_marks import arm_colors, arm_legend, model_colors
from repdrift.report.page.contents import INSIDE, View
from repdrift.report.page.layer_lines import layer_lines
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.page.views import ViewSpec, register
from repdrift.report.report_data import ReportData

SIZE = "shift, in spreads of samples"
_COLUMNS = ["panel", "task", "arm", "seed", "layer", "value", "low", "high"]
_SHOWN = {"panel": "what", "task": "task", "arm": "method", "seed": "seed", "layer": "layer", "value": "value", "low": "low", "high": "high"}  # fmt: skip


def of_study(data: ReportData) -> View | None:
    """The directions of a study; None if they were not measured."""
    section = study_directions_section(data.results)
    rows = direction_rows(data)
    if section is None or rows.empty:
        return None
    return _view(rows, arm_colors(data), [("", section)])


def of_comparison(comparison: Comparison) -> View | None:
    """The directions of the models of a comparison; None if they were not measured."""
    found = [(model.name, model.moved.directions) for model in comparison.models if model.moved is not None and model.moved.directions is not None]  # fmt: skip
    rows = [
        {"task": comparison.task, "arm": name, "seed": 0, **row}
        for name, of in found
        for at in of.layers
        for row in _numbers(at)
    ]
    if not rows:
        return None
    sections = [(name, directions_section(of, title=f"In which directions {name} moved")) for name, of in found]
    view = _view(pd.DataFrame(rows, columns=_COLUMNS), model_colors(comparison), sections)
    return replace(view, filters=("arm",))


def direction_rows(data: ReportData) -> pd.DataFrame:
    """One row for each final model, layer and number: the size of the shift, and each kind's share of the squared differences."""
    moved = data.results.moved
    found = None if moved is None else moved.directions
    tasks, arms = task_titles(data), arm_titles(data)
    rows = [
        {"task": tasks[run.task], "arm": arms[run.method], "seed": run.seed, **row}
        for run in (found.runs if found is not None else [])
        for at in run.found.layers
        for row in _numbers(at)
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _numbers(at: LayerDirections) -> list[dict[str, object]]:
    shares = {share.kind: share for share in at.shares}
    rows: list[dict[str, object]] = [
        {
            "panel": f"share of {words}", "layer": at.layer, "value": shares[kind].share, "low": shares[kind].low, "high": shares[kind].high
        }
        for kind, words in KIND_HEADS.items() if kind in shares
    ]  # fmt: skip
    size = {"value": at.relative_shift, "low": at.relative_shift_low, "high": at.relative_shift_high}
    return [{"panel": SIZE, "layer": at.layer, **size}, *rows]


def _view(rows: pd.DataFrame, colors: Mapping[str, str], sections: Sequence[tuple[str, WordedSection]]) -> View:
    return View(
        name="directions",
        title="In which directions it moved",
        answer=answer_of_models(sections),
        caption="Line: mean over the tasks and models that are shown; points: single models. Shares are of the squared differences on held-out samples, each map added to those "
        "before it: shift, rotation, scaling, other linear maps, and the rest. A share below 0 meets new samples worse than without the map. A shift without a point is no larger than "
        "noise. Tokens that the shift points toward stand in the tables.",
        spec=layer_lines(rows, colors, _SHOWN, title=None),
        rows=rows,
        filters=("task", "arm", "seed"),
        panel_by="panel",
        selects={"layer": "layer"},
        keyboard=("layer", "arm"),
        shown=_SHOWN,
        tables=[section for _, section in sections],
        group=INSIDE,
        legend=arm_legend(colors),
    )


register(ViewSpec("directions", 55, of_study=of_study, of_comparison=of_comparison))
