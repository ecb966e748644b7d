"""Claims at equal skill: whether one method drifts less than the reference where both have the same score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from repdrift.core.equal_skill_words import yardstick
from repdrift.core.hypotheses import LESS_AT_EQUAL_SKILL
from repdrift.core.records.claims import Interval, Reduction
from repdrift.core.records.equal_skill import EqualSkill, RunPath, SkillRegression, SkillRun, SkillScore
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.records.study_info import RunStatus
from repdrift.core.words import (
    chosen_percent,
    counted,
    first_apart,
    listed,
    method_title,
    number,
    percent_range,
    reduction_in_words,
    score_number,
    task_title,
)
from repdrift.drift.analysis_plan import DriftPlan
from repdrift.drift.control_conditions import ZERO_DRIFT
from repdrift.drift.inference.arm_families import Draft, about, corrected_over_arms
from repdrift.drift.inference.method_claims import tested_on
from repdrift.drift.inference.skill_paths import CHECKPOINTS_KEY, TaskPaths, TrainedRun, runs_by_method, task_paths
from repdrift.drift.inference.verdicts import Evidence, Statement
from repdrift.statistics import StratumAtScore, equal_skill_test, skill_regression, strata_at_score


@dataclass(frozen=True)
class _Drafted:
    """A comparison whose test is not yet corrected over arms. draft: None if there is no comparison."""

    record: EqualSkill
    draft: Draft | None = None


@dataclass(frozen=True)
class _Task:
    """A task of which every run has a drift at one score, or never reaches it."""

    paths: TaskPaths
    at: StratumAtScore
    score: SkillScore
    runs: list[SkillRun]
    conditions: list[str]


def equal_skill_claims(rows: pd.DataFrame, statuses: Sequence[RunStatus], plan: DriftPlan) -> list[EqualSkill]:
    """Compare every method with the reference at equal skill, on each task and on all tasks that allow it.

    rows: the primary measure's rows of every step. Where several methods are compared with the reference, the tests are corrected
    over them by Holm. Where a comparison is impossible, its record has the reason. Empty if the plan asks for none.
    """
    if not plan.equal_skill:
        return []
    contrasts = [_contrast(rows, statuses, of) for of in plan.contrasts()]
    tests = corrected_over_arms([[d.draft for d in drafted if d.draft is not None] for drafted in contrasts])
    found: list[EqualSkill] = []
    for drafted, of_contrast in zip(contrasts, tests, strict=True):
        corrected = iter(of_contrast)
        for each in drafted:
            test = next(corrected) if each.draft is not None else None
            record = test.record(plan.alpha) if isinstance(test, Draft) else test
            found.append(each.record.model_copy(update={"test": record}))
    return found


def _contrast(rows: pd.DataFrame, statuses: Sequence[RunStatus], plan: DriftPlan) -> list[_Drafted]:
    """Returns the comparisons of one method with the reference: the tasks with models of both, then all tasks."""
    methods = {plan.reference_method, plan.comparison_method}
    finals = [s for s in statuses if s.status == "ok" and s.step == 0]
    tasks = [t for t in plan.tasks if {s.method for s in finals if s.task == t} >= methods]
    if not tasks:
        return []
    if not any(s.step != 0 and s.status == "ok" and s.method in methods for s in statuses):
        reason = f"No run has a checkpoint beside the final model: {CHECKPOINTS_KEY}."
        return [_Drafted(_empty(ALL_TASKS, plan, reason))]
    found: list[_Drafted] = []
    compared: dict[str, _Task] = {}
    for task in tasks:
        paths = task_paths(rows, statuses, task, plan)
        known = paths if isinstance(paths, str) else _at_score(paths, plan)
        shown = {} if isinstance(paths, str) else _shown(paths)
        if isinstance(known, str):
            found.append(_Drafted(_empty(task, plan, known).model_copy(update=shown)))
        else:
            compared[task] = known
            drafted = _compared(task, {task: known}, plan)
            found.append(replace(drafted, record=drafted.record.model_copy(update=shown)))
    if compared:
        return [*found, _compared(ALL_TASKS, compared, plan)]
    reasons = list(dict.fromkeys(each.record.missing or "" for each in found))
    return [*found, _Drafted(_empty(ALL_TASKS, plan, " ".join(reasons)))]


def _empty(task: str, plan: DriftPlan, reason: str) -> EqualSkill:
    return EqualSkill(comparison=plan.comparison_method, task=task, measure=plan.primary_measure, missing=reason)


def _shown(paths: TaskPaths) -> dict[str, Any]:
    """Returns the fields of a record that show the paths of a task's runs."""
    runs = [
        RunPath(
            method=run.method,
            seed=run.seed,
            steps=[point.step for point in run.checkpoints],
            scores=[point.score for point in run.checkpoints if point.score is not None],
            drifts=[point.drift for point in run.checkpoints],
            smoothed_scores=(paths.sign * run.path.scores).tolist(),
            smoothed_drifts=run.path.drifts.tolist(),
        )
        for run in paths.runs
    ]
    learnt = paths.learnt
    kind = {"metric": learnt.metric, "higher_is_better": learnt.higher_is_better}
    return {**kind, "constant_score": learnt.constant_score, "paths": runs}


def _at_score(paths: TaskPaths, plan: DriftPlan) -> _Task | str:
    """Reads the drift of every run at the task's score. Returns the reason, as a sentence, if the methods cannot be compared there."""
    task, sign = paths.task, paths.sign
    reference = [run for run in paths.runs if run.method == plan.reference_method]
    comparison = [run for run in paths.runs if run.method == plan.comparison_method]
    runs = [*reference, *comparison]
    named = plan.equal_skill_score.get(task)
    (at,) = strata_at_score(
        [run.path for run in reference],
        [run.path for run in comparison],
        scores=None if named is None else {"all": sign * named},
    ).values()
    metric, score = paths.learnt.metric, sign * at.score
    beaten = yardstick(higher_is_better=paths.learnt.higher_is_better)
    limiting = runs_by_method(runs[i] for i in at.limiting)
    if at.score <= paths.chance:
        whose = (
            "the score named in the study"
            if named is not None
            else f"the best score that every run reaches ({'; '.join(limiting)}: no more)"
        )
        name_one = (
            ""
            if named is not None
            else " Name a higher score (analysis.equal_skill_score); runs that never reach it are then left out, by name."
        )
        return (
            f"On {task_title(task)} {whose} is {metric} {score_number(score)}, not surely better than {beaten} "
            f"({score_number(paths.learnt.constant_score)}), so that equal skill means nothing there.{name_one}"
        )
    early = [runs[i] for i, found in at.entries if found.crossing == "before the first checkpoint"]
    if early:
        return (
            f"On {task_title(task)} {first_apart(runs_by_method(early))} {'was' if len(early) == 1 else 'were'} better than {metric} {score_number(score)} at the first checkpoint "
            "already, so that the drift at that score is not known: save earlier checkpoints (training.all.checkpoints), or name a "
            "better score (analysis.equal_skill_score)."
        )
    never = [runs[i] for i, found in at.entries if found.crossing == "never"]
    for method, found in ((plan.reference_method, at.reference), (plan.comparison_method, at.comparison)):
        if all(each.drift is None for each in found):
            best = sign * max(run.path.best for run in runs if run.method == method)
            return f"On {task_title(task)} no run of {method_title(method)} reaches {metric} {score_number(score)}; the best has {score_number(best)}."
    if np.mean([each.drift for each in at.reference if each.drift is not None]) <= ZERO_DRIFT:
        return (
            f"On {task_title(task)} the mean drift of {method_title(plan.reference_method)} at {metric} {score_number(score)} is not above 0, but for rounding: "
            "there is nothing to take a share of."
        )
    conditions: list[str] = []
    if paths.tolerance is None:
        conditions.append(
            f"{task_title(task)}: how far scores differ by chance is not known, because no final model has an interval of its gain over {beaten} "
            f"({counted(paths.learnt.n_items, 'scored row')}). So it is not known either whether models are better than that at {metric} {score_number(score)}."
        )
    if never:
        have = "runs never reaches" if len(never) == 1 else "runs never reach"
        conditions.append(
            f"{task_title(task)}: {len(never)} of {len(runs)} {have} {metric} {score_number(score)} and {'is' if len(never) == 1 else 'are'} left out "
            f"({first_apart(runs_by_method(never))}). The comparison is of the runs that reach it, and those that only just do "
            "make their method seem to drift less: up to 10 % of such true nulls were rejected (docs/explanation/calibration.md)."
        )
    far = [runs[i] for i, found in at.entries if found.drift is not None and _from_chance(runs[i], at.score, paths)]
    if far:
        conditions.append(
            f"{task_title(task)}: at {metric} {score_number(score)} the drift of {len(far)} of {len(runs)} runs ({first_apart(runs_by_method(far))}) is interpolated from a "
            f"checkpoint at which the model was not surely better than {beaten}, so it is rough. Save more checkpoints "
            "between (training.all.checkpoint_every, or a larger training.all.checkpoints)."
        )
    return _Task(
        paths,
        at,
        SkillScore(
            task=task,
            metric=metric,
            higher_is_better=paths.learnt.higher_is_better,
            score=score,
            chosen="the best that every run reaches" if named is None else "named by the study",
            limiting=limiting,
            constant_score=paths.learnt.constant_score,
            tolerance=paths.tolerance,
            n_items=paths.learnt.n_items,
        ),
        [
            SkillRun(
                task=task,
                method=runs[i].method,
                seed=runs[i].seed,
                best=sign * runs[i].path.best,
                drift=found.drift,
                crossing=found.crossing,
                n_checkpoints=len(runs[i].checkpoints),
                left_out=runs[i].path.left_out,
            )
            for i, found in at.entries
        ],
        conditions,
    )


def _from_chance(run: TrainedRun, score: float, paths: TaskPaths) -> bool:
    """True if the path's last point below the score is one at which the run had not surely learnt."""
    below = run.path.scores[run.path.scores < score]
    return not bool((run.path.scores == score).any()) and bool(below.size) and float(below[-1]) <= paths.chance


def _compared(task: str, tasks: Mapping[str, _Task], plan: DriftPlan) -> _Drafted:
    """Returns the comparison on these tasks, with its test before the correction over arms. task: its name, or `all`."""
    result = equal_skill_test(
        {name: each.at for name, each in tasks.items()}, confidence=plan.sampling.confidence, rounding=ZERO_DRIFT
    )
    means = [
        float(np.mean([np.mean([found.drift for found in of if found.drift is not None]) for of in each]))
        for each in ([t.at.reference for t in tasks.values()], [t.at.comparison for t in tasks.values()])
    ]
    interval = None
    if result.reduction.interval is not None:
        low, high = result.reduction.interval
        interval = Interval(over="models", low=low, high=high, method="Welch, on the log ratio")
    estimate = result.reduction.estimate
    record = EqualSkill(
        comparison=plan.comparison_method,
        task=task,
        tasks=list(tasks),
        measure=plan.primary_measure,
        scores=[each.score for each in tasks.values()],
        reduction=estimate,
        interval=interval,
        reference_drift=means[0],
        comparison_drift=means[1],
        runs=[run for each in tasks.values() for run in each.runs],
        second_opinion=_second_opinion(tasks, estimate, plan),
        conditions=[said for each in tasks.values() for said in each.conditions],
    )
    less, greater = result.less, result.greater
    evidence = Evidence(
        statistic=less.statistic,
        pvalue=less.pvalue,
        opposite_pvalue=greater.pvalue,
        smallest_pvalue=less.smallest_pvalue,
        exact=less.exact,
        n_permutations=less.n_permutations,
        n_units=less.n_units,
    )
    fields = {
        **about(LESS_AT_EQUAL_SKILL, _as_reduction(record)),
        "test": f"{'studentised ' if less.studentised is not None else ''}label permutation of {'log ' if result.logarithm else ''}drift",
        "estimate": estimate,
        "interval": interval,
        "margin": 0.0,
    }
    return _Drafted(record, Draft(fields, evidence, _statement(record, result.geometric_reduction, plan)))


def _as_reduction(record: EqualSkill) -> Reduction:
    return Reduction(
        comparison=record.comparison,
        task=record.task,
        layer=None,
        measure=record.measure,
        reduction=record.reduction,
        reduction_low=None,
        reference_drift=record.reference_drift,
        comparison_drift=record.comparison_drift,
        reference_by_seed={},
        comparison_by_seed={},
    )


def _statement(record: EqualSkill, factor: float | None, plan: DriftPlan) -> Statement:
    """Returns the claim and its numbers. factor: the reduction of geometric means; None if drift itself is tested."""
    if record.task != ALL_TASKS:
        where = f"on {task_title(record.task)}"
    elif len(record.tasks) < len(plan.tasks):
        where = f"over {len(record.tasks)} of {len(plan.tasks)} tasks ({listed([task_title(t) for t in record.tasks])})"
    else:
        where = "over all tasks"
    numbers = f"mean drift {number(record.comparison_drift)} against {number(record.reference_drift)}"
    if record.reduction is not None:
        less = reduction_in_words(record.reduction, method_title(plan.reference_method))
        if record.interval is not None:
            ends = percent_range(record.interval.low, record.interval.high)
            less += f" ({chosen_percent(plan.sampling.confidence)} interval of the reduction {ends}, over models)"
        numbers = f"{less}, {numbers}"
    said = "; ".join(
        f"{score.metric} {score_number(score.score)}{f' on {task_title(score.task)}' if len(record.scores) > 1 else ''}"
        for score in record.scores
    )
    how = list(dict.fromkeys(score.chosen for score in record.scores))
    at = f"at {said} ({how[0] if len(how) == 1 else 'the best that every run reaches, or named by the study'})"
    never = sum(run.crossing == "never" for run in record.runs)
    it = "the score" if len(record.scores) > 1 else "it"
    left = f", without {counted(never, 'run')} that never {'reaches' if never == 1 else 'reach'} {it}" if never else ""
    return Statement(
        f"{plan.claim(LESS_AT_EQUAL_SKILL)} {where}", f"{numbers}, {at}{left}{tested_on(record.reduction, factor)}"
    )


def _second_opinion(tasks: Mapping[str, _Task], estimate: float | None, plan: DriftPlan) -> SkillRegression:
    """The regression over all checkpoints that are surely better than the best constant answer."""
    points = [
        (point.drift, sign_score, run.method == plan.comparison_method, f"{run.method} {run.seed}", name)
        for name, task in tasks.items()
        for run in task.paths.runs
        for point in run.checkpoints
        if point.score is not None and (sign_score := task.paths.sign * point.score) > task.paths.chance
    ]
    if not points:
        beaten = dict.fromkeys(yardstick(higher_is_better=t.paths.learnt.higher_is_better) for t in tasks.values())
        reason = f"no checkpoint is surely better than {' or '.join(beaten)}"
        return SkillRegression(reduction=None, low=None, high=None, pvalue=None, n_points=0, n_runs=0, missing=reason)
    drifts, scores, compared, runs, strata = (list(column) for column in zip(*points, strict=True))
    found = skill_regression(
        drifts, scores, compared=compared, runs=runs, strata=strata, confidence=plan.sampling.confidence
    )
    agrees = None
    if found.interval is not None and estimate is not None:
        agrees = found.interval.low <= estimate <= found.interval.high
    return SkillRegression(
        reduction=found.reduction,
        low=None if found.interval is None else found.interval.low,
        high=None if found.interval is None else found.interval.high,
        pvalue=found.pvalue,
        n_points=found.n_points,
        n_runs=found.n_runs,
        agrees=agrees,
        missing=found.missing,
    )
