"""Layer-wise drift heatmap: a block for every task, a row for every method, a column for every layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from repdrift.core.measure_words import drift_definition
from repdrift.core.words import method_title, short_number, task_title
from repdrift.report.cell_numbers import CellNumbers
from repdrift.report.figure_size import MOST_HEIGHT_IN, is_narrow, page_width_in
from repdrift.report.figures import FigureSpec, register
from repdrift.report.heat_cells import cell_keys, color_bar, draw_cells, heat_layers, heat_scale
from repdrift.report.labels import FONT_PT, NOTE_PT, fitted, text_width_pt
from repdrift.report.panels import legend_above
from repdrift.report.report_data import ReportData
from repdrift.report.style import method_names, task_names

_ROW_IN = 0.155
_TITLE_IN = 0.22
_BESIDES_IN = 0.85
_NONE = "0 or below"


def draw(data: ReportData) -> Figure:
    """The heatmap. Missing values are hatched, and values of 0 or below grey; neither is ever coloured."""
    tasks = _shown(data)
    narrow = is_narrow()
    names = _row_names(data, tasks, 66 if narrow else 120)
    every = np.concatenate([means_of(data, task) for task in tasks])
    scale = heat_scale(every)
    height = len(tasks) * (_TITLE_IN + _ROW_IN * len(data.methods))
    figure = Figure(figsize=(page_width_in(), height + _BESIDES_IN + (0.3 if narrow else 0)))
    panels: Any = figure.subplots(len(tasks), 1, squeeze=False)[:, 0]
    label_pt = text_width_pt([name for of_task in names.values() for name in of_task], NOTE_PT)
    width_pt = 72 * page_width_in() - label_pt - (14 if narrow else 58)
    titles = task_names(tasks, width_pt / 1.16, FONT_PT)  # bold is wider
    numbers = CellNumbers()
    for axes, task in zip(panels, tasks, strict=True):
        draw_cells(axes, means_of(data, task), scale, numbers, width_pt=width_pt)
        axes.set_yticks(range(len(data.methods)), names[task])
        axes.set_title(titles[task], loc="left", weight="bold")
        last = axes is panels[-1]
        heat_layers(axes, data.layers, width_pt / (72 * page_width_in()), word=last)
        axes.tick_params(labelbottom=last)
    with np.errstate(invalid="ignore"):
        if (every > 0).any():
            color_bar(figure, list(panels), scale, "drift", below=narrow)
    keys = cell_keys(every, _NONE)
    legend_above(figure, keys, [str(key.get_label()) for key in keys])
    return figure


def means_of(data: ReportData, task: str) -> np.ndarray:
    """Mean drifts of a task, (methods, layers); NaN where a value is missing."""
    return np.array([data.mean_drift(task, method) for method in data.methods])


def _shown(data: ReportData) -> list[str]:
    """The tasks that fit on a page, in the study's order."""
    fit = int((MOST_HEIGHT_IN - _BESIDES_IN - 0.3) / (_TITLE_IN + _ROW_IN * len(data.methods)))
    return data.tasks[: max(1, fit)]


def _row_names(data: ReportData, tasks: Sequence[str], width_pt: float) -> dict[str, list[str]]:
    """The names of the rows of each task; behind a method some of whose models are missing stands how many there are."""
    found: dict[str, list[str]] = {}
    for task in tasks:
        counts = {m: (len(data.drift(task, m)), len(data.planned(task, m))) for m in data.methods}
        ends = {m: f" ({there} of {planned})" if 0 < there < planned else "" for m, (there, planned) in counts.items()}
        short = method_names(data.methods, width_pt)
        found[task] = [
            fitted(short[m], width_pt - text_width_pt([ends[m]], NOTE_PT)) + ends[m] if ends[m] else short[m]
            for m in data.methods
        ]
    return found


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    study = data.results.study
    tasks = _shown(data)
    scale = heat_scale(np.concatenate([means_of(data, task) for task in tasks]))
    left = (
        f" The first {len(tasks)} of {len(data.tasks)} tasks; the tables have all."
        if len(tasks) < len(data.tasks)
        else ""
    )
    return (
        f"Drift from {study.model} in every layer: {drift_definition(study, study.primary_measure)} on the same samples, mean over seeds. "
        f"0 is unchanged, about 1 unrelated: the lighter, the more; an unbiased measure can lie below 0 where nothing moved (grey with dots).{scale.in_words} Hatched: missing. "
        f"A count in brackets: fewer trained models than planned.{left}"
    )


def describe(data: ReportData) -> str:
    """Says the range of the means, where the largest lies, and what is missing."""
    means = {(task, method): data.mean_drift(task, method) for task in data.tasks for method in data.methods}
    known = {key: values for key, values in means.items() if np.isfinite(values).any()}
    task, method = max(known, key=lambda key: float(np.nanmax(known[key])))
    top = known[task, method]
    lowest = min(float(np.nanmin(values)) for values in known.values())
    where = f"layer {data.layers[int(np.nanargmax(top))]} of {task_title(task)}, {method_title(method)}"
    text = (
        f"Heatmap of {len(means)} rows (task and method) by {len(data.layers)} layers. Mean drift lies between "
        f"{short_number(lowest)} and {short_number(float(np.nanmax(top)))}; the largest is in {where}."
    )
    below = [layer for at, layer in enumerate(data.layers) if any(values[at] <= 0 for values in known.values())]
    if below:
        text += f" Some mean is 0 or below in {len(below)} of {len(data.layers)} layers."
    absent = [f"{task_title(t)}, {method_title(m)}" for (t, m) in means if (t, m) not in known]
    return f"{text} Missing: {'; '.join(absent)}." if absent else text


register(FigureSpec("drift_heatmap", 1, "Where the representations moved", caption, describe, draw))
