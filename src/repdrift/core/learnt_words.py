"""Trained models that have not learnt their task: which they are, in words, and whether a comparison may rest on them.

A model that learnt nothing drifts little under any method, so its drift says nothing of the method.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from repdrift.core.records.results import DriftResults
from repdrift.core.records.run import Learnt
from repdrift.core.records.study_info import RunStatus
from repdrift.core.words import counted, first_apart, listed, method_title, score_number, some_listed, task_title

_NAMED = 3
"""Groups of models that one sentence names; the table of trained models has all."""


@dataclass(frozen=True)
class JudgedModel:
    """A final model that is there. learnt: None in files of older versions."""

    task: str
    method: str
    seed: int
    learnt: Learnt | None

    @property
    def verdict(self) -> bool | None:
        """True if the model has learnt its task; None: not known."""
        return None if self.learnt is None else self.learnt.learnt


def judged_models(runs: Iterable[RunStatus]) -> list[JudgedModel]:
    """The final models among the runs of an analysis that are there."""
    return [JudgedModel(r.task, r.method, r.seed, r.learnt) for r in runs if r.status == "ok" and r.step == 0]


def not_learnt(models: Iterable[JudgedModel], task: str, methods: Collection[str]) -> list[JudgedModel]:
    """The models of a task and of these methods that have not learnt it.

    A comparison of the methods on this task is testable as a property of the methods if there is none.
    """
    return [m for m in models if m.task == task and m.method in methods and m.verdict is False]


def not_known(models: Iterable[JudgedModel], tasks: Collection[str], methods: Collection[str]) -> list[JudgedModel]:
    """The models of these tasks and methods of which it is not known whether they have learnt."""
    return [m for m in models if m.task in tasks and m.method in methods and m.verdict is None]


def untestable_reason(models: Sequence[JudgedModel]) -> str:
    """Says, as a clause, that a comparison which rests on these models, which have not learnt, shows no property of a method."""
    models_have = f"{counted(len(models), 'model')} {'has' if len(models) == 1 else 'have'}"
    return f"{models_have} not learnt the task ({_named(models, most=3, scores=False)}), and a model that learnt less drifts less, whatever the method"


def learnt_in_short(learnt: Learnt | None) -> str:
    """Says whether a model has learnt its task, in a word: `yes`, `no` or `not known`."""
    verdict = None if learnt is None else learnt.learnt
    return {True: "yes", False: "no", None: "not known"}[verdict]


def learnt_cautions(models: Sequence[JudgedModel]) -> list[str]:
    """Sentences for the first lines of every output: which models have not learnt, and of which it is not known."""
    failed = [m for m in models if m.verdict is False]
    few = [m for m in models if m.learnt is not None and m.verdict is None]
    older = [m for m in models if m.learnt is None]
    found: list[str] = []
    if failed:
        have = "has not learnt its task" if len(failed) == 1 else "have not learnt their task"
        found.append(
            f"{len(failed)} of {counted(len(models), 'trained model')} {have}, since the score is not surely above that of the best constant "
            f"answer: {_named(failed)}. A model that learnt less drifts less, so a comparison of methods that rests on such models is not "
            "testable as a property of the method."
        )
    if few:
        found.append(
            f"It is not known whether {_models(few, models)} learnt the task, since too few rows, or groups of rows that belong together, "
            f"were scored: {_named(few)}. Score more rows before a comparison of methods is relied on."
        )
    if older:
        found.append(
            f"It is not known whether {_models(older, models)} learnt the task, since the files do not say, as those of older versions: "
            f"{_named(older)}. A comparison of methods holds only if they have."
        )
    return found


def learnt_footnote(models: Sequence[JudgedModel]) -> str | None:
    """Returns `learnt_cautions` in one short line, for a figure; None if every model has learnt its task."""
    failed = sum(m.verdict is False for m in models)
    unknown = sum(m.verdict is None for m in models)
    said = [
        f"{failed} of {counted(len(models), 'model')} {'has' if failed == 1 else 'have'} not learnt the task"
    ] * bool(failed)
    said += [
        f"of {unknown} of {counted(len(models), 'model')} it is not known whether they have learnt the task"
    ] * bool(unknown)
    line = "; ".join(said)
    return f"{line[0].upper()}{line[1:]}." if line else None


def _models(part: Sequence[JudgedModel], whole: Sequence[JudgedModel]) -> str:
    return f"{len(part)} of {counted(len(whole), 'trained model')}"


def _named(models: Sequence[JudgedModel], *, most: int = _NAMED, scores: bool = True) -> str:
    """Models by task and method, with their seeds and the range of their scores. most: groups that are named."""
    groups: dict[tuple[str, str], list[JudgedModel]] = {}
    for model in models:
        groups.setdefault((model.task, model.method), []).append(model)
    said = [
        f"{task_title(task)}, {method_title(method)}, {'seed' if len(group) == 1 else 'seeds'} "
        f"{some_listed([str(m.seed) for m in group])}{_scores(group) if scores else ''}"
        for (task, method), group in groups.items()
    ]
    return first_apart(said, "more group" if len(said) == most + 1 else "more groups", most=most)


def _scores(group: Sequence[JudgedModel]) -> str:
    known = [m.learnt for m in group if m.learnt is not None]
    if not known:
        return ""
    low, high = min(k.score for k in known), max(k.score for k in known)
    score = " to ".join(
        dict.fromkeys((f"{score_number(low)}", f"{score_number(high)}"))
    )  # one number where both are the same in three digits
    constants = listed(sorted({f"{score_number(k.constant_score)}" for k in known}))
    return f" ({known[0].metric} {score} against {constants})"


def learnt_tasks(results: DriftResults, methods: Sequence[str]) -> list[str]:
    """The tasks that are compared with models of every one of these methods, none of which is known not to have learnt."""
    models, compared = judged_models(results.runs), {r.task for r in results.reductions}
    return [task for task in results.study.tasks if task in compared and not not_learnt(models, task, methods)]


def rests_on_unknown(results: DriftResults, methods: Sequence[str]) -> bool:
    """True if a comparison of these methods over all tasks rests on a model of which it is not known whether it has learnt."""
    return bool(not_known(judged_models(results.runs), learnt_tasks(results, methods), methods))
