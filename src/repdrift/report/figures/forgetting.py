"""Draws what was forgotten against drift and against the score: a mark for each method and task, a row of panels for each outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repdrift.core.measure_words import drift_definition
from repdrift.core.records.outcomes import ON_BENCHMARK, ON_GENERAL_TEXT, ArmOutcome
from repdrift.core.words import chosen_percent, counted, method_title, short_number, task_title
from repdrift.report.figure_size import MOST_HEIGHT_IN, is_narrow, page_width_in
from repdrift.report.figures import FigureSpec, register
from repdrift.report.glance.study_numbers import final_score, models_of
from repdrift.report.labels import FONT_PT, fitted, wrapped
from repdrift.report.report_data import ReportData
from repdrift.report.style import GREY, method_look
from repdrift.report.task_fillings import draw_mark, legend_of_marks

_PANEL_IN = 2.0
_LOST = {
    ("forgetting", ON_GENERAL_TEXT): (1, "forgetting (rise of the loss)"),
    ("retrieval", ON_BENCHMARK): (-1, "lost of retrieval (reciprocal rank)"),
}
"""Outcomes of which a change is a loss: the sign of the loss, and its axis."""


@dataclass(frozen=True)
class _Mark:
    """The final models of one method and task. low, high: the interval of the loss; None: there is none."""

    task: str
    method: str
    drift: float | None
    score: float | None
    loss: float
    low: float | None
    high: float | None


def _marks(data: ReportData, kind: tuple[str, str]) -> list[_Mark]:
    outcomes = data.results.outcomes
    sign = _LOST[kind][0]
    found: list[_Mark] = []
    for arm in outcomes.arms if outcomes is not None else []:
        if (arm.outcome, arm.inputs) != kind or arm.step or arm.layer is not None or arm.difference is None:
            continue
        score = final_score(data, arm.task, arm.method)
        low, high = _ends(arm, sign)
        drift = models_of(data, arm.task, arm.method).drift
        found.append(
            _Mark(arm.task, arm.method, drift, None if score is None else score.mean, sign * arm.difference, low, high)
        )
    return found


def _ends(arm: ArmOutcome, sign: int) -> tuple[float | None, float | None]:
    if arm.low is None or arm.high is None:
        return None, None
    return min(sign * arm.low, sign * arm.high), max(sign * arm.low, sign * arm.high)


def _kinds(data: ReportData) -> list[tuple[str, str]]:
    """Outcomes that at least two marks with a drift have."""
    return [kind for kind in _LOST if sum(mark.drift is not None for mark in _marks(data, kind)) > 1]


def draw(data: ReportData) -> Figure:
    """Left: against the mean drift. Right: against the score that was reached."""
    kinds, narrow = _kinds(data), is_narrow()
    rows, columns = (2 * len(kinds), 1) if narrow else (len(kinds), 2)
    figure = Figure()
    panels: Sequence[Axes] = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for at, kind in enumerate(kinds):
        marks, label = _marks(data, kind), _LOST[kind][1]
        across = (page_width_in() / columns - 0.5) * 72
        definition = drift_definition(data.results.study, data.results.study.primary_measure)
        drift = "\n".join(wrapped(f"drift, {definition}, mean over layers", across))
        for axes, name, words in ((panels[2 * at], "drift", drift), (panels[2 * at + 1], "score", _score_words(data))):
            _panel(axes, data, marks, name)
            axes.set_xlabel(words, fontsize=FONT_PT)
            axes.set_ylabel("\n".join(wrapped(label, 72 * _PANEL_IN - 40)), fontsize=FONT_PT)
    height = legend_of_marks(figure, data, {(m.task, m.method) for kind in kinds for m in _marks(data, kind)})
    panel = min(_PANEL_IN + 0.3, (MOST_HEIGHT_IN - 0.6 - height) / rows)  # 0.6: what a caution may take
    figure.set_size_inches(page_width_in(), rows * panel + height)
    return figure


def _panel(axes: Axes, data: ReportData, marks: Sequence[_Mark], name: str) -> None:
    axes.axhline(0, color=GREY, linewidth=0.7)
    for mark in marks:
        place = getattr(mark, name)
        if place is None:
            continue
        if mark.low is not None and mark.high is not None:
            color = method_look(mark.method, data.methods).color
            axes.plot([place, place], [mark.low, mark.high], color=color, linewidth=0.9)
        draw_mark(axes, place, mark.loss, mark.task, mark.method, data)
    axes.margins(0.1)
    axes.locator_params(nbins=5)


def _score_words(data: ReportData) -> str:
    scores = [final_score(data, task, method) for task in data.tasks for method in data.methods]
    metrics = list(dict.fromkeys(score.metric for score in scores if score is not None))
    return fitted(metrics[0] if len(metrics) == 1 else "score (each task's primary one)", 72 * _PANEL_IN, FONT_PT)


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    without = sum(mark.low is None for kind in _kinds(data) for mark in _marks(data, kind))
    lacking = counted(without, "mark")
    return (
        "Each mark is the mean of a method's final models on one task; marks are methods, their filling is the task. Upright lines: "
        f"{chosen_percent(data.results.study.confidence)} intervals over models and items where there are three models, else over items, for these models"
        f"{f' ({lacking} without one)' if without else ''}. Above zero: something was lost. Of two methods at one score, the lower one paid less "
        "for it. Whether a loss follows drift or score is not told by so few marks, and methods differ in both."
    )


def describe(data: ReportData) -> str:
    """Says every mark."""
    parts: list[str] = []
    for kind in _kinds(data):
        said = [
            f"{task_title(m.task)}, {method_title(m.method)} {short_number(m.loss)} at drift {short_number(m.drift)}"
            for m in _marks(data, kind)
            if m.drift is not None
        ]
        parts.append(f"{_LOST[kind][1]}: {'; '.join(said)}.")
    return f"Scatter of what was lost against drift and against score. {' '.join(parts)}"


register(
    FigureSpec(
        "forgetting",
        8,
        "Drift, score, and what was forgotten",
        caption,
        describe,
        draw,
        absent=lambda data: (
            None if _kinds(data) else "neither forgetting on general text nor retrieval was measured for two methods"
        ),
    )
)
