"""Significance: which layers and which tasks differ between a method and the reference, with effect, interval, and p after correction."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from repdrift.core.claim_parts import deciding_pvalue
from repdrift.core.hypotheses import INTERACTION, LESS
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.worded_section import CaptionedTable, WordedSection
from repdrift.core.words import (
    counted,
    layers_named,
    listed,
    method_title,
    p_equals,
    pvalue,
    sentence_case,
    short_number,
    some_listed,
    task_title,
)
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
from repdrift.report.page.claim_rows import SHOWN, VERDICTS, claims_about_methods, layer_claims, task_claims
from repdrift.report.page.contents import Filter, LegendEntry, View
from repdrift.report.page.layer_axis import chosen_layer, chosen_rule, layer_axis
from repdrift.report.page.layer_lines import typed
from repdrift.report.page.views import ViewSpec, register
from repdrift.report.report_data import ReportData, layers_with

_MARKS = {"supported": "circle", "not decided": "triangle-up", "the opposite is shown": "cross", "cannot be tested": "diamond"}  # fmt: skip
_OUTLINES = {
    "not decided": "M0,-1.1L1.1,.9H-1.1ZM0,-.4L-.55,.55H.55Z",
    "cannot be tested": "M-1,0L0,-1.1L1,0L0,1.1ZM-.55,0L0,.6L.55,0L0,-.6Z",
}
"""Outlines of the hollow marks in a legend."""
_FILLED = ("supported", "the opposite is shown")
_FLOOR, _CEILING = -100.0, 100.0
"""Percent: ratios are very large in layers that hardly drift. Values beyond are drawn at the edge."""
_MOST_ANSWERS = 3
_GROUP = "Compared with what"


def layers_of_study(data: ReportData) -> View | None:
    """The chart by layer of a study; None if no method is compared with another in a layer."""
    rows = layer_claims(data)
    if rows["effect"].notna().sum() == 0:
        return None
    rows = rows.drop(columns=["task"]).astype({"layer": int}).rename(columns={"claim": "layer_claim"})
    shown = {"layer": "layer", **{("layer_claim" if name == "claim" else name): words for name, words in SHOWN.items()}}
    several = rows["arm"].nunique() > 1
    return View(
        name="significance",
        title="Which layers differ",
        answer=_answer(data),
        caption="Reduction of drift over all tasks in each layer, with its interval (hover says over what); dashed: the value that the claim is tested against. The mark is the verdict, "
        "by permutation tests of the method labels, whose p-values are corrected as hover says. Not decided does not mean alike. A chevron at the edge: the value, or its interval, goes on beyond it. Intervals are of single layers, not corrected: one that leaves out 0 may belong to a layer that is not decided.",
        spec=_layers_spec(rows, arm_colors(data), shown),
        rows=rows,
        filters=("layer_claim", "arm"),
        choices=[_claims(rows["layer_claim"], "layer_claim")],
        panel_by="arm" if several else "",
        selects={"layer": "layer"},
        keyboard=("layer", "arm"),
        shown=shown,
        tables=_clusters(data),
        broad=True,
        group=_GROUP,
        legend=_legend(rows["verdict"]),
    )


def tasks_of_study(data: ReportData) -> View | None:
    """The chart by task of a study; None if no method is compared with another."""
    rows = task_claims(data)
    if rows["p"].notna().sum() == 0:
        return None
    rows = rows.drop(columns=["layer"]).rename(columns={"claim": "task_claim"})
    shown = {"task": "task", **{("task_claim" if name == "claim" else name): words for name, words in SHOWN.items()}}
    alpha = data.results.study.alpha
    return View(
        name="task_significance",
        title="Which tasks differ",
        answer=_task_answer(data),
        caption=f"p of the claim that is chosen, for the mean over layers; further right is stronger evidence. Dashed: {alpha:g}, at or beyond which a claim is supported. Grey tick: the "
        "smallest p that this number of trained models can give, however large the difference; where it lies left of the dashed line, nothing could have been supported. "
        "Single tasks are not corrected over tasks; over several methods p is corrected by Holm. The effect with its interval is on hover, and drawn in How much less drift.",
        spec=_tasks_spec(rows, arm_colors(data), shown, alpha),
        rows=rows,
        filters=("task_claim", "task", "arm"),
        choices=[_claims(rows["task_claim"], "task_claim")],
        keyboard=("arm", "task"),
        shown=shown,
        group=_GROUP,
        legend=[
            *([LegendEntry(arm, color) for arm, color in arm_colors(data).items() if (rows["arm"] == arm).any()] if data.several_arms else []),
            *_legend(rows["verdict"]),
        ],
    )  # fmt: skip


def _claims(found: pd.Series, column: str) -> Filter:
    names = list(dict.fromkeys(found))
    return Filter(column, "Claim: the method", [(name, name) for name in names], names[:1], several=False)


def _legend(found: pd.Series) -> list[LegendEntry]:
    there = [verdict for verdict in VERDICTS.values() if (found == verdict).any()]
    return [
        LegendEntry(verdict, CONTROL_GREY, (0, 30), _OUTLINES.get(verdict, SHAPES[_MARKS[verdict]]))
        for verdict in there
    ]


def _answer(data: ReportData) -> list[str]:
    """The number of layers in which each method is shown to drift less, and whether the design could show it."""
    found = [(each, tests) for each in data.contrasts if (tests := each.layer_tests(LESS))]
    if not found:
        return []
    counts = [
        (method_title(each.results.study.comparison_method), len(layers_with(tests, "supported")))
        for each, tests in found
    ]
    of = f"of {counted(len(found[0][1]), 'layer')} after correction"
    less = f"to drift less than {method_title(data.results.study.reference_method)}"
    opposite = [
        f"{method_title(each.results.study.comparison_method)} in {layers_named(more)}"
        for each, tests in found
        if (more := layers_with(tests, "rejected"))
    ]
    (name, most), *others = sorted(counts, key=lambda item: -item[1]) if len(counts) > _MOST_ANSWERS else counts
    said = f"{name} is shown {less} in {most} {of}"
    if len(counts) > _MOST_ANSWERS:
        rest = [count for _, count in others]
        said = f"Of {counted(len(counts), 'method')}, {name} is shown {less} in most layers, {most} {of}; the others in {min(rest)} to {max(rest)}"
    elif others:
        said += f"; {listed([f'{other} in {count}' for other, count in others])}"
    smallest = [s for _, tests in found for t in tests if (s := t.smallest_deciding_pvalue) is not None]
    alpha = data.results.study.alpha
    reach = [f"The smallest p that could come out in a layer is {pvalue(min(smallest))}, so that {alpha:g} {'can' if min(smallest) <= alpha else 'cannot'} be reached."] if smallest else []  # fmt: skip
    if opposite:
        said += f". The opposite, that it drifts more, is shown for {listed(opposite[:_MOST_ANSWERS])}"
    return [f"{said}.", *reach]


def _task_answer(data: ReportData) -> list[str]:
    """The tasks in which the methods are shown to drift less, and the test whether the reduction differs between tasks."""
    tested = [
        (each, task, test) for each in data.contrasts for task in data.tasks if (test := each.test(LESS, task)) is not None
    ]  # fmt: skip
    supported = [
        f"{task_title(task)} ({method_title(each.results.study.comparison_method)}, {p_equals(p)})"
        for each, task, test in tested
        if test.verdict == "supported" and (p := deciding_pvalue(test)) is not None
    ]
    more = [
        f"{task_title(task)} ({method_title(each.results.study.comparison_method)})"
        for each, task, test in tested
        if test.verdict == "rejected"
    ]
    subject = "A method" if data.several_arms else method_title(data.results.study.comparison_method)
    of = counted(len(tested), "pair of method and task", "pairs of method and task") if data.several_arms else counted(len(tested), "task")  # fmt: skip
    named = f": {listed(supported)}" if 0 < len(supported) <= _MOST_ANSWERS else ""
    reference = method_title(data.results.study.reference_method)
    said = f"{sentence_case(subject)} is shown to drift less than {reference} in {len(supported)} of {of}{named}."
    if more:
        said += f" The opposite, that it drifts more, is shown on {some_listed(more, most=_MOST_ANSWERS)}."
    tests = [test for each in data.contrasts if (test := each.test(INTERACTION, ALL_TASKS)) is not None]
    return [said, *(test.sentence for test in tests[: _MOST_ANSWERS - 1])]


def _clusters(data: ReportData) -> list[WordedSection]:
    """Adjacent layers in which a method differs, as a table; none without clusters."""
    words = claims_about_methods(data)
    study = data.results.study
    rows = [
        [method_title(at.comparison or study.comparison_method), words[at.hypothesis], str(at.first_layer), str(at.last_layer), short_number(at.mass), pvalue(at.pvalue), pvalue(at.smallest_pvalue)]
        for at in data.results.clusters
        if at.hypothesis in words
    ]  # fmt: skip
    if not rows:
        return []
    caption = (
        "Cluster permutation test over all tasks. A small p says that the methods differ, and that it shows most in these layers; it does not say that they differ in every one of them. "
        "Over several methods p is corrected by Holm."
    )
    header = ("method", "claim", "first layer", "last layer", "mass", "p of the cluster", "smallest possible p")
    return [
        WordedSection(
            "clusters",
            "Adjacent layers that differ",
            tables=[CaptionedTable("Clusters of layers", caption, header, rows)],
        )
    ]


def _mark_of_verdict(rows: pd.DataFrame) -> dict[str, Any]:
    there = [verdict for verdict in VERDICTS.values() if (rows["verdict"] == verdict).any()]
    return {"shape": alt.Shape("verdict:N", **look(there, [_MARKS[verdict] for verdict in there]))}


def _points(base: alt.Chart, rows: pd.DataFrame, size: int, *channels: Any) -> list[alt.Chart]:
    """Marks of the verdict: filled where something is shown, hollow elsewhere."""
    shown = "indexof([" + ",".join(quoted(name) for name in _FILLED) + "], datum.verdict)"
    mark = _mark_of_verdict(rows)["shape"]
    return [
        base.transform_filter(f"{shown} >= 0").mark_point(filled=True, size=size, opacity=1).encode(mark, *channels),
        base.transform_filter(f"{shown} < 0").mark_point(filled=False, size=size, strokeWidth=1.5, opacity=1).encode(mark, *channels),
    ]  # fmt: skip


def _layers_spec(rows: pd.DataFrame, colors: dict[str, str], shown: dict[str, str]) -> dict[str, Any]:
    known = pd.concat([rows[name].dropna().astype(float) for name in ("effect", "low", "high", "margin")])
    low, high = max(_FLOOR, min(0.0, *known)) - 4, min(_CEILING, max(0.0, *known)) + 4
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    x, color, tips = layer_axis(rows["layer"]), arm_color(colors), tooltip(typed(rows, shown))
    base = alt.Chart(alt.NamedData("rows"))

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title="reduction of drift, %", scale=scale)

    drawn = base.transform_filter("isValid(datum.effect)")
    bars = (
        drawn.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .transform_calculate(from_=f"clamp(datum.low, {low}, {high})", to=f"clamp(datum.high, {low}, {high})")
        .mark_rule(strokeWidth=2.5, opacity=0.4)
        .encode(x, y("from_"), alt.Y2("to:Q"), color, tooltip=tips)
    )
    inside = drawn.transform_filter(f"datum.effect >= {low} && datum.effect <= {high}")
    size = 60 if rows["layer"].nunique() <= 40 else 30
    points = [chart.encode(tooltip=tips) for chart in _points(inside, rows, size, x, y("effect"), color)]
    beyond = [
        drawn.transform_filter(test)
        .transform_calculate(edge=str(edge))
        .mark_point(filled=False, size=2 * size, strokeWidth=2.5, opacity=1, shape=arrow)
        .encode(x, y("edge"), color, tooltip=tips)
        for test, edge, arrow in (
            (f"datum.effect < {low} || datum.low < {low}", low, "M-.9,-.5L0,.5L.9,-.5"),
            (f"datum.effect > {high} || datum.high > {high}", high, "M-.9,.5L0,-.5L.9,.5"),
        )
    ]
    zero = base.transform_aggregate(rows="count()").transform_calculate(edge="0").mark_rule(color=CONTROL_GREY).encode(y("edge"))  # fmt: skip
    margin = base.transform_aggregate(edge="max(margin)").mark_rule(color=CONTROL_GREY, strokeDash=[6, 4]).encode(y("edge"))  # fmt: skip
    layers = [chosen_rule(base, x), zero, margin, bars, *points, *beyond]
    return alt.layer(*layers).add_params(chosen_layer()).properties(height=240).to_dict()


def _tasks_spec(rows: pd.DataFrame, colors: dict[str, str], shown: dict[str, str], alpha: float) -> dict[str, Any]:
    known = pd.concat([rows[name].dropna().astype(float) for name in ("p", "smallest")])
    least = max(1e-12, min([alpha, *known[known > 0]])) / 1.6
    scale = alt.Scale(type="log", domain=[1.3, least], nice=False, clamp=True)

    def x(field: str) -> alt.X:
        return alt.X(
            f"{field}:Q", title="p of the claim", scale=scale, axis=alt.Axis(format="~g", tickCount=5, grid=False)
        )

    y = alt.Y("task:N", title=None, sort=list(dict.fromkeys(rows["task"])), axis=names_axis())
    arms = [name for name in colors if (rows["arm"] == name).any()]
    offset, color, tips = alt.YOffset("arm:N", sort=arms), arm_color(colors), tooltip(typed(rows, shown))
    base = alt.Chart(alt.NamedData("rows"))
    drawn = base.transform_filter("isValid(datum.p)")
    lines = drawn.transform_calculate(one="1").mark_rule(strokeWidth=1.5, opacity=0.5).encode(x("one"), alt.X2("p:Q"), y, offset, color, tooltip=tips)  # fmt: skip
    ticks = (
        base.transform_filter("isValid(datum.smallest)")
        .mark_tick(thickness=2, size=10, color=CONTROL_GREY)
        .encode(x("smallest"), y, offset, tooltip=tips)
    )
    points = [chart.encode(tooltip=tips) for chart in _points(drawn, rows, 75, x("p"), y, offset, color)]
    absent = (
        base.transform_filter("!isValid(datum.p)")
        .transform_calculate(one="1")
        .mark_point(shape="M-.6,-.6L.6,.6M.6,-.6L-.6,.6", size=60, strokeWidth=1.6, color=CONTROL_GREY)
        .encode(x("one"), y, offset, tooltip=tips)
    )
    edge = (
        base.transform_aggregate(rows="count()")
        .transform_calculate(alpha=str(alpha))
        .mark_rule(color=CONTROL_GREY, strokeDash=[6, 4])
        .encode(x("alpha"))
    )
    step = max(30, 15 * len(arms))
    chart = alt.layer(edge, lines, ticks, *points, absent).properties(height={"step": step})
    return chart.properties(usermeta={"rowsBy": "task"}).to_dict()


register(ViewSpec("significance", 22, of_study=layers_of_study))
register(ViewSpec("task_significance", 21, of_study=tasks_of_study))
