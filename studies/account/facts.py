"""Facts of one study, as the text of an account asks for them: what is finished, what was learnt, and what became of each claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from studies.account.cells import FROZEN, mean_of

from repdrift.core.equal_skill_words import in_one_line, skill_notes
from repdrift.core.first_lines import first_lines
from repdrift.core.hypotheses import LESS, TARGET
from repdrift.core.learnt_words import judged_models
from repdrift.core.records.claims import HypothesisTest, Reduction
from repdrift.core.records.equal_skill import EqualSkill
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.records.tuning import TuningRecord
from repdrift.core.study_headline import headline
from repdrift.core.words import counted, listed, markdown_text, method_title, task_title
from repdrift.report.glance.study_numbers import ArmModels, Score, final_score, models_of
from repdrift.report.report_data import ReportData, read_report_data

ROUNDING = 1e-6
"""Drifts below this are none: the same representations, computed in another order."""
LOWEST_LAYER = (
    "every model more than every model of the reference",
    "every model less",
    "some more, some less",
    FROZEN,
)
"""The ways in which drifts in the lowest layer can lie to those of the reference."""
NOT_LEARNT = "‡"
"""Marks an arm of which a model has not learnt the task."""


@dataclass(frozen=True)
class TaskState:
    """How far a task has come: final models that are measured, of those that are planned."""

    task: str
    there: int
    planned: int

    @property
    def finished(self) -> bool:
        """True if no model is missing."""
        return self.there == self.planned


@dataclass(frozen=True)
class StudyFacts:
    """One study's results. planned_tasks: those of the whole study, where the results are of a part of it."""

    data: ReportData
    planned_tasks: Sequence[str] = ()

    @classmethod
    def read(cls, results_file: Path, planned_tasks: Sequence[str] = ()) -> StudyFacts:
        """Read results and table. Raises DataError if they are missing, damaged, or not of one analysis."""
        return cls(read_report_data(results_file), planned_tasks)

    @property
    def study(self):
        """The study's settings."""
        return self.data.results.study

    @cached_property
    def states(self) -> list[TaskState]:
        """Every planned task with the number of its models."""
        of_results = {
            task: [run for run in self.data.results.runs if run.task == task and run.step == 0]
            for task in self.study.tasks
        }
        each = len(self.study.methods) * len(self.study.seeds)
        order = list(dict.fromkeys([*self.planned_tasks, *self.study.tasks]))
        return [
            TaskState(
                task, sum(run.status == "ok" for run in of_results.get(task, [])), len(of_results.get(task, [])) or each
            )
            for task in order
        ]

    @property
    def finished(self) -> list[str]:
        """Tasks of which no model is missing."""
        return [state.task for state in self.states if state.finished]

    @property
    def begun(self) -> list[str]:
        """Tasks of which at least one model is measured, the finished ones among them."""
        return [state.task for state in self.states if state.there]

    def tasks_of(self, arm: str) -> list[str]:
        """The tasks that claims over all tasks rest on for this arm: those that it has and has learnt, as far as the results tell."""
        found = self.reduction(ALL_TASKS, arm)
        if found is not None and found.tasks:
            return [task for task in self.begun if task in found.tasks]
        there = {run.task for run in self.data.results.runs if (run.method, run.step, run.status) == (arm, 0, "ok")}
        return [task for task in self.begun if task in there]

    def only_on(self, task: str, arm: str) -> str:
        """Of a claim over all tasks: the tasks that it is of where others have more, in brackets after a space; else empty."""
        there = self.tasks_of(arm)
        fewer = task == ALL_TASKS and len(there) < len(self.begun)
        return f" (on {listed([task_title(t) for t in there])} alone)" if fewer else ""

    def progress(self, not_learnt: Sequence[str] = (), learnt: Sequence[str] = ()) -> str:
        """What is finished and what is not, in words. not_learnt, learnt: tasks that models were tried on, and none or one of them has learnt."""
        part = [
            f"{task_title(s.task)} ({s.there} of {counted(s.planned, 'model')})"
            for s in self.states
            if 0 < s.there < s.planned
        ]
        absent = [s.task for s in self.states if not s.there]
        parts = {
            "Tasks finished so far": [task_title(task) for task in self.finished],
            "In part": part,
            "Left out, since no model that was tried has learnt them": [
                task_title(t) for t in absent if t in not_learnt
            ],
            "Learnt by a model that was tried, but not run with all arms": [
                task_title(t) for t in absent if t in learnt
            ],
            "Not yet run": [task_title(t) for t in absent if t not in (*not_learnt, *learnt)],
        }
        return ". ".join(f"{said}: {listed(names)}" for said, names in parts.items() if names) + "."

    @property
    def headline(self) -> str:
        """The answer in one sentence, as every output of an analysis has it."""
        return markdown_text(headline(self.data.results, self.data.table))

    @property
    def first_lines(self) -> list[str]:
        """Sentences that change how every number is read: models that have not learnt their task, rates at an edge of what was tried, checks that failed."""
        models = judged_models(self.data.results.runs)
        said = [markdown_text(line) for line in first_lines(self.data.results)]
        said += self.failed_checks
        if models and all(model.verdict for model in models):
            said.insert(
                0,
                f"All {counted(len(models), 'trained model')} that are measured have learnt their task: each is surely better than the best constant answer.",
            )
        return said

    @property
    def failed_checks(self) -> list[str]:
        """What the checks of the whole comparison found wrong, in the analysis's own words."""
        failed = [check for check in self.data.results.sanity if check.passed is False]
        return [markdown_text(f"Check failed: {check.name}. {check.detail}") for check in failed]

    @property
    def warnings(self) -> list[str]:
        """What is missing or needs care, in the analysis's own words, without what `first_lines` says."""
        said = set(first_lines(self.data.results))
        return [markdown_text(warning) for warning in self.data.results.warnings if warning not in said]

    def skill_notes(self, task: str) -> list[str]:
        """The scores at which arms were compared, conditions, and the reasons where there is no comparison at equal skill."""
        found = [each for each in self.data.results.equal_skill if each.task == task]
        if not found:
            return [
                "There is no comparison at equal skill: it was not asked for, or the results are of an older version."
            ]
        return [markdown_text(note) for note in skill_notes(found, several=True)]

    @property
    def compared(self) -> list[str]:
        """The arms that are compared with the reference."""
        return list(self.study.contrasted)

    def arms_on(self, task: str) -> list[str]:
        """The arms that have a final model of this task; those of all tasks where it is `ALL_TASKS`."""
        there = {
            run.method
            for run in self.data.results.runs
            if (run.step, run.status) == (0, "ok") and task in (run.task, ALL_TASKS)
        }
        return [arm for arm in self.study.methods if arm in there]

    def compared_on(self, task: str) -> list[str]:
        """Those of them that are compared with the reference."""
        return [arm for arm in self.arms_on(task) if arm in self.compared]

    def of(self, arm: str) -> StudyFacts:
        """The facts as those of two arms, the reference and this one."""
        return replace(self, data=replace(self.data, results=self.data.results.of_contrast(arm)))

    def models(self, task: str, arm: str) -> ArmModels:
        """The drift of the final models of an arm."""
        return models_of(self.data, task, arm)

    def score(self, task: str, arm: str) -> Score | None:
        """The primary score of the final models of an arm; None if they have none."""
        return final_score(self.data, task, arm)

    def is_frozen(self, task: str, arm: str, layer: int) -> bool:
        """True if no final model of the arm drifts in this layer by more than rounding: what it trains comes later."""
        found = self.reduction(task, arm, layer)
        drifts = [] if found is None else list(found.comparison_by_seed.values())
        return bool(drifts) and all(drift is not None and abs(drift) < ROUNDING for drift in drifts)

    def side_of_lowest_layer(self, task: str, arm: str) -> str | None:
        """Whether the arm drifts more or less than the reference in the lowest layer in every seed, one of `LOWEST_LAYER`; None without drifts."""
        layer = self.data.layers[0]
        found = self.reduction(task, arm, layer)
        by_seed = (found.comparison_by_seed, found.reference_by_seed) if found else ({}, {})
        ours, theirs = ([value for value in of.values() if value is not None] for of in by_seed)
        if not ours or not theirs:
            return None
        if self.is_frozen(task, arm, layer):
            return FROZEN
        more, less, overlap = LOWEST_LAYER[:3]
        return more if min(ours) > max(theirs) else less if max(ours) < min(theirs) else overlap

    def beside_seeds(self, task: str, arm: str) -> tuple[float, float] | None:
        """The difference of the arm's mean drift from that of the reference, and the drift between two seeds; None if one is not known."""
        drifts = [self.models(task, name).drift for name in (self.study.reference_method, arm)]
        seeds = self.between_seeds(task, arm)
        if drifts[0] is None or drifts[1] is None or seeds is None:
            return None
        return abs(drifts[0] - drifts[1]), seeds

    def between_seeds(self, task: str, arm: str) -> float | None:
        """The drift from one seed's model to another's, of the arm or of the reference, the larger one; None if neither is known."""
        pair = (self.study.reference_method, arm)
        seeds = [mean for name in pair if (mean := mean_of(self.control("seed_ceiling", task, name))) is not None]
        return max(seeds, default=None)

    def name(self, task: str, arm: str, tasks: Sequence[str] | None = None) -> str:
        """The name of an arm as a table has it, marked where one of its models has not learnt the task.

        Over all tasks it is marked where a number rests on such a model. tasks: those that it rests on; None: those of the claims.
        """
        on = [task] if task != ALL_TASKS else self.tasks_of(arm) if tasks is None else tasks
        runs = (r for r in self.data.results.runs if (r.method, r.step, r.status) == (arm, 0, "ok") and r.task in on)
        failed = any(r.learnt is not None and r.learnt.learnt is False for r in runs)
        return markdown_text(self.title(arm)) + (NOT_LEARNT if failed else "")

    def frozen_layers(self, task: str, arm: str) -> list[int]:
        """The layers in which no model of an arm can move, on a task or on all that it is compared on."""
        tasks = self.tasks_of(arm) if task == ALL_TASKS else [task]
        return [n for n in self.data.layers if tasks and all(self.is_frozen(name, arm, n) for name in tasks)]

    def reduction(self, task: str, arm: str, layer: int | None = None) -> Reduction | None:
        """The reduction of an arm's drift at the end of training; None if the analysis has none."""
        return self.of(arm).data.reduction(task, layer)

    def test(self, hypothesis: str, task: str, arm: str, layer: int | None = None) -> HypothesisTest | None:
        """The test of a claim that compares an arm with the reference; None if it was not tested."""
        found = (t for t in self.data.results.tests if (t.hypothesis, t.task, t.layer) == (hypothesis, task, layer))
        return next(
            (t for t in found if t.method is None and (t.comparison or self.study.comparison_method) == arm), None
        )

    def floor_test(self, hypothesis: str, task: str, arm: str) -> HypothesisTest | None:
        """The test of a claim about one arm alone, over the layers."""
        return self.data.test(hypothesis, task, arm)

    def less(self, task: str, arm: str, layer: int | None = None) -> HypothesisTest | None:
        """The test of whether an arm drifts less at the end of training."""
        return self.test(LESS, task, arm, layer)

    def target(self, task: str, arm: str) -> HypothesisTest | None:
        """The test of whether an arm reaches the target at the end of training."""
        return self.test(TARGET, task, arm)

    def equal_skill(self, task: str, arm: str) -> EqualSkill | None:
        """The comparison of an arm at equal skill; None if it was not asked for."""
        return next((e for e in self.data.results.equal_skill if (e.task, e.comparison) == (task, arm)), None)

    def sentences(self, arm: str) -> list[str]:
        """What became of the claims on an arm over all tasks that are there, in the analysis's own words: at equal skill, at the end, the target."""
        skill = self.equal_skill(ALL_TASKS, arm)
        said = [] if skill is None else [in_one_line(skill)]
        said += [test.sentence for test in (self.less(ALL_TASKS, arm), self.target(ALL_TASKS, arm)) if test is not None]
        return [markdown_text(sentence.partition(" Dunnett's test")[0]) for sentence in said]

    def choice(self, task: str, arm: str) -> TuningRecord | None:
        """How the learning rate of an arm was chosen; None if it was not tuned."""
        tuning = self.data.results.tuning
        return next((c for c in tuning.choices if (c.task, c.method) == (task, arm)), None) if tuning else None

    def control(self, name: str, task: str, arm: str | None = None) -> list[float | None]:
        """The drift of a control by layer; None where it was not measured."""
        drifts = self.data.control_drift(name, task, arm)
        return [None if np.isnan(value) else float(value) for value in drifts]

    def over_all(self) -> bool:
        """True if there are claims over several tasks."""
        return any(reduction.task == ALL_TASKS for reduction in self.data.results.reductions) and len(self.begun) > 1

    @staticmethod
    def title(arm: str) -> str:
        """The name of an arm for people."""
        return method_title(arm)


def measured_together(parts: Mapping[str, StudyFacts]) -> dict[str, StudyFacts]:
    """The analyses that the tasks' facts are of, each once, by the names of its tasks in words."""
    found: dict[int, list[str]] = {}
    for task, facts in parts.items():
        found.setdefault(id(facts), []).append(task)
    return {listed([task_title(task) for task in tasks]): parts[tasks[0]] for tasks in found.values()}
