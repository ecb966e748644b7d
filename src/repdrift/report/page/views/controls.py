"""Drift beside its controls: trained models, noise, two seeds, a random change and mispaired samples, a panel for each task."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from repdrift.core.measure_words import drift_definition
from repdrift.core.words import listed
from repdrift.report.dashboard.sections import standings
from repdrift.report.page.arm_marks import SHAPES, look, quoted, tooltip
from repdrift.report.page.contents import LegendEntry, View
from repdrift.report.page.layer_axis import chosen_layer, chosen_rule, layer_axis
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.page.views import ViewSpec, register
from repdrift.report.report_data import ReportData

TRAINED = "trained models, mean over seeds"
CONTROL_WORDS = {
    "identity": "base model run twice (noise)",
    "seed_ceiling": "between two seeds of one method",
    "random_change": "base model after a random change as large",
    "mispaired": "mispaired samples (no relation)",
}
# Colours mean methods in every other chart: here marks and dashes tell the lines apart.
_LOOKS = {
    TRAINED: ("#222222", [1, 0], "circle"),
    CONTROL_WORDS["mispaired"]: ("#858585", [2, 2], "cross"),
    CONTROL_WORDS["seed_ceiling"]: ("#6b6b6b", [7, 3], "triangle-up"),
    CONTROL_WORDS["random_change"]: ("#858585", [9, 2, 2, 2], "square"),
    CONTROL_WORDS["identity"]: ("#6b6b6b", [4, 2], "diamond"),
}
_SHOWN = {"task": "task", "series": "what", "arm": "method", "layer": "layer", "drift": "drift"}


def of_study(data: ReportData) -> View | None:
    """The controls of a study; None if it has none."""
    rows = control_rows(data)
    there = [name for name in _LOOKS if (rows["series"] == name).any()]
    if there == [TRAINED]:
        return None
    study = data.results.study
    absent = [words for words in CONTROL_WORDS.values() if words not in there]
    return View(
        name="controls",
        title="Drift beside its controls",
        answer=_answer(data),
        caption="Line: mean over the methods that are shown; points: single methods. A drift means something if it lies above the noise and below mispaired samples; above two "
        "seeds of one method, it is more than trainings differ by chance; above the random change, it comes from where training moved the weights, not from how far. "
        "The scale is logarithmic: values at or below 0 are not drawn, and those below its lower end stand on it."
        + (f" Not measured: {', '.join(absent)}." if absent else ""),
        spec=_spec(rows, there, f"drift, {drift_definition(study, study.primary_measure)}"),
        rows=rows,
        filters=("task", "arm"),
        panel_by="task",
        one_scale=("drift",),
        selects={"layer": "layer"},
        keyboard=("layer", "series"),
        shown=_SHOWN,
        group="Compared with what",
        legend=[LegendEntry(name, _LOOKS[name][0], _LOOKS[name][1], SHAPES[_LOOKS[name][2]]) for name in there],
    )


def _answer(data: ReportData) -> list[str]:
    """The number of layers, over tasks and methods, in which the mean drift lies on the expected side of each control."""
    found = [standing.counts for standing in standings(data)]
    said: list[str] = []
    for place, words in enumerate(
        ("above the noise", "above two seeds", "above the random change", "below mispaired samples")
    ):
        known = [counts[place] for counts in found if counts[place] is not None]
        if known:
            said.append(f"{words} in {sum(at[0] for at in known if at)} of {sum(at[1] for at in known if at)}")
    return [f"Of all layers of all tasks and methods, mean drift lies {listed(said)}."] if said else []


def control_rows(data: ReportData) -> pd.DataFrame:
    """One row for each task, arm, layer and control that has a drift, and for the mean over the trained models of the arm.

    The noise of the base model is of no arm: it stands beside each, so that a filter on arms leaves it.
    """
    tasks, arms = task_titles(data), arm_titles(data)
    rows: list[dict[str, object]] = []
    for task in data.tasks:
        for method in data.methods:
            drifts: dict[str, Any] = {TRAINED: data.mean_drift(task, method)}
            for name, words in CONTROL_WORDS.items():
                drifts[words] = data.control_drift(name, task, None if name == "identity" else method)
            rows += [
                {"task": tasks[task], "arm": arms[method], "series": words, "layer": layer, "drift": float(value)}
                for words, values in drifts.items()
                for layer, value in zip(data.layers, values, strict=True)
                if np.isfinite(value)
            ]
    return pd.DataFrame(rows, columns=["task", "arm", "series", "layer", "drift"])


def _spec(rows: pd.DataFrame, there: list[str], title: str) -> dict[str, Any]:
    colors, dashes, shapes = ([_LOOKS[name][part] for name in there] for part in range(3))
    x = layer_axis(rows["layer"])
    y = alt.Y(
        "drift:Q",
        title=title,
        scale=alt.Scale(type="log", clamp=True, nice=False),
        axis=alt.Axis(format=".1~r", tickCount=6),
    )
    base = alt.Chart(alt.NamedData("rows")).transform_filter("datum.drift > 0")
    color = alt.Color("series:N", **look(there, colors))
    means = base.transform_aggregate(drift="mean(drift)", groupby=["series", "layer"])
    width = alt.condition(f"datum.series === {quoted(TRAINED)}", alt.value(3.5), alt.value(1.6))
    line = means.mark_line().encode(
        x, y, color, alt.StrokeDash("series:N", **look(there, dashes)), strokeWidth=width, tooltip=tooltip({"series:N": "what", "layer:Q": "layer", "drift:Q": "mean drift"})
    )  # fmt: skip
    points = base.mark_point(filled=True, size=22, opacity=0.8).encode(
        x, y, color, alt.Shape("series:N", **look(there, shapes)), tooltip=tooltip({f"{name}:{'Q' if name in ('layer', 'drift') else 'N'}": words for name, words in _SHOWN.items()})
    )  # fmt: skip
    return alt.layer(chosen_rule(base, x), line, points).add_params(chosen_layer()).properties(height=260).to_dict()


register(ViewSpec("controls", 25, of_study=of_study))
