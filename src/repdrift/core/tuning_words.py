"""The tuning of a study in words: for tables, for a methods section, and for the first lines of every output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from repdrift.core.equal_skill_words import yardstick
from repdrift.core.records.run import LOSSES
from repdrift.core.records.tuning import StudyTuning, TuningRecord, TuningTrial
from repdrift.core.words import chosen_percent, counted, listed, method_title, score_number, some_listed, task_title

_EDGE = {"lowest": "below", "highest": "above"}


def rate_text(rate: float) -> str:
    """A learning rate in three digits at most: `2e-05`, `0.0002`."""
    return f"{rate:.3g}"


def trial_in_words(trial: TuningTrial) -> str:
    """A trial in one line: `learning rate 0.0002: accuracy 0.812 (95 % interval 0.76 to 0.86)`."""
    text = f"learning rate {rate_text(trial.learning_rate)}: "
    if trial.score is None or trial.metric is None:
        return text + {"diverged": "training diverged", "stopped": trial.reason or "stopped"}.get(trial.outcome, "")
    text += f"{trial.metric} {score_number(_shown(trial.metric, trial.score))}"
    if trial.low is not None and trial.high is not None:
        low, high = sorted((_shown(trial.metric, trial.low), _shown(trial.metric, trial.high)))
        text += f" (95 % interval {score_number(low)} to {score_number(high)})"
    return text + (f", {_no_better(trial)}" if trial.broke_down else "")


def choice_in_words(choice: TuningRecord) -> str:
    """A choice in one line, with what is to be said of it."""
    text = f"{task_title(choice.task)}, {method_title(choice.method)}: {trial_in_words(choice.best)}, the best of {len(choice.trials)} trials"
    return "; ".join([text, *remarks_on(choice)])


def remarks_on(choice: TuningRecord) -> list[str]:
    """Returns what is to be said of a chosen rate: that it lies at an edge of what was tried, or right below a rate at which training broke down."""
    remarks: list[str] = []
    if choice.at_edge is not None:
        remarks.append(
            f"it is the {choice.at_edge} rate that was tried, and a better one may lie {_EDGE[choice.at_edge]} it"
        )
    if above := choice.broke_down_above:
        how = "diverged" if above.score is None else f"was {_no_better(above)}"
        remarks.append(
            f"training at the next higher rate that was tried, {rate_text(above.learning_rate)}, {how}: with another seed, or on another processor, it may end so at this rate too"
        )
    return remarks


def study_tuning(
    choices: Mapping[tuple[str, str], TuningRecord | None] | None,
    fixed: Mapping[tuple[str, str], float],
    other_runs: Sequence[str] = (),
) -> StudyTuning:
    """The tuning of a study with its cautions.

    choices: by task and method, None where none was made yet; None: the study does not ask for tuning. fixed: the rates of its
    file, by task and method. other_runs: models, in words, that were not trained with the rates that the study has now.
    """
    cautions = [
        f"{some_listed(list(other_runs))}: trained at another learning rate than the study has now. Train and extract again before "
        "these drifts are read."
    ] * bool(other_runs)
    if choices is None:
        by_task: dict[str, dict[str, float]] = {}
        for (task, method), rate in fixed.items():
            by_task.setdefault(task, {})[method] = rate
        cautions.append(
            f"The learning rates were not tuned: each method was trained at a rate that was fixed beforehand ({_fixed(by_task)}). Which "
            "method drifts more can depend on the rates alone. `tune:` in the study gives every method the same number of trials."
        )
        text = f"Learning rates were fixed beforehand and not tuned: {_fixed(by_task)}."
        return StudyTuning(tuned=False, cautions=cautions, methods_text=text, fixed_rates=by_task)
    made = [choice for choice in choices.values() if choice is not None]
    if absent := [
        f"{method_title(method)} on {task_title(task)}" for (task, method), c in choices.items() if c is None
    ]:
        cautions.append(
            f"No learning rate was chosen yet for {some_listed(absent)}: the study is not tuned until `repdrift tune` has done so."
        )
    cautions += _edges(made)
    return StudyTuning(tuned=not absent, cautions=cautions, methods_text=_methods_text(made), choices=made)


def _edges(choices: Sequence[TuningRecord]) -> list[str]:
    found: dict[tuple[str, str], list[TuningRecord]] = {}
    for choice in choices:
        if choice.at_edge is not None:
            found.setdefault((choice.method, choice.at_edge), []).append(choice)
    return [
        f"The best learning rate of {method_title(method)} on {some_listed([f'{task_title(c.task)} ({rate_text(c.learning_rate)})' for c in group], most=3)} is the "
        f"{edge} of those that were tried: a better one may lie {_EDGE[edge]} it. Widen the range under tune.learning_rates."
        for (method, edge), group in found.items()
    ]


def _methods_text(choices: Sequence[TuningRecord]) -> str:
    if not choices:
        return "No learning rate was chosen yet."
    first = choices[0]
    sampler = "a grid" if first.sampler == "grid" else "proposed by Optuna's TPE sampler"
    pruning = "; Optuna's median pruner stopped trials early" if first.pruning else ""
    metrics = listed(sorted({choice.best.metric or "" for choice in choices}))
    keeps_best = first.hyperparameters.get("keep") == "best"
    then = (
        "Each final model is the checkpoint with the best score on training rows held out in the same way."
        if keeps_best
        else "The final models were then trained on all training rows, with other seeds."
    )
    chosen = "; ".join(
        f"{task_title(task)}: {listed([f'{method_title(c.method)} {rate_text(c.learning_rate)}' for c in choices if c.task == task])}"
        for task in dict.fromkeys(choice.task for choice in choices)
    )
    return (
        f"The learning rate of each method was chosen on each task from {trials_in_words(choices)} ({sampler}{pruning}), equally many for "
        f"every method; nothing else was tuned. A trial was one training with the study's options and seed {first.seed}, scored by {metrics} on "
        f"a share of {chosen_percent(first.held_out)} of the training rows, which were held out by the hash of their ids, rows that share a text together. "
        f"The best score was taken, and the lower rate of equals. Validation rows had no part in it. {then} Chosen rates: {chosen}."
    )


def trials_in_words(choices: Sequence[TuningRecord]) -> str:
    """The number of trials, by task where it is not the same on all."""
    by_task = {choice.task: choice.n_trials for choice in choices}
    numbers = list(dict.fromkeys(by_task.values()))
    if len(numbers) == 1:
        return counted(numbers[0], "trial")
    return listed(
        [f"{counted(n, 'trial')} on {listed([task_title(t) for t in by_task if by_task[t] == n])}" for n in numbers]
    )


def _fixed(by_task: Mapping[str, Mapping[str, float]]) -> str:
    """The rates by method; by task too where they differ between tasks."""
    methods = list(dict.fromkeys(method for rates in by_task.values() for method in rates))
    parts: list[str] = []
    for method in methods:
        rates = {task: by_task[task][method] for task in by_task if method in by_task[task]}
        if len(set(rates.values())) == 1:
            parts.append(f"{method_title(method)} {rate_text(next(iter(rates.values())))}")
        else:
            parts += [f"{method_title(method)} on {task_title(task)} {rate_text(rate)}" for task, rate in rates.items()]
    return some_listed(parts, most=8)


def _no_better(trial: TuningTrial) -> str:
    return f"no better than {yardstick(higher_is_better=trial.metric not in LOSSES)}"


def _shown(metric: str, score: float) -> float:
    return -score if metric == "loss" else score
