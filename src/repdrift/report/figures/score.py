"""Drift against score, with a panel for each metric and a point for each trained model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repdrift.core.records.claims import ScoreAssociation
from repdrift.core.words import chosen_percent, counted, method_title, p_equals
from repdrift.report.figures import FigureSpec, register
from repdrift.report.report_data import ReportData
from repdrift.report.style import (
    FULL_WIDTH_IN,
    GREY,
    INK,
    NOTE_PT,
    legend_columns,
    method_color,
    method_label,
    plain,
    task_label,
    task_mark,
)
from repdrift.report.wording import drift_definition

_COLUMNS = 2
_LONGEST_NAME = 16
_PANEL_HEIGHT_IN = 2.35
_LEGEND_LINE_IN = 0.17
_NOTE_LINE_IN = 0.13
_FEW_METHODS = 3
"""With more methods each panel has a row of its own, so that the lines above it have room."""


@dataclass(frozen=True)
class _Point:
    task: str
    method: str
    drift: float
    score: float


def draw(data: ReportData) -> Figure:
    """Colours are methods, marks are tasks. The correlations within tasks stand above each panel, with their intervals."""
    metrics = _metrics(data)
    columns = min(_COLUMNS, len(metrics)) if len(data.methods) <= _FEW_METHODS else 1
    rows = math.ceil(len(metrics) / columns)
    figure = Figure()
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    points = {metric: _points(data, metric) for metric in metrics}
    for axes, metric in zip(panels, metrics, strict=False):
        for point in points[metric]:
            marker, hollow = task_mark(point.task, data.tasks)
            color = method_color(point.method, data.methods)
            face = "white" if hollow else color
            axes.plot(point.drift, point.score, marker, color=color, markerfacecolor=face, markersize=4.5, alpha=0.85)
        axes.margins(0.08)
        axes.locator_params(nbins=6)
        axes.set_ylabel(plain(metric))
        axes.set_title("\n".join(_notes(data, metric)), fontsize=NOTE_PT, color=GREY, loc="left")
    for axes in panels[len(metrics) :]:
        axes.remove()
    figure.supxlabel(
        f"drift, {drift_definition(data.results.study, data.results.study.primary_measure)}, mean over layers",
        fontsize=8,
    )
    lines = _legend(figure, data, [point for found in points.values() for point in found])
    notes = max(len(_notes(data, metric)) for metric in metrics)
    height = rows * (_PANEL_HEIGHT_IN + _NOTE_LINE_IN * notes) + _LEGEND_LINE_IN * lines + 0.2
    figure.set_size_inches(FULL_WIDTH_IN, height)
    return figure


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


def _notes(data: ReportData, metric: str) -> list[str]:
    return [_note(a) for a in data.results.associations if a.metric == metric]


def _note(association: ScoreAssociation) -> str:
    """An association in one line: `LoRA: ρ = -0.31 (-0.70 to 0.20), p = 0.21, n = 12`."""
    whose = "all methods" if association.method is None else plain(method_title(association.method), _LONGEST_NAME)
    models = f"n = {association.n_units}"
    if association.correlation is None:
        return f"{whose}: no correlation ({models})"
    known = association.low is not None and association.high is not None
    ends = f" ({_signed(association.low)} to {_signed(association.high)})" if known else " (no interval)"
    pvalue = "" if association.pvalue is None else f", {p_equals(association.pvalue)}"
    return f"{whose}: ρ = {_signed(association.correlation)}{ends}{pvalue}, {models}"


def _signed(value: float | None) -> str:
    """The value in two decimals, with the minus sign that matplotlib uses on axes."""
    return "?" if value is None else f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def _legend(figure: Figure, data: ReportData, points: list[_Point]) -> int:
    """Add the legend: methods by colour, then tasks by mark. Returns its number of lines."""
    entries: list[tuple[Artist, str]] = []
    for method in [m for m in data.methods if any(p.method == m for p in points)]:
        dot = Line2D([], [], color=method_color(method, data.methods), marker="o", markersize=5, linewidth=0)
        entries.append((dot, method_label(method)))
    for task in [t for t in data.tasks if any(p.task == t for p in points)]:
        marker, hollow = task_mark(task, data.tasks)
        face = "white" if hollow else INK
        entries.append(
            (
                Line2D([], [], color=INK, marker=marker, markerfacecolor=face, markersize=4.5, linewidth=0),
                task_label(task),
            )
        )
    handles, labels = [handle for handle, _ in entries], [label for _, label in entries]
    columns = legend_columns(labels)
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, columnspacing=1.2)
    return math.ceil(len(entries) / columns)


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    missing = [
        f"{metric} of {counted(count, 'final model')}"
        for metric in _metrics(data)
        if (count := _final_models(data) - len(_points(data, metric)))
    ]
    return (
        "Each point is a final model; colours are methods, marks are tasks. Above: rank correlations (ρ) of drift and score within tasks and methods, "
        f"with {chosen_percent(data.results.study.confidence)} intervals over models; differences between tasks, which the points show, do not "
        "enter them. A correlation does not say what causes what: a model that learnt more may drift more for that reason."
        + (f" Not there: {', '.join(missing)}." if missing else "")
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
        "score", 8, "Does drift go with the score", caption, describe, draw, possible=lambda data: bool(_metrics(data))
    )
)
