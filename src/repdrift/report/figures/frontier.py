"""Drift against score along each run, with a panel for each task: who pays less drift for the same score."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repdrift.core.equal_skill_words import in_one_line, yardstick
from repdrift.core.measure_words import drift_definition
from repdrift.core.records.equal_skill import EqualSkill, RunPath, SkillRun
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import counted, method_title, score_number, short_number, task_title
from repdrift.report.figure_size import page_width_in
from repdrift.report.figures import FigureSpec, register
from repdrift.report.labels import FONT_PT, fitted, wrapped
from repdrift.report.panels import PanelPlan, draw_grid, legend_above, panel_plan, panel_title
from repdrift.report.report_data import ReportData
from repdrift.report.style import GREY, INK, log_ticks, method_look, method_names, task_names
from repdrift.statistics import SkillPath, drift_at_score

_PANEL_IN = 2.0
_GRID = 60
"""Scores at which the mean of an arm is drawn."""


def _plan(data: ReportData) -> PanelPlan:
    return panel_plan(len(_tasks(data)), _PANEL_IN, besides_in=2.2)


def draw(data: ReportData) -> Figure:
    """Thin lines are runs, smoothed, with their checkpoints as dots; thick lines are means over the runs of an arm."""
    plan = _plan(data)
    figure = Figure()
    panels = draw_grid(figure, plan)
    names = task_names(data.tasks, plan.width_pt, FONT_PT)
    for axes, task in zip(panels, _tasks(data), strict=False):
        draw_frontier(axes, data, task)
        remark = "not compared" if all(each.test is None for each in _of(data, task)) else ""
        panel_title(axes, names[task], [remark] if remark else [], plan.width_pt)
    definition = drift_definition(data.results.study, data.results.study.primary_measure)
    label = f"drift, {definition}, mean over layers"
    figure.supylabel("\n".join(wrapped(label, 72 * (_PANEL_IN * plan.rows - 0.4))), fontsize=FONT_PT)
    height = _legend(figure, data)
    figure.set_size_inches(page_width_in(), 0.15 + height + _PANEL_IN * plan.rows)
    return figure


def _tasks(data: ReportData) -> list[str]:
    """Tasks on which some runs have paths, in the study's order."""
    return [task for task in data.tasks if any(e.paths for e in _of(data, task))]


def _of(data: ReportData, task: str) -> list[EqualSkill]:
    return [each for each in data.results.equal_skill if each.task == task]


def _paths(data: ReportData, task: str) -> dict[str, list[RunPath]]:
    """The paths of a task by method, each run once."""
    found: dict[str, dict[int, RunPath]] = {}
    for each in _of(data, task):
        for path in each.paths:
            found.setdefault(path.method, {})[path.seed] = path
    return {method: list(found[method].values()) for method in data.methods if method in found}


def draw_frontier(axes: Axes, data: ReportData, task: str) -> None:
    """Draw the runs of a task and the means of its methods. What lies below a logarithmic scale is left out, not cut."""
    shown = next(each for each in _of(data, task) if each.paths)
    sign = 1.0 if shown.higher_is_better else -1.0
    paths = _paths(data, task)
    logarithmic = _is_logarithmic(data, task)
    floor = _floor(shown, [run for runs in paths.values() for run in runs]) if logarithmic else -np.inf
    for method, runs in paths.items():
        look = method_look(method, data.methods)
        for run in runs:
            scores, drifts = _from(floor, np.array(run.scores), np.array(run.drifts))
            axes.plot(scores, drifts, look.marker, color=look.color, markersize=2.2, alpha=0.45, markeredgewidth=0)
            axes.plot(*_from(floor, *_mean_path([run], sign)), color=look.color, linewidth=0.6, alpha=0.6)
        axes.plot(
            *_from(floor, *_mean_path(runs, sign)), color=look.color, linestyle=look.dashes, linewidth=1.8, alpha=0.9
        )
    if logarithmic:
        axes.set_yscale("log")
        log_ticks(axes.yaxis)
    _marks(axes, data, task, floor)
    if shown.constant_score is not None:
        axes.axvline(shown.constant_score, color=GREY, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
    axes.margins(0.06)
    if sign < 0:
        axes.invert_xaxis()
    axes.set_xlabel(
        fitted(f"{shown.metric}{'' if sign > 0 else ' (less is better)'}", 72 * page_width_in() * 0.4, FONT_PT)
    )


def _from(floor: float, scores: np.ndarray, drifts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of a path whose drifts are not below the floor of the scale."""
    kept = drifts >= floor
    return scores[kept], drifts[kept]


def _floor(shown: EqualSkill, runs: list[RunPath]) -> float:
    """The lower end of a logarithmic scale: below the drifts of models that are better than the best constant answer.

    Before a model has learnt, its drift spans many powers of ten, beside which nothing else could be seen.
    """
    sign = 1.0 if shown.higher_is_better else -1.0
    learnt = [
        drift
        for run in runs
        for score, drift in zip(run.smoothed_scores, run.smoothed_drifts, strict=True)
        if drift > 0 and (shown.constant_score is None or sign * score > sign * shown.constant_score)
    ]
    drifts = [drift for run in runs for drift in (*run.drifts, *run.smoothed_drifts) if drift > 0]
    return max(0.7 * min(learnt), max(drifts) / 100) if learnt else min(drifts)


def _is_logarithmic(data: ReportData, task: str) -> bool:
    """True if the drifts of a task are shown on a logarithmic scale: all but the first of each run are above zero."""
    later = [drift for runs in _paths(data, task).values() for run in runs for drift in run.smoothed_drifts[1:]]
    return bool(later) and min(later) > 0


def _mean_path(runs: list[RunPath], sign: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores that every one of these runs passes, (k,), and their mean drift there; empty if there are none."""
    smoothed = [
        SkillPath(sign * np.array(run.smoothed_scores), np.array(run.smoothed_drifts), len(run.scores)) for run in runs
    ]
    low, high = max(p.scores[0] for p in smoothed), min(p.best for p in smoothed)
    if low >= high:
        return np.empty(0), np.empty(0)
    grid = np.linspace(low, high, _GRID)
    drifts = np.array([[drift_at_score(path, float(score)).drift for path in smoothed] for score in grid], dtype=float)
    return sign * grid, drifts.mean(axis=1)


def _marks(axes: Axes, data: ReportData, task: str, floor: float) -> None:
    """Marks the score of each comparison, the drift of every run there, and the ends of runs that never reach it."""
    drawn: set[float] = set()
    for each in _of(data, task):
        for score in each.scores:
            if score.score not in drawn:
                axes.axvline(score.score, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
                drawn.add(score.score)
            for run in each.runs:
                look = method_look(run.method, data.methods)
                end = _end(each, run)
                if run.drift is not None:
                    axes.plot(
                        score.score,
                        run.drift,
                        look.marker,
                        color=look.color,
                        markerfacecolor="white",
                        markersize=4.2,
                        zorder=4,
                    )
                elif end is not None and end[1] >= floor:
                    axes.plot(*end, "x", color=look.color, markersize=6, markeredgewidth=1.4, zorder=4)


def _end(found: EqualSkill, run: SkillRun) -> tuple[float, float] | None:
    path = next((p for p in found.paths if (p.method, p.seed) == (run.method, run.seed)), None)
    return None if path is None else (path.smoothed_scores[-1], path.smoothed_drifts[-1])


def _legend(figure: Figure, data: ReportData) -> float:
    """Add the legend: methods, then the marks. Returns its height in inches."""
    methods = [m for m in data.methods if any(m in _paths(data, task) for task in _tasks(data))]
    names = method_names(data.methods)
    entries = [
        (Line2D([], [], markersize=4, markerfacecolor="white", **method_look(m, data.methods).line), names[m])
        for m in methods
    ]
    found = [each for task in _tasks(data) for each in _of(data, task)]
    if any(each.scores for each in found):
        entries.append((Line2D([], [], color=INK, linewidth=0.8, linestyle=(0, (4, 3))), "compared here"))
    if any(each.constant_score is not None for each in found):
        beaten = dict.fromkeys(yardstick(higher_is_better=each.higher_is_better) for each in found if each.paths)
        label = " or ".join(name.removeprefix("the ") for name in beaten)
        entries.append((Line2D([], [], color=GREY, linewidth=0.7, linestyle=(0, (1, 2))), label))
    if any(run.crossing == "never" for each in found for run in each.runs):
        entries.append((Line2D([], [], color=GREY, marker="x", linewidth=0), "never reaches it"))
    return legend_above(figure, [line for line, _ in entries], [label for _, label in entries])


def caption(data: ReportData) -> str:
    """Says how to read the figure."""
    never = sum(run.crossing == "never" for task in _tasks(data) for each in _of(data, task) for run in each.runs)
    left = f" Crosses: the ends of runs that never reach it and are left out ({never})." if never else ""
    still = sum(
        drift <= 0
        for task in _tasks(data)
        if _is_logarithmic(data, task)
        for runs in _paths(data, task).values()
        for run in runs
        for drift in run.drifts
    )
    left += (
        f" {counted(still, 'checkpoint')} without drift {'is' if still == 1 else 'are'} not on the scale."
        if still
        else ""
    )
    if any(_is_logarithmic(data, task) for task in _tasks(data)):
        left += " The scale begins where models have learnt something, or at a hundredth of the largest drift."
    return (
        "Drift against the score on the validation rows, along every training. Dots are checkpoints; thin lines are runs, smoothed (checkpoints "
        "between which the score does not rise are taken together); thick lines are means over the runs of a method, where all of them "
        "pass. Of two methods at one score, the lower one paid less drift for it. Hollow marks: the drift of every run at the "
        f"score where the task is compared.{left}" + _plan(data).says_what_is_left_out("the tables have all tasks")
    )


def describe(data: ReportData) -> str:
    """Says for each task the score, the mean drift of every method there, and the outcome over all tasks."""
    parts: list[str] = []
    for task in _tasks(data):
        for each in _of(data, task):
            if not each.scores:
                parts.append(f"{task_title(task)}, {method_title(each.comparison)}: not compared")
                continue
            (score,) = each.scores
            reference = method_title(data.results.study.reference_method)
            parts.append(
                f"{task_title(task)}, at {score.metric} {score_number(score.score)}: {method_title(each.comparison)} {short_number(each.comparison_drift or 0.0)}, "
                f"{reference} {short_number(each.reference_drift or 0.0)}"
            )
    outcome = [in_one_line(each) for each in data.results.equal_skill if each.task == ALL_TASKS]
    return f"Paths of drift against score. Mean drift: {'; '.join(parts)}. {' '.join(outcome)}"


register(
    FigureSpec(
        "frontier",
        0,
        "Drift for the same score",
        caption,
        describe,
        draw,
        absent=lambda data: None if _tasks(data) else "no run has checkpoints with both a score and a drift",
    )
)
