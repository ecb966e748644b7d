"""The p-values of several methods against one reference, corrected over them, beside the smallest that could come out."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.patches import Patch

from repdrift.core.claim_parts import correction_in_words, deciding_opposite_pvalue, deciding_pvalue
from repdrift.core.hypotheses import LESS, METHOD_CLAIMS
from repdrift.core.records.claims import Hypothesis, HypothesisTest
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import method_title, task_title
from repdrift.report.cell_numbers import ink_on
from repdrift.report.figure_size import MOST_HEIGHT_IN, is_narrow, page_width_in
from repdrift.report.figures._pvalues import (
    PEnds,
    alpha_line,
    both_ways,
    opposite_place,
    p_axis,
    p_ends,
    place,
    short_claim,
    sides_remark,
    smallest_of,
)
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
_SHADES = ("#8c3a00", "#D55E00", "#f5b384", "#e9e9e9", "#9ecae1", "#3182bd", "#08306b")
"""Of cells by layer: in the middle neither claim nor opposite is shown; p at most alpha, a fifth and a fiftieth of it, of the claim after it and of the opposite before it."""
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
    for row, hypothesis in enumerate(METHOD_CLAIMS):
        left, right = panels[2 * row : 2 * row + 2]
        ends = _ends(data, hypothesis)
        _by_task(left, data, hypothesis, ends)
        _by_layer(right, data, hypothesis, 0.72 if narrow else 0.42, word=row == 1)
        panel_title(left, short_claim(hypothesis, data), sides_remark(hypothesis, ends), width)
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


def _ends(data: ReportData, hypothesis: Hypothesis) -> PEnds:
    every = [
        t
        for contrast in data.contrasts
        for t in contrast.results.tests
        if t.layer is None and t.hypothesis == hypothesis
    ]
    return p_ends(data.results.study.alpha, map(deciding_pvalue, every), map(deciding_opposite_pvalue, every))


def _by_task(axes: Axes, data: ReportData, hypothesis: Hypothesis, ends: PEnds) -> None:
    overall = ALL_TASKS if len(data.tasks) > 1 else data.tasks[0]
    for row, contrast in enumerate(_shown(data)):
        for name in data.tasks if overall == ALL_TASKS else ():
            for at in _places(contrast.test(hypothesis, name)):
                axes.plot(at, row, task_mark(name, data.tasks)[0], color=GREY, markerfacecolor="white", markersize=3.2, markeredgewidth=0.6,
                          clip_on=False)  # fmt: skip
        test = contrast.test(hypothesis, overall)
        if test is None or deciding_pvalue(test) is None:
            middle = (ends.low + ends.high) / 2
            axes.text(middle, row, "no test", ha="center", va="center", fontsize=NOTE_PT, color=GREY)
            continue
        look = method_look(contrast.results.study.comparison_method, data.methods)
        shown = {"supported": 1, "rejected": -1}.get(test.verdict, 0)
        for at in _places(test):
            face = look.color if at * shown > 0 else "white"
            axes.plot([0, at], [row, row], color=look.color, linewidth=1.0, zorder=1.5)
            axes.plot(
                at, row, look.marker, color=look.color, markerfacecolor=face, markersize=4.5, zorder=3, clip_on=False
            )
        smallest = place(smallest_of(test))
        for at in (smallest, -smallest) if ends.both else (smallest,):
            if ends.low <= at <= ends.high:
                axes.plot(at, row, "|", color=GREY, markersize=8, zorder=1.2, clip_on=False)
    axes.set_xlim(ends.low, ends.high)
    p_axis(axes.xaxis, ends, 6)
    alpha_line(axes, data.results.study.alpha, ends, upright=True)


def _places(test: HypothesisTest | None) -> list[float]:
    """The places of the p of the opposite and of the claim, as far as they are known."""
    if test is None:
        return []
    both = (opposite_place(deciding_opposite_pvalue(test)), place(deciding_pvalue(test)))
    return [at for at in both if np.isfinite(at)]


def _by_layer(axes: Axes, data: ReportData, hypothesis: Hypothesis, room: float, *, word: bool) -> None:
    classes = np.array([_classes(contrast, hypothesis) for contrast in _shown(data)])
    heat_layers(axes, data.layers, room, word=word or is_narrow())
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if not np.isfinite(classes).any():
        note(axes, "no test by layer", (0.5, 0.5))
        return
    axes.patch.set(hatch=HATCH, edgecolor=GREY, linewidth=0)  # seen where there is no test
    axes.imshow(classes, cmap=ListedColormap(_SHADES), norm=BoundaryNorm(np.arange(-3, 5) - 0.5, 7), aspect="auto", interpolation="nearest")  # fmt: skip
    for row in range(1, len(classes)):
        axes.axhline(row - 0.5, color="white", linewidth=0.8)
    rows, columns = np.nonzero(classes < 0)
    if len(rows):
        for_ink = [ink_on(_SHADES[int(classes[at]) + 3]) for at in zip(rows, columns, strict=True)]
        size = min(9.0, (260 * room / len(data.layers)) ** 2)
        axes.scatter(columns, rows, marker=MarkerStyle("_"), s=size, c=for_ink, linewidths=0.8)


def p_classes(pvalues: np.ndarray, alpha: float) -> np.ndarray:
    """The class of each p: 0 above alpha, then one more for each of alpha, a fifth and a fiftieth of it that p does not exceed; NaN stays."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(pvalues), sum((pvalues <= alpha / part).astype(float) for part in _PARTS), np.nan)


def _classes(contrast: ReportData, hypothesis: Hypothesis) -> np.ndarray:
    """The class of each layer's p, negative where it is the opposite that is shown; NaN where there is no test."""
    by_layer = {test.layer: test for test in contrast.layer_tests(hypothesis)}
    tests = [by_layer.get(layer) for layer in contrast.layers]
    alpha = contrast.results.study.alpha
    claim = p_classes(np.array([_number(None if t is None else deciding_pvalue(t)) for t in tests]), alpha)
    opposite = p_classes(np.array([_number(None if t is None else deciding_opposite_pvalue(t)) for t in tests]), alpha)
    return np.where(np.isfinite(claim) & (np.nan_to_num(opposite) > 0), -opposite, claim)


def _number(p: float | None) -> float:
    return float("nan") if p is None else p


def _keys(data: ReportData) -> list[Artist]:
    alpha = data.results.study.alpha
    dot: dict[str, Any] = {"color": INK, "marker": "o", "linewidth": 0, "markersize": 4.5}
    levels = [f"{alpha / part:g}" for part in _PARTS]
    opposite = [f"opposite p ≤ {level}" for level in reversed(levels)]
    drawn = [_classes(contrast, hypothesis) for contrast in data.contrasts for hypothesis in METHOD_CLAIMS]
    words = [*opposite, f"both p > {alpha:g}", *(f"p ≤ {level}" for level in levels)]
    seen = {int(value) + 3 for value in np.unique(np.concatenate(drawn)) if np.isfinite(value)}
    patches = [
        Patch(facecolor=_SHADES[at], edgecolor=FAINT, linewidth=0.4, label=words[at])
        for at in sorted(seen, reverse=True)
    ]
    tasks = task_names(data.tasks)
    missing = not all(np.isfinite(classes).all() for classes in drawn)
    return [
        Line2D([], [], label="all tasks, shown" if len(data.tasks) > 1 else "shown", **dot),
        Line2D([], [], label="not shown", markerfacecolor="white", **dot),
        *(
            Line2D([], [], color=GREY, marker=task_mark(t, data.tasks)[0], markersize=3.2, markerfacecolor="white", linewidth=0, label=tasks[t])
            for t in (data.tasks if len(data.tasks) > 1 else ())
        ),
        Line2D([], [], color=GREY, marker="|", markersize=8, linewidth=0, label="smallest possible p"),
        Line2D([], [], color=INK, linewidth=0.9, linestyle="--", label=f"p = {alpha:g}"),
        *patches,
        *([MISSING_KEY] if missing else []),
    ]  # fmt: skip


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    study = data.results.study
    tests = [test for contrast in data.contrasts for test in contrast.layer_tests(LESS)]
    correction = correction_in_words(tests) or "nothing"
    return (
        f"Permutation tests of each method against {method_title(study.reference_method)} over trained models, within tasks. A smaller p is stronger "
        f"evidence: to the right for the claim, to the left for its opposite (drifts more; falls short of the target). At or beyond a dashed line p is at most "
        f"{study.alpha:g}; a full mark: the claim, or its opposite, is shown over all tasks. Left, corrected over the "
        f"methods by Holm, task by task; right, corrected by {correction}: darker is a smaller p, blue of the claim, orange with a dash of its opposite. Grey tick: the smallest p that this number of trained models can "
        "give after correction, however large the difference; where that lies nearer than the dashed line, nothing could have been significant. The uncorrected "
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
                f"{task_title(task)} {both_ways(t)}"
                for task in ([*data.tasks, ALL_TASKS] if len(data.tasks) > 1 else data.tasks)
                if (t := contrast.test(hypothesis, task)) and deciding_pvalue(t) is not None
            ]
            layers = contrast.layer_tests(hypothesis)
            held, against = (len(layers_with(layers, verdict)) for verdict in ("supported", "rejected"))
            parts.append(
                f"{name} {short_claim(hypothesis, data)}: {', '.join(said) or 'no test'}; {held} of {len(layers)} layers supported, the opposite shown in {against}"
            )
    return f"Permutation tests, p corrected over methods. {'. '.join(parts)}."
