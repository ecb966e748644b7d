"""One sentence on a study: which method drifts less and how sure that is, where, whether it is more than noise, and what it did to skill."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from repdrift.core.equal_skill_words import over_all_tasks
from repdrift.core.hypotheses import LESS
from repdrift.core.learnt_words import judged_models
from repdrift.core.records.claims import HypothesisTest, Interval
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import (
    chosen_percent,
    counted,
    listed,
    method_title,
    p_equals,
    pvalue,
    sentence_case,
    short_number,
    task_title,
)
from repdrift.report.glance.short_numbers import less_or_more, short_percent_range
from repdrift.report.glance.study_numbers import final_score, models_of
from repdrift.report.report_data import ReportData, correction_in_words, deciding_pvalue, widest_claim

_TASKS_NAMED = 2


def headlines(data: ReportData) -> list[str]:
    """Returns the headline with all its clauses, then with fewer of them, down to the claim with its verdict."""
    clauses = _clauses(data)
    least = min(len(clauses), 2)
    return [f"{sentence_case('; '.join(clauses[:count]))}." for count in range(len(clauses), least - 1, -1)]


def _clauses(data: ReportData) -> list[str]:
    """The clauses of the headline, the most important first."""
    contrasts = [contrast for contrast in data.contrasts if contrast.reduction(ALL_TASKS) is not None]
    if not contrasts:
        return [*_not_learnt(data), _alone(data), *_where_most(data), *_noise(data)]
    claims = _one(contrasts[0]) if len(data.contrasts) == 1 else _several(data, contrasts)
    skill = _skill(contrasts[0]) if len(data.contrasts) == 1 else []
    return [*_not_learnt(data), *claims, *_where_most(data), *_noise(data), *skill]


def _not_learnt(data: ReportData) -> list[str]:
    models = judged_models(data.results.runs)
    failed = sum(model.verdict is False for model in models)
    if not failed:
        return []
    have = "has not learnt its task" if failed == 1 else "have not learnt their task"
    return [f"{failed} of {counted(len(models), 'model')} {have} (a model that learnt less drifts less)"]


def _alone(data: ReportData) -> str:
    """The drift of every method, where no two can be compared."""
    said: list[str] = []
    for method in data.methods:
        drifts = [m.drift for task in data.tasks if (m := models_of(data, task, method)).drift is not None]
        if drifts:
            said.append(f"{method_title(method)} {short_number(float(np.mean(drifts)))}")
    return f"no method could be compared with another; mean drift {listed(said)}" if said else "there is no drift"


def _one(data: ReportData) -> list[str]:
    """The clauses on the only contrast: at equal skill first, where that was compared."""
    study = data.results.study
    name, reference = method_title(study.comparison_method), method_title(study.reference_method)
    clauses: list[str] = []
    skill = over_all_tasks(data.results.equal_skill, study.comparison_method)
    if skill is not None and skill.test is not None and skill.reduction is not None:
        ends = "" if skill.interval is None else f" ({_interval(skill.interval, study.confidence)})"
        clauses.append(
            f"at equal skill {name} drifts {less_or_more(skill.reduction)} than {reference}{ends}, {_verdict(skill.test)}"
        )
    overall, less = data.reduction(ALL_TASKS), data.test(LESS, ALL_TASKS)
    if overall is None or overall.reduction is None:
        return [*clauses, f"{reference} does not drift on average, so a reduction is not defined"]
    interval = widest_claim(overall)
    ends = "no interval" if interval is None else _interval(interval, study.confidence)
    within = (
        ""
        if len(overall.tasks) in (0, len(data.tasks))
        else f" on {listed([task_title(t) for t in overall.tasks])} alone"
    )
    than = f" than {reference}" if not clauses else ""
    drifts = f" (mean drift {_drift(overall.comparison_drift)} against {_drift(overall.reference_drift)}; {ends})"
    subject = f"at the end of training {name} drifts" if not clauses else "at the end of training"
    verdict = [_verdict(less)] if less is not None else []
    as_much = than.replace("than", "as") if overall.reduction <= -1 else than
    return [*clauses, f"{subject} {less_or_more(overall.reduction)}{as_much}{within}{drifts}", *verdict]


def _several(data: ReportData, contrasts: Sequence[ReportData]) -> list[str]:
    """The clause on several methods against one reference: each with its reduction, by verdict."""
    reference = method_title(data.results.study.reference_method)
    skilled = [
        (c, found)
        for c in contrasts
        if (found := over_all_tasks(c.results.equal_skill, c.results.study.comparison_method)) is not None
        and found.test is not None
    ]
    clauses: list[str] = []
    if skilled:
        said = [(f.test, method_title(c.results.study.comparison_method), f.reduction) for c, f in skilled]
        clauses.append(f"at equal skill, against {reference}: {_by_verdict(said)}")
    ended = [
        (test, method_title(c.results.study.comparison_method), r.reduction)
        for c in contrasts
        if (test := c.test(LESS, ALL_TASKS)) is not None and (r := c.reduction(ALL_TASKS)) is not None
    ]
    tests = [test for test, _, _ in ended]
    corrected = f" (corrected by {words})" if tests and (words := correction_in_words(tests)) else ""
    against = "" if clauses else f", against {reference}"
    return [*clauses, f"at the end of training{against}: {_by_verdict(ended)}{corrected}"]


_VERDICTS = {
    "supported": "drift less: ",
    "rejected": "contradicted to drift less: ",
    "undecided": "undecided: ",
    "not testable": "not testable: ",
}


def _drift(value: float | None) -> str:
    return "none" if value is None else short_number(value)


def _by_verdict(found: Sequence[tuple[HypothesisTest | None, str, float | None]]) -> str:
    parts: list[str] = []
    for verdict, words in _VERDICTS.items():
        these = [(name, reduction) for test, name, reduction in found if test is not None and test.verdict == verdict]
        these.sort(key=lambda one: -math.inf if one[1] is None else -one[1])
        if these:
            parts.append(words + ", ".join(name if r is None else f"{name} {less_or_more(r)}" for name, r in these))
    return "; ".join(parts)


def _interval(interval: Interval, confidence: float) -> str:
    return f"{chosen_percent(confidence)} interval of the reduction {short_percent_range(interval.low, interval.high)} % over {interval.over}"


def _verdict(test: HypothesisTest) -> str:
    """The verdict on the claim that a method drifts less, with the p that decided and what it is about."""
    if test.verdict == "rejected":
        p = test.opposite_pvalue if test.deciding_opposite_pvalue is None else test.deciding_opposite_pvalue
        opposite = "" if p is None else f" ({p_equals(p)} for the opposite claim)"
        return f"the claim that it drifts less is contradicted{opposite}"
    p = deciding_pvalue(test)
    if test.verdict == "not testable" or p is None:
        return "whether it drifts less cannot be tested"
    if test.verdict == "supported":
        return f"the claim that it drifts less is supported ({p_equals(p)})"
    least = test.smallest_pvalue if test.smallest_deciding_pvalue is None else test.smallest_deciding_pvalue
    short = "" if least is None else f"; no p below {pvalue(least)} could come out"
    return f"whether it drifts less is undecided ({p_equals(p)}{short})"


def _where_most(data: ReportData) -> list[str]:
    """The layer in which each method drifts most, over tasks."""
    by_layer: dict[int, list[str]] = {}
    for method in data.methods:
        profiles = [profile for task in data.tasks if np.isfinite(profile := data.mean_drift(task, method)).all()]
        if profiles:
            most = data.layers[int(np.argmax(np.mean(profiles, axis=0)))]
            by_layer.setdefault(most, []).append(method_title(method))
    if not by_layer:
        return []
    if len(by_layer) == 1:
        return [f"most in layer {next(iter(by_layer))}"]
    return ["most in " + listed([f"layer {layer} ({listed(names)})" for layer, names in sorted(by_layer.items())])]


def _noise(data: ReportData) -> list[str]:
    checked = data.primary["above_noise"].dropna()
    if checked.empty:
        return ["whether that is more than noise was not measured"]
    above, unknown = int(checked.sum()), len(data.primary) - len(checked)
    said = f"{'every drift' if above == len(checked) else f'{above} of {len(checked)} drifts'} above noise"
    return [said + (f", {unknown} without a noise floor" if unknown else "")]


def _skill(data: ReportData) -> list[str]:
    """The scores of both methods, for a few tasks; the table has those of all."""
    study = data.results.study
    parts: list[str] = []
    for task in data.compared_tasks():
        ours, theirs = (final_score(data, task, method) for method in (study.comparison_method, study.reference_method))
        if ours is not None and theirs is not None and ours.metric == theirs.metric:
            parts.append(f"{task_title(task)} {ours.metric} {ours.text} against {theirs.text}")
    return [", ".join(parts)] if parts and len(parts) <= _TASKS_NAMED else []
