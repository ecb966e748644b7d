"""Drift over training, at the checkpoints and the final model: a panel for each task."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repdrift.core.words import counted, method_title, short_number, task_title
from repdrift.report.figure_size import page_width_in
from repdrift.report.figures import FigureSpec, register
from repdrift.report.report_data import ReportData
from repdrift.report.style import FAINT, legend_columns, method_color, method_label, method_marker, note, task_label
from repdrift.report.wording import drift_definition

_PANEL_HEIGHT_IN = 2.0
_COLUMNS = 2
_MOST_TICKS = 5
_FINAL_GAP = 0.14
"""Distance of the final model from the last checkpoint, as a share of the axis."""


def draw(data: ReportData) -> Figure:
    """Mean drift over the layers by training step: thick lines are means over seeds, thin lines single models."""
    tasks = data.tasks
    columns = min(_COLUMNS, len(tasks))
    rows = math.ceil(len(tasks) / columns)
    figure = Figure(figsize=(page_width_in(), 0.65 + _PANEL_HEIGHT_IN * rows))
    panels = list(figure.subplots(rows, columns, sharey=True, sharex=True, squeeze=False).flat)
    steps = data.checkpoint_steps
    for axes, task in zip(panels, tasks, strict=False):
        _panel(axes, data, task, steps)
        axes.set_title(task_label(task))
        _step_axis(axes, steps)
    for position, axes in enumerate(panels):
        if position >= len(tasks):
            axes.remove()
        elif position + columns < len(tasks):
            axes.set_xlabel("")
        else:
            axes.tick_params(labelbottom=True)
    definition = drift_definition(data.results.study, data.results.study.primary_measure)
    figure.supylabel(f"drift, {definition}, mean over layers", fontsize=8)
    found = {
        label: h for axes in panels[: len(tasks)] for h, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=legend_columns(list(found)))
    return figure


def _panel(axes: Axes, data: ReportData, task: str, steps: Sequence[int]) -> None:
    absent: list[str] = []
    for method in data.methods:
        runs = _by_step(data, task, method)
        if runs.empty:
            absent.append(f"{method_label(method)}: missing")
            continue
        color, marker = method_color(method, data.methods), method_marker(method, data.methods)
        for seed in runs.index:
            known = runs.loc[seed].dropna()
            axes.plot(
                [_position(s, steps) for s in known.index], known, color=color, linewidth=0.6, alpha=0.55, zorder=1.5
            )
        means, counts = runs.mean(axis=0), runs.notna().sum(axis=0)
        positions = [_position(step, steps) for step in means.index]
        axes.plot(positions, means, color=color, linewidth=1.6, label=method_label(method))
        size = max(2.0, min(4.2, 60 / len(steps)))
        for position, value, count in zip(positions, means, counts, strict=True):
            face = color if count == counts.max() else "white"  # hollow: a mean of fewer models
            axes.plot(position, value, marker, color=color, markerfacecolor=face, markersize=size, markeredgewidth=0.8)
    axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
    axes.axvline((_position(0, steps) + steps[-1]) / 2, color=FAINT, linewidth=0.6, linestyle=":", zorder=0)
    if absent:
        note(axes, "\n".join(absent), (0.98, 0.04), ha="right", va="bottom", multialignment="right")


def _by_step(data: ReportData, task: str, method: str) -> pd.DataFrame:
    """Mean drift over layers of a task and method, (seeds, steps), the final model last; NaN if a layer is missing."""
    rows = data.table[data.table["measure"] == data.results.study.primary_measure]
    rows = rows[(rows["task"] == task) & (rows["method"] == method)]
    layers = rows.pivot(index=["seed", "step"], columns="layer", values="drift").reindex(columns=data.layers)
    means = layers.mean(axis=1, skipna=False).unstack("step")  # a mean of fewer layers is not comparable
    return means[[*sorted(step for step in means.columns if step != 0), *([0] if 0 in means.columns else [])]]


def _position(step: int, steps: Sequence[int]) -> float:
    """The position of a step on the axis. The final model, step 0, comes after the last checkpoint, with a gap."""
    return step or steps[-1] + _FINAL_GAP * max(steps[-1] - steps[0], steps[-1] / 2)


def _step_axis(axes: Axes, steps: Sequence[int]) -> None:
    every = math.ceil(len(steps) / _MOST_TICKS)
    ticks = list(steps)[::-1][::every][::-1]
    axes.set_xticks([*ticks, _position(0, steps)], [*_step_labels(ticks), "final"])
    margin = 0.06 * (_position(0, steps) - steps[0])
    axes.set_xlim(steps[0] - margin, _position(0, steps) + margin)
    axes.set_xlabel("training step")


def _step_labels(steps: Sequence[int]) -> list[str]:
    """Labels of the steps, in thousands if the steps are large and all of them stay exact."""
    thousands = max(steps) >= 10_000 and all(step % 100 == 0 for step in steps)
    return [f"{step / 1000:g}k" if thousands else str(step) for step in steps]


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    del data
    return (
        "Drift of the checkpoints from the base model, mean over layers. Thick: mean over the seeds that are there; thin: single models; hollow: "
        "fewer models than at the other steps of that line. The final model is drawn after the last checkpoint, without a step. "
        "Steps are not compared: a step means another skill for every method."
    )


def describe(data: ReportData) -> str:
    """Says for each task and method the mean drift at the first and last checkpoint and of the final model."""
    parts: list[str] = []
    for task in data.tasks:
        for method in data.methods:
            means = _by_step(data, task, method).mean(axis=0).dropna()
            if means.empty:
                parts.append(f"{task_title(task)}, {method_title(method)}: missing")
                continue
            said = [f"{short_number(v)} {'in the final model' if s == 0 else f'at step {s}'}" for s, v in means.items()]
            parts.append(
                f"{task_title(task)}, {method_title(method)}: {', '.join(dict.fromkeys((said[0], *said[-2:])))}"
            )
    return f"Lines of mean drift over {counted(len(data.checkpoint_steps), 'checkpoint')} and the final model. {'; '.join(parts)}."


register(
    FigureSpec(
        "trajectory",
        7,
        "Drift over training",
        caption,
        describe,
        draw,
        absent=lambda data: None if data.checkpoint_steps else "no checkpoint before the final model was extracted",
    )
)
