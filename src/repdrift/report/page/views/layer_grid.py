"""Every layer with every layer: similarity of base and tuned layers, with the best match of each tuned layer, a panel for each arm and task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import altair as alt
import pandas as pd

from repdrift.core.layer_grid_words import worded_grid
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.layer_grid import GridMatrix
from repdrift.core.study_grid_words import study_grid_section
from repdrift.core.worded_section import WordedSection
from repdrift.core.words import counted
from repdrift.report.page.answers import answer_of_models
from repdrift.report.page.arm_marks import tooltip
from repdrift.report.page.contents import INSIDE, View
from repdrift.report.page.layer_axis import layer_cells, layer_rows
from repdrift.report.page.layer_lines import typed
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.page.views import ViewSpec, register
from repdrift.report.report_data import ReportData

MOST_CELLS = 40_000
"""Cells that the page holds. Matrices beyond are left to `grid.parquet`."""
_SHOWN = {"panel": "matrix", "layer": "tuned layer", "base_layer": "base layer", "cka": "debiased CKA", "best": "best match"}  # fmt: skip
_COLUMNS = ["panel", "task", "arm", *list(_SHOWN)[1:]]


def of_study(data: ReportData) -> View | None:
    """The grids of a study, means over the final models of a task and method; None without any."""
    moved = data.results.moved
    section = study_grid_section(data.results)
    if moved is None or moved.grid is None or section is None or not moved.grid.methods:
        return None
    tasks, arms = task_titles(data), arm_titles(data)
    found = [(tasks[of.task], arms[of.method], of.base_tuned) for of in moved.grid.methods]
    return _view(found, [("", section)], "mean over the final models of a method and task")


def of_comparison(comparison: Comparison) -> View | None:
    """The grids of the models of a comparison; None without any."""
    grids = [(m.name, m.moved.grid) for m in comparison.models if m.moved is not None and m.moved.grid is not None]
    found = [
        ("", name, matrix)
        for name, grid in grids
        for matrix in grid.matrices
        if matrix.kind == "base_tuned" and matrix.measure == "cka"
    ]
    sections = [(name, replace(worded_grid(grid), title=f"{name}, layer by layer")) for name, grid in grids]
    return replace(view, filters=("arm",)) if (view := _view(found, sections, "of each model")) is not None else None


def grid_rows(found: Iterable[tuple[str, str, GridMatrix]]) -> pd.DataFrame:
    """One row for each base and tuned layer of every matrix (task, arm, matrix). best: `yes` for the base layer most like the tuned one."""
    rows: list[dict[str, object]] = []
    for task, arm, matrix in found:
        panel = f"{task}: {arm}" if task else arm
        frame = pd.DataFrame(matrix.values, index=matrix.row_layers, columns=matrix.column_layers, dtype=float)
        top = frame.max(axis=0)
        rows += [
            {
                "panel": panel, "task": task, "arm": arm, "layer": tuned, "base_layer": base, "cka": value, "best": "yes" if value == top[tuned] else "no",
            }
            for base, of_base in zip(matrix.row_layers, matrix.values, strict=True)
            for tuned, value in zip(matrix.column_layers, of_base, strict=True)
        ]  # fmt: skip
    return pd.DataFrame(rows, columns=_COLUMNS).astype({"cka": float})


def _view(
    found: Sequence[tuple[str, str, GridMatrix]], sections: Sequence[tuple[str, WordedSection]], what: str
) -> View | None:
    kept: list[tuple[str, str, GridMatrix]] = []
    cells = 0
    for each in found:
        cells += len(each[2].row_layers) * len(each[2].column_layers)
        if not kept or cells <= MOST_CELLS:
            kept.append(each)
    rows = grid_rows(kept)
    if rows["cka"].notna().sum() == 0:
        return None
    left = len(found) - len(kept)
    return View(
        name="layer_grid",
        title="Every layer with every layer",
        answer=answer_of_models(sections),
        caption=f"Debiased CKA of every base layer with every tuned layer, {what}. Ring: the base layer that is most like the tuned layer. Rings on the diagonal: layers keep their "
        "place; beside it, content may stand in other layers than before (the sentences above say where this is shown). "
        + (f"{counted(left, 'matrix', 'matrices')} more in grid.parquet." if left else ""),
        spec=_spec(rows),
        rows=rows,
        filters=("task", "arm"),
        panel_by="panel",
        selects={"layer": "layer"},
        keyboard=("layer", "base_layer"),
        shown=_SHOWN,
        tables=[section for _, section in sections],
        group=INSIDE,
    )


def _spec(rows: pd.DataFrame) -> dict[str, Any]:
    x = layer_cells(rows["layer"], title="tuned layer")
    y = layer_rows(rows["base_layer"], "base_layer", "base layer")
    known = rows["cka"].dropna()
    scale = alt.Scale(domain=[min(0.0, float(known.min())), max(1.0, float(known.max()))], scheme="viridis")
    legend = alt.Legend(orient="bottom", gradientLength=180, titleAnchor="start")
    base = alt.Chart(alt.NamedData("rows")).transform_filter("isValid(datum.cka)")
    shown = tooltip(typed(rows, _SHOWN))
    cells = base.mark_rect().encode(x, y, alt.Color("cka:Q", title="CKA", scale=scale, legend=legend), tooltip=shown)
    size = max(8, 1200 // max(1, rows["layer"].nunique()))
    best = (
        base.transform_filter("datum.best == 'yes'")
        .mark_point(
            shape="circle", filled=False, color="#ff1fc7", size=min(70, size), strokeWidth=2
        )  # seen on every colour of the scale
        .encode(x, y, tooltip=shown)
    )
    return alt.layer(cells, best).properties(height=260).to_dict()


register(ViewSpec("layer_grid", 45, of_study=of_study, of_comparison=of_comparison))
