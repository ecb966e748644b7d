"""Drift as a predictor: each measure's rank correlation with the score and with forgetting, with its interval."""

from __future__ import annotations

import re

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repdrift.core.records.drift_predictors import DriftPredictors
from repdrift.core.words import chosen_percent
from repdrift.report.figure_size import is_narrow, page_width_in
from repdrift.report.figures import FigureSpec, register
from repdrift.report.labels import FONT_PT, NOTE_PT, fitted_names, plain, text_width_pt, wrapped
from repdrift.report.panels import legend_above, panel_title
from repdrift.report.report_data import ReportData
from repdrift.report.style import GREY, INK

_LINE_IN = 0.12
_DETAIL = re.compile(r",? (mean )?over (the|its) .*$|\s*\(.*\)$")
"""The end of a title that the caption has room for, and a label has not."""


def draw(data: ReportData) -> Figure:
    """A panel for each outcome; filled marks hold after the correction over measures."""
    shown, narrow = _shown(data), is_narrow()
    labels = _labels(data)
    row_in = 0.05 + _LINE_IN * max(1 + label.count("\n") for label in labels)
    rows = max(len(labels), 2)
    figure = Figure()
    panels = list(
        figure.subplots(len(shown) if narrow else 1, 1 if narrow else len(shown), sharey=True, squeeze=False).flat
    )
    for axes, found in zip(panels, shown, strict=True):
        _panel(axes, found, _names(data), data.results.study.alpha)
        axes.set_yticks(range(len(labels)), labels)
        width = (72 * page_width_in() - max(text_width_pt(label.split("\n"), NOTE_PT) for label in labels)) / (
            1 if narrow else len(shown)
        ) - 16
        panel_title(axes, f"against {_outcome(found)} (n = {found.n_units})", (), width)
    marks = [Line2D([], [], color=INK, marker="o", linewidth=0, markerfacecolor=face) for face in (INK, "white")]
    height = legend_above(figure, marks, [f"corrected p of {data.results.study.alpha:g} or less", "more"])
    figure.supxlabel("rank correlation within tasks and methods", fontsize=FONT_PT)
    figure.set_size_inches(page_width_in(), (0.55 + row_in * rows) * (len(shown) if narrow else 1) + 0.3 + height)
    return figure


def _shown(data: ReportData) -> list[DriftPredictors]:
    """Outcomes with which some measure could be correlated."""
    return [
        found for found in data.results.drift_predictors if any(c.correlation is not None for c in found.correlations)
    ]


def _names(data: ReportData) -> list[str]:
    """Measures with a correlation, in the order of the results."""
    return list(
        dict.fromkeys(c.measure for found in _shown(data) for c in found.correlations if c.correlation is not None)
    )


def _labels(data: ReportData) -> list[str]:
    """The titles of the measures as people write them, in lines beside the panels."""
    titles = {
        c.measure: _DETAIL.sub("", c.title) for found in data.results.drift_predictors for c in found.correlations
    }
    width = 72 * page_width_in() * (0.4 if is_narrow() else 0.28)
    short = fitted_names([titles[name] for name in _names(data)], 1.8 * width)
    return ["\n".join(wrapped(name, width, NOTE_PT)) for name in short]


def _outcome(found: DriftPredictors) -> str:
    return plain(_DETAIL.sub("", found.outcome_title), 60)


def _panel(axes: Axes, found: DriftPredictors, names: list[str], alpha: float) -> None:
    axes.axvline(0, color=GREY, linewidth=0.7)
    for each in found.correlations:
        if each.correlation is None:
            continue
        row = names.index(each.measure)
        if each.low is not None and each.high is not None:
            axes.plot([each.low, each.high], [row, row], color=INK, linewidth=1.0)
        sure = each.pvalue_max_t is not None and each.pvalue_max_t <= alpha
        axes.plot(each.correlation, row, "o", color=INK, markerfacecolor=INK if sure else "white", markersize=4.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(-1.05, 1.05)


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    confidence = chosen_percent(data.results.study.confidence)
    return (
        f"Each measure's drift against an outcome, over final models, within tasks and methods; bars are {confidence} intervals over models where "
        "there are enough of them. Measures of weights are over the changed weights of a layer. Right of zero: models that drift more score higher, or forget or lose more. A correlation does not say what "
        "causes what, and most measures move together."
    )


def describe(data: ReportData) -> str:
    """Says the outcome in words, then every correlation."""
    parts: list[str] = []
    for found in _shown(data):
        values = "; ".join(f"{c.title} {c.correlation:.2f}" for c in found.correlations if c.correlation is not None)
        parts.append(f"{found.sentence} All, against {found.outcome_title}: {values}.")
    return " ".join(parts)


register(
    FigureSpec(
        "predictors",
        10,
        "Which drift goes with what",
        caption,
        describe,
        draw,
        absent=lambda data: (
            None
            if _shown(data)
            else "no measure could be correlated with a score or with forgetting: too few final models have one"
        ),
    )
)
