"""Drift over training, at the checkpoints and the final model: a panel for each task."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repdrift.core.measure_words import drift_definition
from repdrift.core.words import counted, method_title, short_number, task_title
from repdrift.report.figure_size import page_width_in
from repdrift.report.figures import FigureSpec, register
from repdrift.report.figures._panels import MOST_METHODS, task_panels, task_plan
from repdrift.report.labels import NOTE_PT, text_width_pt
from repdrift.report.report_data import ReportData
from repdrift.report.style import FAINT, method_look, method_names

_FINAL_GAP = 0.2
"""Distance of the final model from the last checkpoint, as a share of the axis."""


def draw(data: ReportData) -> Figure:
    """Mean drift over the layers by training step: thick lines are means over seeds, thin lines single models."""
    definition = drift_definition(data.results.study, data.results.study.primary_measure)
    steps = data.checkpoint_steps
    return task_panels(
        data,
        draw_trajectory,
        ylabel=f"drift, {definition}, mean over layers",
        name_layers=lambda axes, room: step_axis(axes, steps, room),
    )


def draw_trajectory(axes: Axes, data: ReportData, task: str) -> None:
    """Draw the lines of one task into a panel, each with its label."""
    steps, names = data.checkpoint_steps, method_names(data.methods)
    for method in data.methods:
        runs = _by_step(data, task, method)
        if runs.empty:
            continue
        look = method_look(method, data.methods)
        for seed in runs.index if len(data.methods) <= MOST_METHODS else ():
            known = runs.loc[seed].dropna()
            axes.plot(
                [_position(s, steps) for s in known.index],
                known,
                color=look.color,
                linewidth=0.6,
                alpha=0.55,
                zorder=1.5,
            )
        means, counts = runs.mean(axis=0), runs.notna().sum(axis=0)
        positions = [_position(step, steps) for step in means.index]
        size = max(2.0, min(4.0, 60 / len(steps)))
        axes.plot(positions, means, color=look.color, linestyle=look.dashes, linewidth=1.4)
        axes.plot([], [], label=names[method], linewidth=1.4, markersize=4, **look.line)
        for position, value, count in zip(positions, means, counts, strict=True):
            face = look.color if count == counts.max() else "white"  # hollow: a mean of fewer models
            axes.plot(
                position, value, look.marker, color=look.color, markerfacecolor=face, markersize=size, markeredgewidth=0.8, clip_on=False
            )  # fmt: skip
    axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
    axes.axvline((_position(0, steps) + steps[-1]) / 2, color=FAINT, linewidth=0.6, linestyle=":", zorder=0)


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


def step_axis(axes: Axes, steps: Sequence[int], room: float) -> None:
    """Name the steps, and the final model after them. room: width of the panel as a share of the figure's."""
    first, last = steps[0], _position(0, steps)
    per_pt = (last - first) / max(1.0, 72 * page_width_in() * room * 0.75 - 30)
    ticks, taken = [], last - (text_width_pt(["final"], NOTE_PT) / 2 + 4) * per_pt
    for step, label in zip(
        reversed(steps), reversed(_step_labels(steps)), strict=True
    ):  # from the last one on, where there is room
        half = (text_width_pt([label], NOTE_PT) / 2 + 2) * per_pt
        if step + half <= taken:
            ticks.append((step, label))
            taken = step - half
    axes.set_xticks([*(step for step, _ in ticks), last], [*(label for _, label in ticks), "final"])
    margin = 0.06 * (last - first)
    axes.set_xlim(first - margin, last + margin)
    axes.set_xlabel("training step")


def _step_labels(steps: Sequence[int]) -> list[str]:
    """Labels of the steps, in thousands if the steps are large and all of them stay exact."""
    thousands = max(steps) >= 10_000 and all(step % 100 == 0 for step in steps)
    return [f"{step / 1000:g}k" if thousands else str(step) for step in steps]


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    thin = "" if len(data.methods) > MOST_METHODS else " thin: single models;"
    return (
        f"Drift of the checkpoints from the base model, mean over layers. Thick: mean over the seeds that are there;{thin} hollow: "
        "fewer models than at the other steps of that line. The final model is drawn after the last checkpoint, without a step. "
        "Steps are not compared: a step means another skill for every method."
        + task_plan(data).says_what_is_left_out("the tables have all tasks")
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
