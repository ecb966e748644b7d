"""Tasks that were tried with full fine-tuning alone, to see whether they can be learnt: what such runs were, and how well they did."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from studies.account.cells import MISSING, name_cell, table

from repdrift.core.errors import DataError
from repdrift.core.records.base import Record
from repdrift.core.records.run import RUN_FILE, Learnt, RunRecord
from repdrift.core.words import counted, method_title, task_title

TRIED = "tried.json"


class TriedRun(Record):
    """One run: its settings, its score beside that of the best constant answer, and the score of each checkpoint by step."""

    base_model: str
    task: str
    method: str
    seed: int
    learning_rate: float
    epochs: float
    steps: int
    n_train: int
    learnt: Learnt
    checkpoint_scores: dict[int, float] = {}
    wall_time_s: float


class TriedTasks(Record):
    """The runs, by task and in the order of their rates."""

    runs: list[TriedRun]


def tried_tasks(studies: Sequence[Path]) -> TriedTasks:
    """Reads the finished runs of studies' folders of results, such as results/reference_tried, and those of a file that this function's result was written to.

    Raises DataError if a folder holds none, or if a run does not know whether it has learnt its task; CorruptFileError for a damaged record.
    """
    runs: list[TriedRun] = []
    for study in studies:
        if study.is_file():
            runs += TriedTasks.read(study).runs
            continue
        found = [_tried(RunRecord.read(file), file) for file in sorted(study.glob(f"*/{RUN_FILE}"))]
        if not found:
            raise DataError(
                f"{study} should hold finished runs, folders with a {RUN_FILE}; found none: train them first"
            )
        runs += sorted(found, key=lambda run: (run.task, run.method, run.learning_rate, run.seed))
    tasks = list(dict.fromkeys(run.task for run in runs))
    return TriedTasks(runs=sorted(runs, key=lambda run: tasks.index(run.task)))


def tried_table(found: TriedTasks) -> str:
    """The runs beside the best constant answer, at the end of training and at the best checkpoint, which was chosen by the rows it is scored on."""
    return table(
        ["model", "task", "arm", "learning rate", "trained on", "scored on", "score at the end", "best score on the way", "best constant answer", "gain at the end", "learnt"],
        [_row(run) for run in found.runs],
    )  # fmt: skip


def learnt(found: TriedTasks | None, *, model: str) -> dict[str, bool]:
    """By task that this base model was tried on: whether a run of it has learnt the task."""
    by_task: dict[str, bool] = {}
    for run in found.runs if found else []:
        if run.base_model == model:
            by_task[run.task] = by_task.get(run.task, False) or run.learnt.learnt is not False
    return by_task


def _tried(record: RunRecord, file: Path) -> TriedRun:
    if record.learnt is None:
        raise DataError(f"{file} does not say whether its model has learnt its task: train it again")
    settings, metric = record.hyperparameters, record.learnt.metric
    along = {step: scores.get(metric) for step, scores in (record.checkpoint_scores or {}).items()}
    return TriedRun(
        base_model=record.base_model,
        task=record.task,
        method=record.method,
        seed=record.seed,
        learning_rate=settings["learning_rate"],
        epochs=settings["epochs"],
        steps=settings["steps"],
        n_train=record.n_train,
        learnt=record.learnt,
        checkpoint_scores={step: score for step, score in along.items() if score is not None},
        wall_time_s=record.wall_time_s,
    )


def _row(run: TriedRun) -> list[str]:
    found, along = run.learnt, run.checkpoint_scores
    both = [found] if found.written is None else [found, found.written]
    best = (max if found.higher_is_better else min)(along, key=lambda step: along[step]) if along else None
    return [
        name_cell(run.base_model),
        name_cell(task_title(run.task)),
        name_cell(method_title(run.method)),
        f"{run.learning_rate:g}",
        f"{counted(run.n_train, 'row')}, {counted(round(run.epochs), 'epoch')}",
        counted(found.n_items, "row"),
        "; ".join(f"{each.metric} {each.score:.3f}" for each in both),
        MISSING if best is None else f"{along[best]:.3f} at step {best} of {run.steps}",
        "; ".join(f"{each.constant_score:.3f} ({name_cell(each.constant_answer)})" for each in both),
        "; ".join(map(_gain, both)),
        {True: "yes", False: "no", None: "not known"}[found.learnt],
    ]


def _gain(found: Learnt) -> str:
    interval = "" if found.low is None or found.high is None else f" ({found.low:.3f} to {found.high:.3f})"
    return f"{found.difference:+.3f}{interval}"
