"""A method against the reference in a few words: the comparison that comes first, its verdict, and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from repdrift.core.equal_skill_words import over_all_tasks
from repdrift.core.hypotheses import LESS
from repdrift.core.records.claims import HypothesisTest, Interval
from repdrift.core.records.equal_skill import EqualSkill
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import (
    chosen_percent,
    counted,
    listed,
    method_title,
    reduction_at_a_glance,
    task_title,
    two_digits,
)
from repdrift.report.points import State
from repdrift.report.report_data import ReportData, widest_claim
from repdrift.report.skill import rests_on_unknown

AT_EQUAL_SKILL = "at equal skill"
AT_THE_END = "at the end of training"


@dataclass(frozen=True)
class Contrast:
    """One method against the reference over all tasks: at equal skill where that was compared, else at the end of training.

    test: None if no task has models of both. condition: words that limit the verdict, empty for none.
    """

    data: ReportData
    method: str
    reference: str
    when: str
    test: HypothesisTest | None
    reduction: float | None
    interval: Interval | None
    condition: str

    @property
    def verdict(self) -> str:
        """The verdict on "it drifts less"; `not compared` where there was nothing to compare."""
        return "not compared" if self.test is None else self.test.verdict

    @property
    def state(self) -> State:
        """Yes or no only where the verdict is one, and rests on models that are known to have learnt."""
        if self.condition.startswith("if "):
            return "open"
        return {"supported": "yes", "rejected": "no"}.get(self.verdict, "open")  # pyright: ignore[reportReturnType]

    @property
    def size(self) -> str:
        """The reduction in two digits: `31 % less`; empty where it is not defined."""
        return "" if self.reduction is None else reduction_at_a_glance(self.reduction)

    @property
    def sentence(self) -> str:
        """The finding as a clause: `LoRA drifts 31 % less than full fine-tuning at equal skill`."""
        end = f" {self.when}{f', {self.condition}' if self.condition else ''}"
        than = f"{self.method} drifts less than {self.reference}"
        if self.test is None:
            return f"{self.method} cannot be compared with {self.reference}: no task has final models of both"
        if self.verdict == "not testable":
            return f"whether {than}{end} cannot be tested"
        if self.verdict == "undecided" or self.reduction is None:
            measured = f" (measured: {self.size})" if self.size else ""
            return f"whether {than}{end} is undecided{measured}"
        return f"{self.method} drifts {reduction_at_a_glance(self.reduction, self.reference)}{end}"

    @property
    def interval_words(self) -> str:
        """The interval of the reduction and what it is over; empty where there is none."""
        if self.interval is None:
            return ""
        confidence = chosen_percent(self.data.results.study.confidence)
        low, high = (two_digits(100 * end) for end in (self.interval.low, self.interval.high))
        return f"{confidence} interval of the reduction {low} to {high} % over {self.interval.over}"


def first_named(names: Sequence[str], most: int = 3) -> str:
    """The first of several names, and how many others there are; `2 more` would be read as more drift beside `4 % more`."""
    others = len(names) - most
    return ", ".join(names[:most]) + (f", and {counted(others, 'other')}" if others > 0 else "")


def contrasts(data: ReportData) -> list[Contrast]:
    """Every method that is compared with the reference, in the study's order; none in a study of one method."""
    return [_contrast(each) for each in data.contrasts] if data.results.study.contrasted else []


def _contrast(data: ReportData) -> Contrast:
    study = data.results.study
    names = method_title(study.comparison_method), method_title(study.reference_method)
    at_skill = over_all_tasks(data.results.equal_skill, study.comparison_method)
    if at_skill is not None and at_skill.test is not None:
        return Contrast(
            data,
            *names,
            AT_EQUAL_SKILL,
            at_skill.test,
            at_skill.reduction,
            at_skill.interval,
            _condition_at_skill(at_skill, len(data.tasks)),
        )
    whole = data.reduction(ALL_TASKS)
    unknown = rests_on_unknown(data, (study.comparison_method, study.reference_method))
    part = [] if whole is None or len(whole.tasks) in (0, len(data.tasks)) else whole.tasks
    conditions = [
        *(["if the models have learnt their tasks"] if unknown else []),
        *([f"on {listed([task_title(task) for task in part])} alone"] if part else []),
    ]
    return Contrast(
        data,
        *names,
        AT_THE_END,
        data.test(LESS, ALL_TASKS),
        None if whole is None else whole.reduction,
        None if whole is None else widest_claim(whole),
        ", ".join(conditions),
    )


def _condition_at_skill(found: EqualSkill, n_tasks: int) -> str:
    conditions = []
    if any(score.tolerance is None for score in found.scores):
        conditions.append("if the models have learnt their tasks")
    if any(run.crossing == "never" for run in found.runs):
        conditions.append("among the runs that reach the score")
    if len(found.tasks) not in (0, n_tasks):
        conditions.append(f"on {listed([task_title(task) for task in found.tasks])} alone")
    return ", ".join(conditions)
