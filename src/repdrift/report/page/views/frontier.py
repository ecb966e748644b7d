"""Drift against score: the paths of all runs over their checkpoints, or the final models alone, a panel for each task and score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from repdrift.core.equal_skill_words import all_in_lines
from repdrift.core.measure_words import drift_definition
from repdrift.core.outcome_words import score_title
from repdrift.core.records.run import LOSSES
from repdrift.report.page.arm_marks import arm_color, arm_colors, arm_legend, arm_shape, tooltip
from repdrift.report.page.contents import View
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.page.views import ViewSpec, register
from repdrift.report.report_data import ReportData

_COLUMNS = ["panel", "task", "arm", "seed", "when", "place", "final", "score", "drift"]
_SHOWN = {"panel": "task and score", "arm": "method", "seed": "seed", "when": "step", "score": "score", "drift": "mean drift"}  # fmt: skip


def of_study(data: ReportData) -> View | None:
    """The frontier of a study; None if no model has both a score and a drift."""
    rows = frontier_rows(data)
    if rows.empty:
        return None
    study = data.results.study
    paths = bool((rows["final"] == "no").any())
    return View(
        name="frontier",
        title="Drift for the same score",
        answer=_answer(data),
        caption="Each mark is a model: its score on the validation rows, and its drift, mean over layers. "
        + ("Small marks are checkpoints, large ones final models; a line is one training. " if paths else "")
        + "Of two methods at one score, the lower one paid less drift for it. A correlation does not say what causes what: a model that learnt more may drift more for "
        "that reason.",
        spec=_spec(
            arm_colors(data), f"drift, {drift_definition(study, study.primary_measure)}, mean over layers", paths=paths
        ),
        rows=rows,
        filters=("task", "arm", "seed"),
        panel_by="panel",
        log_fields=("drift",),
        keyboard=("score", "arm"),
        shown=_SHOWN,
        group="What it did",
        legend=arm_legend(arm_colors(data)),
    )


def frontier_rows(data: ReportData) -> pd.DataFrame:
    """One row for each checkpoint and final model of every score: paths of the comparison at equal skill, and every score of the final models.

    place: the order along the path.
    """
    tasks, arms = task_titles(data), arm_titles(data)
    rows: list[dict[str, object]] = []
    seen: set[tuple[object, ...]] = set()
    for found in data.results.equal_skill:
        for path in found.paths:
            key = (found.task, found.metric, path.method, path.seed)
            if found.metric is None or key in seen:
                continue
            seen.add(key)
            common = {
                "panel": _panel(tasks, found.task, found.metric),
                "task": tasks[found.task],
                "arm": arms[path.method],
            }
            rows += [
                {**common, "seed": path.seed, "when": str(step) if step else "final", "place": place, "final": "no" if step else "yes", "score": score, "drift": drift}
                for place, (step, score, drift) in enumerate(zip(path.steps, path.scores, path.drifts, strict=True))
            ]  # fmt: skip
    for run in data.results.runs:
        if run.step or run.status != "ok":
            continue
        drift = data.drift(run.task, run.method)
        means = drift[drift.index == run.seed].to_numpy(dtype=float).mean(axis=1)
        for metric, score in run.metrics.items():
            if metric == "train_loss" or score is None or (run.task, metric, run.method, run.seed) in seen:
                continue
            common = {"panel": _panel(tasks, run.task, metric), "task": tasks[run.task], "arm": arms[run.method]}
            rows += [
                {**common, "seed": run.seed, "when": "final", "place": 0, "final": "yes", "score": score, "drift": float(mean)}
                for mean in means if np.isfinite(mean) and np.isfinite(score)
            ]  # fmt: skip
    return pd.DataFrame(rows, columns=_COLUMNS)


def _panel(tasks: Mapping[str, str], task: str, metric: str) -> str:
    return f"{tasks[task]}: {score_title(metric)}{' (less is better)' if metric in LOSSES else ''}"


def _answer(data: ReportData) -> list[str]:
    """The comparison at equal skill, then whether drift goes with the score over all methods."""
    compared = [each for each in data.results.equal_skill if each.test is not None]
    over_all = [a for a in data.results.associations if a.method is None] or data.results.associations
    return [*all_in_lines(compared)[:1], *dict.fromkeys(a.sentence for a in over_all)][:3]


def _spec(colors: Mapping[str, str], title: str, *, paths: bool) -> dict[str, Any]:
    x = alt.X("score:Q", title="score", scale=alt.Scale(zero=False, padding=10))
    y = alt.Y("drift:Q", title=title, scale=alt.Scale(zero=False, padding=10))
    shown = tooltip(
        {"arm:N": "method", "seed:N": "seed", "when:N": "step", "score:Q": "score", "drift:Q": "mean drift"}
    )
    base = alt.Chart(alt.NamedData("rows"))
    ends = base.transform_filter("datum.final == 'yes'").mark_point(filled=True, size=70, opacity=0.9)
    layers: list[Any] = [ends.encode(x, y, arm_color(colors), arm_shape(colors), tooltip=shown)]
    if paths:
        line = base.mark_line(strokeWidth=1, opacity=0.7)
        along = base.transform_filter("datum.final == 'no'").mark_point(filled=True, size=16, opacity=0.7)
        layers = [
            line.encode(x, y, arm_color(colors), detail="seed:N", order="place:Q"),
            along.encode(x, y, arm_color(colors), arm_shape(colors), tooltip=shown),
            *layers,
        ]
    return alt.layer(*layers).properties(height=240).to_dict()


register(ViewSpec("frontier", 30, of_study=of_study))
