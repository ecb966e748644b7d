"""The p-values of several methods against one reference, corrected over them, beside the smallest that could come out."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from repdrift.core.claim_parts import correction_in_words, deciding_pvalue
from repdrift.core.hypotheses import LESS, METHOD_CLAIMS
from repdrift.core.records.claims import Hypothesis
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import method_title, p_equals, task_title
from repdrift.report.figure_size import MOST_HEIGHT_IN, is_narrow, page_width_in
from repdrift.report.figures._pvalues import EDGE, HEADROOM, alpha_line, p_axis, place, short_claim, smallest_of
from repdrift.report.heat_cells import MISSING_KEY, heat_layers
from repdrift.report.labels import NOTE_PT, fitted_names
from repdrift.report.panels import legend_above, panel_title
from repdrift.report.report_data import ReportData, layers_with
from repdrift.report.style import FAINT, GREY, HATCH, INK, method_look, note, task_mark, task_names

_ROW_IN = {False: 0.15, True: 0.125}
"""Height of a row in a wide and in a narrow figure."""
_PANEL_IN = 0.5
"""Height of a panel beside its rows."""
_LEGEND_IN = 0.95
_SHADES = ("#e9e9e9", "#9ecae1", "#3182bd", "#08306b")
"""Of cells by layer: not supported, then p at most alpha, a fifth and a fiftieth of it."""
_PARTS = (1.0, 5.0, 50.0)


def draw(data: ReportData) -> Figure:
    """Two panels for each claim, a row for each method: the deciding p by task, and by layer as cells."""
    shown = _shown(data)
    figure, narrow, count = Figure(), is_narrow(), len(shown)
    grid: Any = figure.subplots(
        4 if narrow else 2, 1 if narrow else 2, squeeze=False, sharey=True, width_ratios=None if narrow else [1.0, 1.25]
    )
    panels = list(grid.flat)
    names = fitted_names(
        [method_title(method) for method in data.results.study.contrasted[:count]], 66 if narrow else 110
    )
    width = 72 * page_width_in() * (1.0 if narrow else 0.5) - (90 if narrow else 70)
    top = _top(data)
    for row, hypothesis in enumerate(METHOD_CLAIMS):
        left, right = panels[2 * row : 2 * row + 2]
        _by_task(left, data, hypothesis, top)
        _by_layer(right, data, hypothesis, 0.72 if narrow else 0.42, word=row == 1)
        panel_title(left, short_claim(hypothesis, data), (), width)
        panel_title(right, "by layer, all tasks" if len(data.tasks) > 1 else "by layer", (), width)
        for axes in (left, right):
            axes.set_yticks(range(count), names)
            axes.set_ylim(count - 0.4, -0.6)
            axes.tick_params(axis="y", length=0)
        left.set_xlabel("p, mean over layers, corrected" if row == 1 or narrow else "")
    keys = _keys(data)
    height = legend_above(figure, keys, [str(key.get_label()) for key in keys])
    figure.set_size_inches(page_width_in(), (4 if narrow else 2) * (_ROW_IN[narrow] * count + _PANEL_IN) + height)
    return figure


def _shown(data: ReportData) -> list[ReportData]:
    """The contrasts that fit on a page, in the study's order."""
    narrow = is_narrow()
    room = (MOST_HEIGHT_IN - _LEGEND_IN) / (4 if narrow else 2) - _PANEL_IN
    return data.contrasts[: int(room / _ROW_IN[narrow])]


def _top(data: ReportData) -> float:
    found = [
        deciding_pvalue(test) for contrast in data.contrasts for test in contrast.results.tests if test.layer is None
    ]
    return HEADROOM * max([place(data.results.study.alpha), *(place(p) for p in found if p is not None)])


def _by_task(axes: Axes, data: ReportData, hypothesis: Hypothesis, top: float) -> None:
    overall = ALL_TASKS if len(data.tasks) > 1 else data.tasks[0]
    for row, contrast in enumerate(_shown(data)):
        look = method_look(contrast.results.study.comparison_method, data.methods)
        for name in data.tasks if overall == ALL_TASKS else ():
            test = contrast.test(hypothesis, name)
            p = None if test is None else deciding_pvalue(test)
            if p is not None:
                axes.plot(
                    place(p),
                    row,
                    task_mark(name, data.tasks)[0],
                    color=GREY,
                    markerfacecolor="white",
                    markersize=3.2,
                    markeredgewidth=0.6,
                    clip_on=False,
                )
        test = contrast.test(hypothesis, overall)
        p = None if test is None else deciding_pvalue(test)
        if test is None or p is None:
            axes.text(top / 2, row, "no test", ha="center", va="center", fontsize=NOTE_PT, color=GREY)
            continue
        axes.plot([0, place(p)], [row, row], color=look.color, linewidth=1.0, zorder=1.5)
        face = look.color if test.verdict == "supported" else "white"
        axes.plot(
            place(p), row, look.marker, color=look.color, markerfacecolor=face, markersize=4.5, zorder=3, clip_on=False
        )
        if (smallest := smallest_of(test)) is not None and place(smallest) <= top:
            axes.plot(place(smallest), row, "|", color=GREY, markersize=8, zorder=1.2, clip_on=False)
    axes.set_xlim(-EDGE * top, top)
    p_axis(axes.xaxis, top)
    alpha_line(axes, data.results.study.alpha, upright=True)


def _by_layer(axes: Axes, data: ReportData, hypothesis: Hypothesis, room: float, *, word: bool) -> None:
    pvalues = np.array([_deciding(contrast, hypothesis) for contrast in _shown(data)])
    heat_layers(axes, data.layers, room, word=word or is_narrow())
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if not np.isfinite(pvalues).any():
        note(axes, "no test by layer", (0.5, 0.5))
        return
    axes.patch.set(hatch=HATCH, edgecolor=GREY, linewidth=0)  # seen where there is no test
    axes.imshow(
        p_classes(pvalues, data.results.study.alpha),
        cmap=ListedColormap(_SHADES),
        norm=BoundaryNorm(np.arange(5) - 0.5, 4),
        aspect="auto",
        interpolation="nearest",
    )
    for row in range(1, len(pvalues)):
        axes.axhline(row - 0.5, color="white", linewidth=0.8)


def p_classes(pvalues: np.ndarray, alpha: float) -> np.ndarray:
    """The class of each p: 0 above alpha, then one more for each of alpha, a fifth and a fiftieth of it that p does not exceed; NaN stays."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(pvalues), sum((pvalues <= alpha / part).astype(float) for part in _PARTS), np.nan)


def _deciding(contrast: ReportData, hypothesis: Hypothesis) -> list[float]:
    by_layer = {test.layer: deciding_pvalue(test) for test in contrast.layer_tests(hypothesis)}
    return [np.nan if (p := by_layer.get(layer)) is None else p for layer in contrast.layers]


def _keys(data: ReportData) -> list[Artist]:
    alpha = data.results.study.alpha
    dot: dict[str, Any] = {"color": INK, "marker": "o", "linewidth": 0, "markersize": 4.5}
    words = [f"p > {alpha:g}", *(f"p ≤ {alpha / part:g}" for part in _PARTS)]
    tasks = task_names(data.tasks)
    missing = any(
        not np.isfinite(_deciding(contrast, hypothesis)).all()
        for contrast in data.contrasts
        for hypothesis in METHOD_CLAIMS
    )
    return [
        Line2D([], [], label="all tasks, supported" if len(data.tasks) > 1 else "supported", **dot),
        Line2D([], [], label="not supported", markerfacecolor="white", **dot),
        *(
            Line2D([], [], color=GREY, marker=task_mark(t, data.tasks)[0], markersize=3.2, markerfacecolor="white", linewidth=0, label=tasks[t])
            for t in (data.tasks if len(data.tasks) > 1 else ())
        ),
        Line2D([], [], color=GREY, marker="|", markersize=8, linewidth=0, label="smallest possible p"),
        Line2D([], [], color=INK, linewidth=0.9, linestyle="--", label=f"p = {alpha:g}"),
        *(Patch(facecolor=shade, edgecolor=FAINT, linewidth=0.4, label=word) for shade, word in zip(_SHADES, words, strict=True)),
        *([MISSING_KEY] if missing else []),
    ]  # fmt: skip


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    study = data.results.study
    tests = [test for contrast in data.contrasts for test in contrast.layer_tests(LESS)]
    correction = correction_in_words(tests) or "nothing"
    return (
        f"Permutation tests of each method against {method_title(study.reference_method)} over trained models, within tasks. Smaller p, to the right, is stronger "
        f"evidence; at or beyond the dashed line p is at most {study.alpha:g}; a full mark is a claim that is supported over all tasks. Left, corrected over the "
        f"methods by Holm, task by task; right, corrected by {correction}: darker is a smaller p. Grey tick: the smallest p that this number of trained models can "
        "give after correction, however large the difference; where that lies left of the dashed line, nothing could have been significant. The uncorrected "
        "p-values are in the tables."
        + (
            f" The first {len(_shown(data))} of {len(data.contrasts)} methods."
            if len(_shown(data)) < len(data.contrasts)
            else ""
        )
    )


def describe(data: ReportData) -> str:
    """Says the deciding p of each method and claim over all tasks, and the number of layers that are supported."""
    parts: list[str] = []
    for hypothesis in METHOD_CLAIMS:
        for contrast in data.contrasts:
            name = method_title(contrast.results.study.comparison_method)
            said = [
                f"{task_title(task)} {p_equals(p)}"
                for task in ([*data.tasks, ALL_TASKS] if len(data.tasks) > 1 else data.tasks)
                if (t := contrast.test(hypothesis, task)) and (p := deciding_pvalue(t)) is not None
            ]
            layers = contrast.layer_tests(hypothesis)
            held = len(layers_with(layers, "supported"))
            parts.append(
                f"{name} {short_claim(hypothesis, data)}: {', '.join(said) or 'no test'}; {held} of {len(layers)} layers supported"
            )
    return f"Permutation tests, p corrected over methods. {'. '.join(parts)}."
