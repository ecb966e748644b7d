"""Every planned model of a study, one row each: its state, scores, drift and origin."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from repdrift.core.learnt_words import learnt_in_short
from repdrift.core.outcome_words import score_title
from repdrift.core.records.study_info import RunStatus
from repdrift.core.records.trained_run import TrainedRun
from repdrift.core.words import counted
from repdrift.report.dashboard.sections import metric_names
from repdrift.report.page.contents import RunTable
from repdrift.report.page.study.curves import LOSS, curves
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.report_data import ReportData

_FINGERPRINT = 12
"""Letters of a fingerprint that are shown; the details have all."""
_ALWAYS = ("task", "arm", "seed", "step", "state", "learnt", "drift")
AT_THE_END = "end"


def run_table(data: ReportData) -> RunTable:
    """Returns the table. A number that is missing is None; a column without any number is left out."""
    scores = metric_names(data)
    trained = {(run.task, run.method, run.seed): run for run in data.results.trained}
    drifts = _mean_drifts(data)
    rows, details = [], []
    for run in data.results.runs:
        training = trained.get((run.task, run.method, run.seed))
        rows.append(_row(data, run, training, scores, drifts))
        details.append(_details(run, training))
    columns = {
        "task": "task",
        "arm": "method",
        "seed": "seed",
        "step": "step",
        "state": "state",
        **{f"score {name}": score_title(name) for name in scores},
        "loss": LOSS,
        "learnt": "learnt",
        "drift": "mean drift",
        "trained_steps": "trained steps",
        "learning_rate": "learning rate",
        "wall_time_s": "training time, s",
        "samples": "samples",
        "fingerprint": "samples' fingerprint",
    }
    table = pd.DataFrame(rows, columns=list(columns)).astype(object)
    table = table.where(table.notna(), None)
    kept = [name for name in columns if name in _ALWAYS or table[name].notna().any()]
    return RunTable(table[kept], {name: columns[name] for name in kept}, details, curves(data))


def _row(
    data: ReportData,
    run: RunStatus,
    training: TrainedRun | None,
    scores: list[str],
    drifts: Mapping[tuple[str, str, int, int], float],
) -> dict[str, object]:
    final = run.step == 0
    of_run = training if final else None
    return {
        "task": task_titles(data)[run.task],
        "arm": arm_titles(data)[run.method],
        "seed": run.seed,
        "step": AT_THE_END if final else run.step,
        "state": run.status,
        **{f"score {name}": run.metrics.get(name) for name in scores},
        "loss": run.metrics.get("train_loss"),
        "learnt": learnt_in_short(run.learnt) if run.status == "ok" and final else None,
        "drift": drifts.get((run.task, run.method, run.seed, run.step)),
        "trained_steps": run.trained_steps,
        "learning_rate": None if of_run is None else of_run.hyperparameters.get("learning_rate"),
        "wall_time_s": None if of_run is None else of_run.wall_time_s,
        "samples": run.n_samples,
        "fingerprint": None if run.sample_set_fingerprint is None else run.sample_set_fingerprint[:_FINGERPRINT],
    }


def _mean_drifts(data: ReportData) -> dict[tuple[str, str, int, int], float]:
    """Means over layers under the primary measure; those that lack a layer are left out, since a mean over fewer is not comparable."""
    rows = data.table[data.table["measure"] == data.results.study.primary_measure]
    drifts: dict[tuple[str, str, int, int], list[float]] = {}
    places = rows[["task", "method", "seed", "step"]].itertuples(index=False, name=None)
    for (task, method, seed, step), drift in zip(places, rows["drift"], strict=True):
        drifts.setdefault((str(task), str(method), int(seed), int(step)), []).append(float(drift))
    return {
        key: float(np.mean(values))
        for key, values in drifts.items()
        if len(values) == len(data.layers) and np.isfinite(values).all()
    }


def _details(run: RunStatus, training: TrainedRun | None) -> dict[str, str]:
    """Returns headings and texts that unfold below a row."""
    found: dict[str, str] = {}
    if run.status != "ok":
        found["Why it is missing, and what makes it"] = run.reason or "not said"
    if run.learnt is not None:
        found["Learnt or not"] = run.learnt.sentence
    if training is not None and run.status == "ok":
        found |= _training(training, final=run.step == 0)
    elif run.status == "ok":
        found["Training"] = "Its run folder was not at hand when the study was analysed."
    if run.sample_set_fingerprint is not None:
        found["Fingerprint of the samples"] = run.sample_set_fingerprint
    if run.commands:
        found["Commands that make it"] = "\n".join(run.commands)
    return found


def _training(training: TrainedRun, *, final: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    if not training.as_planned:
        found["Other settings"] = "It was trained with other settings than the study has now."
    if training.tuning is not None:
        tuned = training.tuning
        found["What was trained"] = (
            f"{tuned.words}: {tuned.trained_parameters:,} of {tuned.all_parameters:,} parameters"
        )
    found["Settings"] = ", ".join(
        f"{name} {_plain(value)}" for name, value in training.hyperparameters.items() if value is not None
    )
    found["Training rows"] = f"{training.n_train:,} ({training.data_source}), scored on {training.n_validation:,}"
    if training.kept_step is not None:
        found["Kept checkpoint"] = f"step {training.kept_step}, the best on held-out training rows"
    memory = f", {training.peak_memory_bytes / (1 << 20):,.0f} MiB at most" if training.peak_memory_bytes else ""
    found["Trained"] = f"{training.started}, in {training.wall_time_s:,.0f} s on {training.device}{memory}"
    if training.processor is not None:
        found["Processor"] = training.processor
    found["Versions"] = ", ".join(f"{name} {version}" for name, version in training.versions.items())
    found["Folder, from that of the results"] = training.folder
    found["Key of the run"] = training.key
    if final:
        found["SHA-256 of its weights"] = training.weights_digest
    thinned = [curve for curve in training.curves if curve.points > len(curve.steps)]
    if thinned:
        found["Curves"] = "; ".join(
            f"{curve.name}: {len(curve.steps)} of {counted(curve.points, 'point')} are kept" for curve in thinned
        )
    elif training.no_curves is not None:
        found["Curves"] = f"None: {training.no_curves}."
    return found


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_plain(each)}" for name, each in value.items()) + ")"
    return f"{value:g}" if isinstance(value, float) else str(value)
