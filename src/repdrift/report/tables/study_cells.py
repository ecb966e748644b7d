"""Single cells of a study's table: drift, reduction, p, score, forgetting and drift at equal skill of one task and method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from repdrift.core.claim_parts import correction_in_words, deciding_pvalue, widest_claim
from repdrift.core.hypotheses import LESS
from repdrift.core.learnt_words import judged_models, not_known
from repdrift.core.outcome_words import score_title
from repdrift.core.records.claims import HypothesisTest, Reduction
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import (
    chosen_percent,
    counted,
    listed,
    method_title,
    p_equals,
    pvalue,
    score_number,
    task_title,
)
from repdrift.report.glance.study_numbers import final_score, forgetting_of, not_learnt_of
from repdrift.report.report_data import ReportData
from repdrift.report.tables.contents import Cell, Column
from repdrift.report.tables.digits import is_equal

QUANTITIES = ("drift", "reduction", "p", "equal_skill", "score", "forgetting")
"""What a table of a study can show, in the order of its columns."""
BY_LAYER = ("drift", "reduction", "p")
"""What there is for single layers."""


@dataclass(frozen=True)
class StudyCells:
    """The cells of one study under one measure."""

    data: ReportData
    measure: str

    @property
    def primary(self) -> bool:
        """True if this is the measure that the study's claims are about."""
        return self.measure == self.data.results.study.primary_measure

    def columns(self, quantity: str, method: str | None) -> list[Column]:
        """Returns the columns that a quantity takes. method: the arm that they are all about; None where rows are about several."""
        study = self.data.results.study
        confidence = chosen_percent(study.confidence)
        found = {
            "drift": [Column("drift", "estimate", "drift")],
            "reduction": [
                Column("reduction, %", "percent", "reduction"),
                Column(f"{confidence} interval", "percent interval", "reduction"),
            ],
            "p": [Column("p", "p", "p", [self._p_is_about(method)])],
            "equal_skill": [
                Column("at equal skill, %", "percent", "reduction_at_equal_skill"),
                Column(f"{confidence} interval", "percent interval", "reduction_at_equal_skill"),
            ],
            "score": [Column("score", "estimate", "score")],
            "forgetting": [
                Column("forgetting", "estimate", "forgetting"),
                Column(f"{confidence} interval", "interval", "forgetting"),
            ],
        }
        return found[quantity]

    def cells(self, quantity: str, task: str, method: str, layer: int | None = None) -> list[Cell]:
        """Returns one cell for each column of a quantity. task: `all` for all tasks. layer: None for the mean over layers."""
        made: Mapping[str, Callable[[], list[Cell]]] = {
            "drift": lambda: [self._drift(task, method, layer)],
            "reduction": lambda: _twice(self._reduction(task, method, layer)),
            "p": lambda: [self._p(task, method, layer)],
            "equal_skill": lambda: _twice(self._equal_skill(task, method)),
            "score": lambda: [self._score(task, method)],
            "forgetting": lambda: _twice(self._forgetting(task, method)),
        }
        return made[quantity]()

    def _drift(self, task: str, method: str, layer: int | None) -> Cell:
        if task == ALL_TASKS:
            return self._drift_over_tasks(method, layer)
        planned = self.data.planned(task, method)
        frame = self.data.drift(task, method, self.measure)
        absent = [run.seed for run in planned if run.status != "ok"]
        if not len(frame):
            return Cell(notes=[f"no final model of {method_title(method)} on {task_title(task)}"])
        notes = [f"without {_seeds(absent)}: no model is there"] if absent else []
        notes += self._skill_notes(task, method)
        values = frame.mean(axis=1, skipna=False) if layer is None else frame[layer]
        known = values.dropna().to_numpy(dtype=float)
        if len(known) < len(values):
            lacking = [int(seed) for seed in values.index[values.isna()]]
            where = "in every layer" if layer is None else f"in layer {layer}"
            return Cell(notes=[f"no value under this measure {where} for {_seeds(lacking)}", *notes])
        if len(known) == 1:
            notes.append("one model, so there is no spread over seeds")
            return Cell(value=float(known[0]), notes=notes)
        mean, spread = float(known.mean()), float(known.std(ddof=1))
        return Cell(value=mean, spread=spread, notes=[*notes, *_equal(mean, spread, len(known))])

    def _drift_over_tasks(self, method: str, layer: int | None) -> Cell:
        each = {task: self._drift(task, method, layer).value for task in self.data.tasks}
        there = {task: value for task, value in each.items() if value is not None}
        if not there:
            return Cell(notes=[f"no task has a drift of {method_title(method)}"])
        notes = []
        if len(there) < len(each):
            notes.append(f"over {listed([task_title(task) for task in there])} alone")
        if any(not_learnt_of(self.data, task, method) for task in there):
            notes.append(f"some models of {method_title(method)} have not learnt their task")
        return Cell(value=float(np.mean(list(there.values()))), notes=notes)

    def _skill_notes(self, task: str, method: str) -> list[str]:
        """Says which final models of a task and method have not learnt it, or of which that is not known."""
        failed = [run.seed for run in not_learnt_of(self.data, task, method)]
        there = [run for run in self.data.planned(task, method) if run.status == "ok"]
        unknown = not_known(judged_models(there), [task], [method])
        notes: list[str] = []
        if failed:
            have = "has" if len(failed) == 1 else "have"
            notes.append(
                f"{len(failed)} of {counted(len(there), 'model')} {have} not learnt the task ({_seeds(failed)}), and a model that learnt less "
                "drifts less, whatever the method"
            )
        if unknown:
            notes.append(f"of {_seeds([m.seed for m in unknown])} it is not known whether the task was learnt")
        return notes

    def _reduction(self, task: str, method: str, layer: int | None) -> Cell:
        study = self.data.results.study
        if method == study.reference_method:
            return Cell(notes=[f"{method_title(method)} is the reference of every reduction"])
        found = self._found_reduction(task, method, layer)
        if found is None:
            return Cell(notes=[self._no_reduction(task, method, layer)])
        if found.reduction is None:
            return Cell(
                notes=[f"{method_title(study.reference_method)} does not drift there, so a share of it is not defined"]
            )
        notes = self._rests_on(task, method, found.tasks)
        interval = widest_claim(found)
        if interval is None:
            why = "; ".join(found.notes) or "the results have none"
            return Cell(value=found.reduction, notes=[*notes, f"no interval: {why}"])
        return Cell(
            value=found.reduction,
            low=interval.low,
            high=interval.high,
            notes=[*notes, f"interval over {interval.over}"],
        )

    def _found_reduction(self, task: str, method: str, layer: int | None) -> Reduction | None:
        study, results = self.data.results.study, self.data.results
        records = (
            results.reductions if self.primary else [r for r in results.other_measures if r.measure == self.measure]
        )
        wanted = (task, layer, method)
        return next((r for r in records if (r.task, r.layer, r.comparison or study.comparison_method) == wanted), None)

    def _no_reduction(self, task: str, method: str, layer: int | None) -> str:
        study = self.data.results.study
        if not self.primary and (task != ALL_TASKS or layer is not None):
            return f"reductions under {self.measure} are made over all tasks and layers only"
        pair = f"{method_title(method)} and of {method_title(study.reference_method)}"
        where = "no task has" if task == ALL_TASKS else f"{task_title(task)} does not have"
        return f"{where} final models of {pair}"

    def _rests_on(self, task: str, method: str, tasks: Sequence[str]) -> list[str]:
        """Notes on a comparison of a method with the reference: tasks that are left out, and models that have not learnt."""
        if task == ALL_TASKS:
            if not tasks or set(tasks) == set(self.data.tasks):
                return []
            return [f"over {listed([task_title(name) for name in tasks])} alone"]
        reference = self.data.results.study.reference_method
        failed = [m for m in (reference, method) if not_learnt_of(self.data, task, m)]
        if not failed:
            return []
        return [f"rests on models of {listed([method_title(m) for m in failed])} that have not learnt the task"]

    def _test(self, task: str, method: str, layer: int | None) -> HypothesisTest | None:
        study = self.data.results.study
        wanted = (LESS, task, layer, method)
        return next(
            (
                t
                for t in self.data.results.tests
                if (t.hypothesis, t.task, t.layer, t.comparison or study.comparison_method) == wanted
                and t.method is None
            ),
            None,
        )

    def _p(self, task: str, method: str, layer: int | None) -> Cell:
        study = self.data.results.study
        if method == study.reference_method:
            return Cell(notes=[f"{method_title(method)} is the reference of every comparison"])
        if not self.primary:
            return Cell(notes=[f"claims are tested under {study.primary_measure} only"])
        test = self._test(task, method, layer)
        if test is None:
            where = (
                "" if layer is None else f" in layer {layer}" if task == ALL_TASKS else " in single layers of one task"
            )
            return Cell(notes=[f"that claim was not tested{where}"])
        p = deciding_pvalue(test)
        if p is None or test.verdict == "not testable":
            return Cell(notes=[_first_sentence(test.sentence)])
        notes = [f"{test.verdict} at {study.alpha:g}"]
        if test.verdict == "rejected":
            opposite = test.opposite_pvalue if test.deciding_opposite_pvalue is None else test.deciding_opposite_pvalue
            notes = [f"contradicted{'' if opposite is None else f': {p_equals(opposite)} for the opposite claim'}"]
        least = test.smallest_pvalue if test.smallest_deciding_pvalue is None else test.smallest_deciding_pvalue
        if least is not None and least > study.alpha:
            notes.append(f"no p below {pvalue(least)} could come out of so few models")
        return Cell(value=p, notes=notes)

    def _p_is_about(self, method: str | None) -> str:
        study = self.data.results.study
        name = "the method" if method is None else method_title(method)
        tests = [t for t in self.data.results.tests if t.hypothesis == LESS and t.layer is None]
        corrected = f", corrected by {words}" if (words := correction_in_words(tests)) else ""
        return (
            f"p: one-sided, of the claim that {name} drifts less than {method_title(study.reference_method)} at the end of training, by permuting labels "
            f"of trained models{corrected}; not corrected over tasks"
        )

    def _equal_skill(self, task: str, method: str) -> Cell:
        if method == self.data.results.study.reference_method:
            return Cell(notes=[f"{method_title(method)} is the reference of every reduction"])
        if not self.primary:
            return Cell(notes=[f"drift at equal skill is read under {self.data.results.study.primary_measure} only"])
        found = next((e for e in self.data.results.equal_skill if (e.task, e.comparison) == (task, method)), None)
        if found is None or found.reduction is None:
            why = "it was not asked for" if found is None else _first_sentence(found.sentence)
            return Cell(notes=[f"not compared at equal skill: {why}"])
        notes = [f"at {score.metric} {score_number(score.score)} on {task_title(score.task)}" for score in found.scores]
        if task == ALL_TASKS and found.tasks and set(found.tasks) != set(self.data.tasks):
            notes = [f"over {listed([task_title(name) for name in found.tasks])} alone", *notes]
        if found.interval is None:
            return Cell(value=found.reduction, notes=[*notes, "no interval over models"])
        return Cell(value=found.reduction, low=found.interval.low, high=found.interval.high, notes=notes)

    def _score(self, task: str, method: str) -> Cell:
        if task == ALL_TASKS:
            return Cell(notes=["scores of different tasks are not averaged"])
        score = final_score(self.data, task, method)
        if score is None:
            return Cell(notes=[f"no score of {method_title(method)} on {task_title(task)}"])
        equal = [] if score.spread is None else _equal(score.mean, score.spread, score.n_models)
        return Cell(value=score.mean, spread=score.spread, notes=[score_title(score.metric), *equal])

    def _forgetting(self, task: str, method: str) -> Cell:
        if task == ALL_TASKS:
            return Cell(notes=["forgetting is not averaged over tasks"])
        found = forgetting_of(self.data, task, method)
        if found is None or found.difference is None:
            return Cell(notes=[f"forgetting of {method_title(method)} on {task_title(task)} was not measured"])
        notes = [found.note] if found.note else []
        return Cell(value=found.difference, low=found.low, high=found.high, notes=notes)


def _equal(mean: float, spread: float, count: int) -> list[str]:
    """Says that all models have the same number, where no spread is shown."""
    return [f"the same in all {counted(count, 'model')}"] if is_equal(mean, spread) else []


def _twice(cell: Cell) -> list[Cell]:
    """A cell for the estimate and one for its interval; notes stand at the estimate, and at the interval only where it is missing."""
    if cell.value is None:
        return [cell, Cell(notes=cell.notes)]
    why = [note for note in cell.notes if note.startswith("no interval")]
    about = [note for note in cell.notes if note.startswith("interval over")]
    rest = [note for note in cell.notes if note not in (*why, *about)]
    interval = Cell(low=cell.low, high=cell.high, notes=about if cell.low is not None else why or ["no interval"])
    return [replace(cell, low=None, high=None, notes=rest), interval]


def _seeds(seeds: Sequence[int]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {listed([str(seed) for seed in seeds])}"


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".")
