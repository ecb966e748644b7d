"""Drift against score, with a panel for each metric and a point for each trained model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from repdrift.core.measure_words import drift_definition
from repdrift.core.records.claims import ScoreAssociation
from repdrift.core.words import chosen_percent, counted, method_title, p_equals
from repdrift.report.figure_size import page_width_in
from repdrift.report.figures import FigureSpec, register
from repdrift.report.labels import FONT_PT, NOTE_PT, fitted, wrapped
from repdrift.report.panels import PanelPlan, draw_grid, panel_plan
from repdrift.report.report_data import ReportData
from repdrift.report.style import GREY
from repdrift.report.task_fillings import draw_mark, legend_of_marks

_PANEL_IN = 1.9
_FEW_METHODS = 3
"""With more methods the caption has the correlation over all of them alone."""


@dataclass(frozen=True)
class _Point:
    task: str
    method: str
    drift: float
    score: float


def draw(data: ReportData) -> Figure:
    """Marks are methods, their filling is the task. The correlation within tasks and methods stands above each panel; the caption has that of each method."""
    metrics, plan = _metrics(data), _plan(data)
    figure = Figure()
    points = {metric: _points(data, metric) for metric in metrics}
    panels = draw_grid(figure, plan)
    for axes, metric in zip(panels, metrics, strict=False):
        for point in points[metric]:
            draw_mark(axes, point.drift, point.score, point.task, point.method, data)
        axes.margins(0.08)
        axes.locator_params(nbins=5)
        axes.set_ylabel(fitted(metric, 72 * _PANEL_IN - 40, FONT_PT))
        axes.set_title(_above(data, metric), fontsize=NOTE_PT, color=GREY, loc="left")
    definition = drift_definition(data.results.study, data.results.study.primary_measure)
    figure.supxlabel(
        "\n".join(wrapped(f"drift, {definition}, mean over layers", 72 * page_width_in() - 20)), fontsize=FONT_PT
    )
    height = legend_of_marks(figure, data, {(point.task, point.method) for found in points.values() for point in found})
    figure.set_size_inches(page_width_in(), plan.rows * _PANEL_IN + height + 0.3)
    return figure


def _plan(data: ReportData) -> PanelPlan:
    return panel_plan(len(_metrics(data)), _PANEL_IN, besides_in=1.6)


def _metrics(data: ReportData) -> list[str]:
    """Metrics for which there is an association and a trained model with a value."""
    named = dict.fromkeys(association.metric for association in data.results.associations)
    return [metric for metric in named if _points(data, metric)]


def _points(data: ReportData, metric: str) -> list[_Point]:
    """A point for every final model that has the score and a drift in every layer."""
    found: list[_Point] = []
    for run in data.results.runs:
        score = run.metrics.get(metric)
        if run.step != 0 or run.status != "ok" or score is None or not np.isfinite(score):
            continue
        drift = data.drift(run.task, run.method)
        means = drift[drift.index == run.seed].to_numpy(dtype=float).mean(axis=1)
        found += [_Point(run.task, run.method, float(mean), score) for mean in means if np.isfinite(mean)]
    return found


def _above(data: ReportData, metric: str) -> str:
    """The correlation over all methods in one line: `ρ = −0.31 (−0.70 to 0.20), n = 12`."""
    of_all = [a for a in data.results.associations if a.metric == metric and a.method is None]
    return _numbers(of_all[0]) if of_all else ""


def _numbers(association: ScoreAssociation) -> str:
    models = f"n = {association.n_units}"
    if association.correlation is None:
        return f"no correlation ({models})"
    known = association.low is not None and association.high is not None
    ends = f" ({_signed(association.low)} to {_signed(association.high)})" if known else ""
    return f"ρ = {_signed(association.correlation)}{ends}, {models}"


def _notes(data: ReportData, metric: str) -> list[str]:
    """The correlations of a metric: of all methods together, and of each where there are few."""
    few = len(data.methods) <= _FEW_METHODS
    return [_note(a) for a in data.results.associations if a.metric == metric and (few or a.method is None)]


def _note(association: ScoreAssociation) -> str:
    """An association in words: `LoRA ρ = -0.31 (-0.70 to 0.20), n = 12, p = 0.21`."""
    whose = "all methods" if association.method is None else method_title(association.method)
    pvalue = "" if association.pvalue is None else f", {p_equals(association.pvalue)}"
    return f"{whose} {_numbers(association)}{pvalue}"


def _signed(value: float | None) -> str:
    """The value in two decimals, with the minus sign that matplotlib uses on axes."""
    return "?" if value is None else f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    said = [f"For {metric}: {'; '.join(_notes(data, metric))}" for metric in _metrics(data)]
    missing = [
        f"{metric} of {counted(count, 'final model')}"
        for metric in _metrics(data)
        if (count := _final_models(data) - len(_points(data, metric)))
    ]
    return (
        "Each point is a final model; marks are methods, their filling is the task. Above: the rank correlation (ρ) of drift and score within tasks and methods, "
        f"with its {chosen_percent(data.results.study.confidence)} interval over models where there are enough of them. {'. '.join(said)}"
        f"{'' if len(data.methods) <= _FEW_METHODS else ' (that of each method is in the tables)'}. Differences between tasks, which the points show, do not "
        "enter them. A correlation does not say what causes what: a model that learnt more may drift more for that reason."
        + (f" Not there: {', '.join(missing)}." if missing else "")
        + _plan(data).says_what_is_left_out("the tables have all scores")
    )


def _final_models(data: ReportData) -> int:
    return sum(run.step == 0 and run.status == "ok" for run in data.results.runs)


def describe(data: ReportData) -> str:
    """Says every association, in the words of the analysis."""
    parts = [
        f"{a.metric}, {'all methods' if a.method is None else method_title(a.method)}: {a.sentence}"
        for a in data.results.associations
        if a.metric in _metrics(data)
    ]
    text = f"Scatter of drift against score. {' '.join(parts)}"
    return text if text.endswith(".") else f"{text}."


register(
    FigureSpec(
        "score",
        8,
        "Does drift go with the score",
        caption,
        describe,
        draw,
        absent=lambda data: (
            None if _metrics(data) else "no score has an association with drift and a final model that has both"
        ),
    )
)
