"""The reduction forest: how much less each arm drifts than the reference, by task, at the end of training and at equal skill."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from repdrift.core.claim_parts import OVER, widest_claim
from repdrift.core.equal_skill_words import all_in_lines
from repdrift.core.hypotheses import LESS
from repdrift.core.measure_words import drift_definition
from repdrift.core.records.claims import Interval
from repdrift.core.records.equal_skill import EqualSkill
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import chosen_percent, method_title, percent, task_title
from repdrift.report.page.arm_marks import (
    CONTROL_GREY,
    SHAPES,
    arm_color,
    arm_colors,
    look,
    names_axis,
    quoted,
    tooltip,
)
from repdrift.report.page.contents import LegendEntry, View
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.page.views import ViewSpec, register
from repdrift.report.report_data import ReportData

AT_END, AT_SKILL = "end of training", "equal skill"
_PLACES = {AT_END: "circle", AT_SKILL: "diamond"}
_SHOWN = {
    "arm": "method", "task": "task", "at": "compared at", "reduction": "reduction, %", "low": "low, %", "high": "high, %", "over": "interval", "bound": "one-sided lower bound, %", "note": "note",
}  # fmt: skip
_FLOOR, _CEILING = -100.0, 150.0
"""Percent: ratios are very large where the reference hardly drifts. Values beyond are drawn at the edge."""


def of_study(data: ReportData) -> View | None:
    """The forest of a study; None if no method is compared with another."""
    rows = reduction_rows(data)
    if rows.empty:
        return None
    study = data.results.study
    reference = method_title(study.reference_method)
    target = 100 * study.target_reduction
    named_by = "arm" if data.several_arms else "task"
    return View(
        name="reduction",
        title="How much less drift",
        answer=_answer(data),
        caption=f"Reduction = 1 - drift of the method / drift of {reference}, where drift is {drift_definition(study, study.primary_measure)}, from means over layers and seeds; right of 0 it drifts less. Thick bar: {chosen_percent(study.confidence)} "
        f"interval of the widest claim that could be made; tick: one-sided {chosen_percent(1 - study.alpha)} lower bound over trained models. Dashed: the target, which is shown to "
        "be met only if the tick lies right of it. A triangle at the edge: the value, or its interval, goes on beyond it. Not known: hover says why.",
        spec=_spec(rows, arm_colors(data), target, named_by=named_by),
        rows=rows,
        filters=("task", "arm"),
        panel_by="task" if named_by == "arm" else "",
        keyboard=("at", named_by),
        shown=_SHOWN,
        group="Compared with what",
        legend=[
            *(LegendEntry(f"at {place}" if place == AT_SKILL else f"at the {place}", CONTROL_GREY, (), SHAPES[shape]) for place, shape in _PLACES.items()),
            LegendEntry(f"target {chosen_percent(study.target_reduction)}", CONTROL_GREY, (6, 4)),
        ],
    )  # fmt: skip


def reduction_rows(data: ReportData) -> pd.DataFrame:
    """One row for each task (and all of them), compared arm and place, in percent; a reduction that is missing has its reason as note."""
    tasks, arms = {**task_titles(data), ALL_TASKS: task_title(ALL_TASKS)}, arm_titles(data)
    several = len(data.tasks) > 1
    rows: list[dict[str, object]] = []
    for contrast in data.contrasts if data.results.study.contrasted else []:
        arm = contrast.results.study.comparison_method
        for task in [*contrast.compared_tasks(), *([ALL_TASKS] if several else [])]:
            common = {"task": tasks[task], "arm": arms[arm]}
            found = contrast.reduction(task)
            if found is not None:
                interval = widest_claim(found)
                note = "; ".join(found.notes) if interval is None or found.reduction is None else ""
                rows.append(
                    {**common, "at": AT_END, **_numbers(found.reduction, interval, found.reduction_low), "note": note}
                )
            skill = _at_skill(contrast, arm, task)
            if skill is not None:
                missing = skill.missing or "; ".join(skill.conditions)
                rows.append({**common, "at": AT_SKILL, **_numbers(skill.reduction, skill.interval, None), "note": missing})  # fmt: skip
    return pd.DataFrame(rows, columns=["task", "arm", "at", "reduction", "low", "high", "over", "bound", "note"])


def _answer(data: ReportData) -> list[str]:
    """The outcome over all tasks at the end of training and at equal skill; with several arms their number."""
    sentences = [test.sentence for each in data.contrasts if (test := each.test(LESS, ALL_TASKS)) is not None]
    if len(sentences) == 1:
        return [*sentences, *all_in_lines(data.results.equal_skill)[:1]]
    known = [
        (each, r.reduction) for each in data.contrasts if (r := each.reduction(ALL_TASKS)) and r.reduction is not None
    ]
    if not known:
        return sentences[:3]
    most, least = max(known, key=lambda item: item[1]), min(known, key=lambda item: item[1])
    said = [f"{method_title(each.results.study.comparison_method)}, {percent(value)}" for each, value in (most, least)]
    less = sum(
        test.verdict == "supported" for each in data.contrasts if (test := each.test(LESS, ALL_TASKS)) is not None
    )
    reference = method_title(data.results.study.reference_method)
    return [
        f"Of {len(known)} methods, {less} are shown to drift less than {reference} over all tasks at the end of training. The largest reduction is that of {said[0]}, "
        f"the smallest that of {said[1]}."
    ]


def _at_skill(data: ReportData, arm: str, task: str) -> EqualSkill | None:
    return next((each for each in data.results.equal_skill if (each.comparison, each.task) == (arm, task)), None)


def _numbers(reduction: float | None, interval: Interval | None, bound: float | None) -> dict[str, object]:
    ends = (None, None) if interval is None else (100 * interval.low, 100 * interval.high)
    return {
        "reduction": None if reduction is None else 100 * reduction,
        "low": ends[0],
        "high": ends[1],
        "over": "none" if interval is None else OVER[interval.over],
        "bound": None if bound is None else 100 * bound,
    }


def _spec(rows: pd.DataFrame, colors: dict[str, str], target: float, *, named_by: str) -> dict[str, Any]:
    known = pd.concat([rows[name].dropna().astype(float) for name in ("reduction", "low", "high", "bound")])
    low = max(_FLOOR, min([0.0, target, *known])) - 3
    high = min(_CEILING, max([0.0, target, *known])) + 3
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", title="reduction of drift, %", scale=scale)

    names = list(dict.fromkeys(rows["task"])) if named_by == "task" else list(colors)
    y = alt.Y(f"{named_by}:N", title=None, sort=names, axis=names_axis())
    offset = alt.YOffset("at:N", sort=list(_PLACES))
    shape = alt.Shape("at:N", **look(list(_PLACES), list(_PLACES.values())))
    color = arm_color(colors)
    shown = tooltip({f"{name}:{'Q' if name in ('reduction', 'low', 'high', 'bound') else 'N'}": words for name, words in _SHOWN.items()})  # fmt: skip
    base = alt.Chart(alt.NamedData("rows"))
    inside = {name: f"clamp(datum.{name}, {low}, {high})" for name in ("low", "high", "reduction", "bound")}
    drawn = base.transform_filter("isValid(datum.reduction)")
    bars = (
        drawn.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .transform_calculate(from_=inside["low"], to=inside["high"])
        .mark_rule(strokeWidth=4, opacity=0.45)
        .encode(x("from_"), alt.X2("to:Q"), y, offset, color, tooltip=shown)
    )
    bounds = (
        drawn.transform_filter(f"isValid(datum.bound) && datum.bound >= {low} && datum.bound <= {high}")
        .mark_tick(thickness=2, size=13)
        .encode(x("bound"), y, offset, color, tooltip=shown)
    )
    points = (
        drawn.transform_filter(f"datum.reduction >= {low} && datum.reduction <= {high}")
        .mark_point(filled=True, size=75, opacity=1)
        .encode(x("reduction"), y, offset, shape, color, tooltip=shown)
    )
    beyond = [
        drawn.transform_filter(test)
        .transform_calculate(edge=str(edge))
        .mark_point(filled=True, size=75, opacity=1, shape=arrow)
        .encode(x("edge"), y, offset, color, tooltip=shown)
        for test, edge, arrow in (
            (f"datum.reduction < {low} || datum.low < {low}", low, "triangle-left"),
            (f"datum.reduction > {high} || datum.high > {high}", high, "triangle-right"),
        )
    ]
    absent = (  # words, since a mark would be read as a value
        base.transform_filter("!isValid(datum.reduction)")
        .transform_calculate(
            edge=str(low),
            words="'not known ' + (datum.at === " + quoted(AT_SKILL) + " ? 'at equal skill' : 'at the end')",
        )
        .mark_text(align="left", baseline="middle", dx=4, fontSize=11, color=CONTROL_GREY)
        .encode(x("edge"), y, offset, text="words:N", tooltip=shown)
    )
    lines = [
        base.transform_aggregate(rows="count()")
        .transform_calculate(edge=str(value))
        .mark_rule(color=CONTROL_GREY, strokeDash=dash)
        .encode(x("edge"))
        for value, dash in ((0.0, [1, 0]), (target, [6, 4]))
    ]
    chart = alt.layer(*lines, bars, bounds, points, *beyond, absent).properties(height={"step": 34})
    return chart.properties(usermeta={"rowsBy": named_by}).to_dict()


register(ViewSpec("reduction", 20, of_study=of_study))
