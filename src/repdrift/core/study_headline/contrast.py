"""A method against the reference in a few words: the comparison that comes first, its verdict, and what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from repdrift.core.claim_parts import (
    deciding_opposite_pvalue,
    deciding_pvalue,
    smallest_possible_pvalue,
    widest_claim,
)
from repdrift.core.equal_skill_words import over_all_tasks
from repdrift.core.hypotheses import LESS
from repdrift.core.learnt_words import judged_models, rests_on_unknown
from repdrift.core.records.claims import HypothesisTest, Interval, Reduction
from repdrift.core.records.equal_skill import EqualSkill
from repdrift.core.records.results import ALL_TASKS, DriftResults
from repdrift.core.records.sites import RESID_POST
from repdrift.core.words import (
    chosen_percent,
    counted,
    listed,
    method_title,
    p_equals,
    pvalue,
    reduction_in_words,
    reduction_range,
    task_title,
)

AT_EQUAL_SKILL = "at equal skill"
AT_THE_END = "at the end of training"
_NAMED = 3
"""Tasks that a condition names; of more it says how many."""
IF_LEARNT = "if the models have learnt their tasks"


@dataclass(frozen=True)
class Contrast:
    """One method against the reference over all tasks: at equal skill where that was compared, else at the end of training.

    results: those of this contrast alone. test: None if no task has models of both. condition: words that limit the verdict, empty for none.
    """

    results: DriftResults
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
    def if_learnt(self) -> bool:
        """True where the verdict holds only if models of which it is not known have learnt their tasks."""
        return IF_LEARNT in self.condition

    @property
    def state(self) -> Literal["yes", "no", "open"]:
        """Yes or no only where the verdict is one, and rests on models that are known to have learnt."""
        if self.if_learnt:
            return "open"
        return "yes" if self.verdict == "supported" else "no" if self.verdict == "rejected" else "open"

    @property
    def size(self) -> str:
        """The reduction in two digits: `31 % less`; empty where it is not defined, or says nothing of the method."""
        return "" if self.reduction is None or self.says_nothing else reduction_in_words(self.reduction)

    @property
    def says_nothing(self) -> bool:
        """True where the claim has no meaning in these models, since they have not learnt: their numbers would be read as evidence."""
        return self.test is not None and self.verdict == "not testable" and self.test.pvalue is None

    @property
    def contradicts_mean(self) -> bool:
        """True where the test decides one way and the mean over models points the other way, as where one model drifts far more."""
        decided = {"supported": 1, "rejected": -1}.get(self.verdict, 0)
        return self.reduction is not None and decided * self.reduction < 0

    @property
    def sentence(self) -> str:
        """The finding as a clause: `LoRA drifts 31 % less than full fine-tuning at equal skill`."""
        end = f" {self.when}{f', {self.condition}' if self.condition else ''}"
        if self.test is None:
            return f"{self.method} cannot be compared with {self.reference}: no task has final models of both"
        claim = f"{self.method} drifts less than {self.reference}{end}{',' if self.condition else ''}"
        if self.verdict == "not testable":
            return f"whether {claim} cannot be tested"
        if self.verdict == "undecided":
            return f"whether {claim} is undecided"
        does = "less" if self.verdict == "supported" else "more"
        if self.reduction is None or self.contradicts_mean:
            return f"{self.method} drifts {does} than {self.reference}{end}"
        return f"{self.method} drifts {reduction_in_words(self.reduction, self.reference)}{end}"

    @property
    def evidence(self) -> str:
        """The words for the brackets behind the sentence: what was measured, its interval, and the p with its claim; empty for none."""
        return "; ".join(part for part in (self.measured, self.p_words) if part)

    @property
    def measured(self) -> str:
        """The reduction where the sentence does not give it, and its interval with what that is over."""
        if self.test is None:
            return ""
        if self.says_nothing:
            failed = any(model.verdict is False for model in judged_models(self.results.runs))
            return "models that have not learnt their task say nothing of a method" if failed else ""
        if self.reduction is None:
            return f"{self.reference} does not drift on average, so a share of its drift is not defined"
        interval = self.interval_words or "no interval"
        if self.contradicts_mean:
            return f"by the mean over models {self.size}; {interval}"
        return interval if self.verdict in ("supported", "rejected") else f"measured: {self.size}; {interval}"

    @property
    def interval_words(self) -> str:
        """The interval of the reduction and what it is over; empty where there is none."""
        if self.interval is None:
            return ""
        ends = reduction_range(self.interval.low, self.interval.high)
        alone = ", for these models alone" if self.interval.over == "samples" else ""
        sides = "two-sided " if self.interval_leaves_open else ""
        return (
            f"{sides}{chosen_percent(self.results.study.confidence)} interval {ends}, over {self.interval.over}{alone}"
        )

    @property
    def p_words(self) -> str:
        """The p that decided, with the claim that it is about; empty where nothing was tested."""
        said = "" if self.test is None else p_about(self.test, "it drifts less", "it drifts more", self.alpha)
        return f"one-sided {said}" if said and self.interval_leaves_open else said

    @property
    def interval_leaves_open(self) -> bool:
        """True where the verdict is yes or no and the two-sided interval holds 0: the two ask different questions, which is said."""
        decided = self.verdict in ("supported", "rejected")
        return decided and self.interval is not None and self.interval.low <= 0 <= self.interval.high

    @property
    def alpha(self) -> float:
        """The level of the study's tests."""
        return self.results.study.alpha


def p_about(test: HypothesisTest, claim: str, opposite: str, alpha: float) -> str:
    """Returns the p that decided with the claim that it is about, in words; empty where there is none.

    Where no result of so few models could have decided, that is said in place of a p, which could not have been small.
    """
    if test.verdict == "rejected":
        p = deciding_opposite_pvalue(test)
        return "" if p is None else f"{p_equals(p)} for the claim that {opposite}"
    p, least = deciding_pvalue(test), smallest_possible_pvalue(test)
    if p is None:
        return ""
    if least is not None and least > alpha:
        models = counted(test.n_units, "model")
        return f"{models} {'is' if test.n_units == 1 else 'are'} too few: no p below {pvalue(least)} could come out"
    return f"{p_equals(p)} for the claim that {claim}"


def first_named(names: Sequence[str], most: int = 3) -> str:
    """The first of several names, and how many others there are; `2 more` would be read as more drift beside `4 % more`."""
    others = len(names) - most
    return ", ".join(names[:most]) + (f", and {counted(others, 'other')}" if others > 0 else "")


def contrasts(results: DriftResults) -> list[Contrast]:
    """Every method that is compared with the reference, in the study's order; none in a study of one method."""
    return [_contrast(results.of_contrast(name)) for name in results.study.contrasted]


def reduction_of(results: DriftResults, task: str) -> Reduction | None:
    """The reduction of a contrast on a task or on `all`, over layers; None if the analysis has none."""
    found = (r for r in results.reductions if r.task == task and r.layer is None and r.site == RESID_POST)
    return next(found, None)


def tested_claim(results: DriftResults, hypothesis: str, task: str) -> HypothesisTest | None:
    """The test of a claim of a contrast on a task or on `all`, over layers; None if the analysis has none."""
    wanted = (hypothesis, task, None, RESID_POST, None)
    return next((t for t in results.tests if (t.hypothesis, t.task, t.layer, t.site, t.method) == wanted), None)


def at_the_end(results: DriftResults) -> Contrast:
    """The comparison of the final models. results: those of one contrast."""
    study = results.study
    whole = reduction_of(results, ALL_TASKS)
    unknown = rests_on_unknown(results, (study.comparison_method, study.reference_method))
    part = [] if whole is None or len(whole.tasks) in (0, len(study.tasks)) else whole.tasks
    conditions = [*([_alone(part, len(study.tasks))] if part else []), *([IF_LEARNT] if unknown else [])]
    return Contrast(
        results=results,
        method=method_title(study.comparison_method),
        reference=method_title(study.reference_method),
        when=AT_THE_END,
        test=tested_claim(results, LESS, ALL_TASKS),
        reduction=None if whole is None else whole.reduction,
        interval=None if whole is None else widest_claim(whole),
        condition=", ".join(conditions),
    )


def _contrast(results: DriftResults) -> Contrast:
    study = results.study
    found = over_all_tasks(results.equal_skill, study.comparison_method)
    if found is None or found.test is None:
        return at_the_end(results)
    return Contrast(
        results=results,
        method=method_title(study.comparison_method),
        reference=method_title(study.reference_method),
        when=AT_EQUAL_SKILL,
        test=found.test,
        reduction=found.reduction,
        interval=found.interval,
        condition=_condition_at_skill(found, len(study.tasks)),
    )


def _condition_at_skill(found: EqualSkill, n_tasks: int) -> str:
    conditions: list[str] = []
    if len(found.tasks) not in (0, n_tasks):
        conditions.append(_alone(found.tasks, n_tasks))
    if any(run.crossing == "never" for run in found.runs):
        conditions.append("among the runs that reach the score")
    if any(score.tolerance is None for score in found.scores):
        conditions.append(IF_LEARNT)
    return ", ".join(conditions)


def _alone(tasks: Sequence[str], of: int) -> str:
    named = listed([task_title(task) for task in tasks]) if len(tasks) <= _NAMED else f"{len(tasks)} of {of} tasks"
    return f"on {named} alone"
