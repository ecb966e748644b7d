"""Sentences on how the models of a study were trained, for a methods section."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from repdrift.core.records.run import Tuning
from repdrift.core.records.trained_run import TrainedRun
from repdrift.core.words import counted, listed, method_in_full
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.report_data import ReportData

_OPTION_WORDS = {
    "alpha": "alpha",
    "dropout": "dropout",
    "target_modules": "target modules",
}
"""Options of a tuning that the words of the arm do not have, in the order of a sentence."""
_SETTINGS: dict[str, Callable[[Any], str]] = {
    "epochs": lambda value: f"{value:g} {'epoch' if value == 1 else 'epochs'}",
    "batch_size": lambda value: f"batch size {value}",
    "gradient_accumulation_steps": lambda value: f"gradients of {value} batches added up" if value > 1 else "",
    "weight_decay": lambda value: f"weight decay {value:g}",
    "scheduler": lambda value: f"{value.replace('_', ' ')} schedule",
    "warmup_ratio": lambda value: f"warm-up over {100 * value:g} % of the steps",
    "precision": lambda value: {"float32": "float32", "bfloat16": "bfloat16 mixed precision"}.get(value, str(value)),
}


def training_text(data: ReportData) -> list[str]:
    """Returns the sentences: methods, models, options, rows and learning rates; what only run folders tell is left out without them."""
    study, trained = data.results.study, data.results.trained
    there = [run for run in data.results.runs if run.step == 0 and run.status == "ok"]
    planned = sum(run.step == 0 for run in data.results.runs)
    missing = f" ({len(there)} of {planned} planned models were measured)" if len(there) < planned else ""
    seeds = listed([str(seed) for seed in study.seeds])
    said = [
        f"Models were trained by {listed([_method(data, name) for name in data.methods])}, with {'seeds' if len(study.seeds) > 1 else 'seed'} "
        f"{seeds} for each task and method{missing}.",
        *_options(data, trained),
        *_rows(data, trained),
    ]
    if data.results.tuning is not None:
        said.append(data.results.tuning.methods_text)
    if any(run.kept_step is not None for run in trained):
        said.append(
            "The final model of a run is the checkpoint with the best score on training rows that were held out."
        )
    if other := _other_versions(data, trained):
        said.append(other)
    return said


def _method(data: ReportData, method: str) -> str:
    """A method with its rank, its targets and how much it trains, as far as run folders tell."""
    title = method_in_full(method, {method: data.results.study.method_words.get(method, "")})
    runs = [run for run in data.results.trained if run.method == method and run.tuning is not None]
    tunings = [run.tuning for run in runs if run.tuning is not None]
    if not tunings:
        return title
    options = [
        f"{words} {_plain(value)}"
        for name, words in _OPTION_WORDS.items()
        if (value := _one([tuning.options.get(name) for tuning in tunings])) is not None
    ]
    trained = _one([_parameters(tuning) for tuning in tunings])
    more = [*options, *([trained] if trained is not None else [])]
    return f"{title} ({', '.join(more)})" if more else title


def _parameters(tuning: Tuning) -> str:
    return f"{tuning.trained_parameters:,} of {tuning.all_parameters:,} parameters"


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return listed([str(each) for each in value])
    return f"{value:g}" if isinstance(value, float) else str(value)


def _options(data: ReportData, trained: Sequence[TrainedRun]) -> list[str]:
    """The options that all runs share, in one sentence; of others, which methods and tasks have which."""
    if not trained:
        return []
    shared: list[str] = []
    differing: list[str] = []
    for name, words in _SETTINGS.items():
        by_words: dict[str, list[TrainedRun]] = {}
        for run in trained:
            value = run.hyperparameters.get(name)
            if value is not None and (text := words(value)):
                by_words.setdefault(text, []).append(run)
        if len(by_words) == 1 and (only := next(iter(by_words.items())))[1]:
            (shared if len(only[1]) == len(trained) else differing).append(
                only[0] if len(only[1]) == len(trained) else f"{only[0]} ({_named(data, only[1])})"
            )
        elif by_words:
            differing.append("; ".join(f"{text} ({_named(data, runs)})" for text, runs in by_words.items()))
    lengths = sorted(
        {run.hyperparameters["max_length_used"] for run in trained if run.hyperparameters.get("max_length_used")}
    )
    if lengths:
        shared.append(f"inputs of at most {' or '.join(map(str, lengths))} tokens")
    said = f"Training: {', '.join(shared)}." if shared else ""
    return [text for text in (said, f"Otherwise: {'; '.join(differing)}." if differing else "") if text]


def _named(data: ReportData, runs: Sequence[TrainedRun]) -> str:
    """Runs by what they have in common: their methods where those tell them apart, else methods and tasks."""
    arms, tasks = arm_titles(data), task_titles(data)
    pairs = list(dict.fromkeys((run.method, run.task) for run in runs))
    methods = list(dict.fromkeys(method for method, _ in pairs))
    every = {(run.method, run.task) for run in data.results.trained}
    if {pair for pair in every if pair[0] in methods} == set(pairs):
        return listed([arms.get(method, method) for method in methods])
    return listed([f"{arms.get(method, method)} on {tasks.get(task, task)}" for method, task in pairs])


def _rows(data: ReportData, trained: Sequence[TrainedRun]) -> list[str]:
    by_task: dict[str, list[str]] = {}
    for run in trained:
        text = f"{run.n_train:,} training rows and {run.n_validation:,} validation rows"
        if text not in by_task.setdefault(run.task, []):
            by_task[run.task].append(text)
    titles = task_titles(data)
    said = [f"{titles.get(task, task)} has {' or '.join(texts)}" for task, texts in by_task.items()]
    return [f"{listed(said)}."] if said else []


def _other_versions(data: ReportData, trained: Sequence[TrainedRun]) -> str:
    """The versions of the training where they are not those of the analysis."""
    now = data.results.versions
    found: dict[str, list[str]] = {}
    for run in trained:
        for name, version in run.versions.items():
            if now.get(name) != version and version not in found.setdefault(name, []):
                found[name].append(version)
    differing = {name: versions for name, versions in found.items() if versions}
    if not differing:
        return ""
    said = [f"{name} {' and '.join(versions)}" for name, versions in differing.items()]
    return f"Models were trained with other versions than the analysis has: {listed(said)} ({counted(len(trained), 'model')})."


def _one(values: Sequence[Any]) -> Any:
    """The value that all share; None if they do not, or have none."""
    first = values[0]
    return first if all(value == first for value in values) else None
