"""The verdicts on the methods of a study as clauses: each verdict with its size, and each p with the claim that it is about."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.claim_parts import (
    correction_in_words,
    deciding_opposite_pvalue,
    deciding_pvalue,
    smallest_possible_pvalue,
)
from repdrift.core.hypotheses import ALIKE, INTERACTION, LESS, TARGET
from repdrift.core.records.claims import HypothesisTest
from repdrift.core.records.results import ALL_TASKS, DriftResults
from repdrift.core.study_headline.clause import Clause
from repdrift.core.study_headline.contrast import (
    AT_EQUAL_SKILL,
    AT_THE_END,
    IF_LEARNT,
    Contrast,
    at_the_end,
    contrasts,
    first_named,
    p_about,
    reduction_of,
    tested_claim,
)
from repdrift.core.words import chosen_percent, counted, listed, pvalue, reduction_in_words, task_title


def claim_clauses(results: DriftResults) -> list[Clause]:
    """Returns the clauses on all contrasts; none in a study of one method."""
    found = contrasts(results)
    if len(found) == 1:
        return _one(found[0])
    whens = list(dict.fromkeys(each.when for each in found))
    return [Clause(_several([each for each in found if each.when == when], when)) for when in whens]


def _one(found: Contrast) -> list[Clause]:
    results = found.results
    end = found if found.when == AT_THE_END else at_the_end(results)
    alike = tested_claim(results, ALIKE, ALL_TASKS)
    clauses: list[Clause] = []
    if found.when == AT_THE_END and found.verdict == "undecided" and alike is not None and alike.verdict == "supported":
        clauses.append(Clause(_alike(found, alike)))
        clauses.append(Clause(f"whether {found.method} drifts less is undecided ({_in_brackets(found)})", 1))
    else:
        clauses.append(Clause(_with_evidence(found)))
        if found.when == AT_THE_END and found.verdict in ("supported", "rejected") and _is(alike, "supported"):
            factor = f"{alike.margin:g}" if alike is not None and alike.margin is not None else "the margin"
            clauses.append(Clause(f"still, both lie within a factor of {factor} ({_p(alike, found)})", 2))
    if found.when == AT_EQUAL_SKILL:
        clauses += _end_too(found, end)
    return [*clauses, *_on_tasks_alone(end), *_target(end), *_tasks_apart(end)]


def _with_evidence(found: Contrast) -> str:
    return f"{found.sentence} ({found.evidence})" if found.evidence else found.sentence


def _in_brackets(found: Contrast) -> str:
    return found.p_words or "no p"


def _alike(found: Contrast, alike: HypothesisTest) -> str:
    factor = "" if alike.margin is None else f", within a factor of {alike.margin:g},"
    condition = f", {found.condition}" if found.condition else ""
    return (
        f"{found.method} and {found.reference} drift alike{factor or ''} {found.when}{condition} "
        f"({found.measured}; {_p(alike, found)})"
    )


def _is(test: HypothesisTest | None, verdict: str) -> bool:
    return test is not None and test.verdict == verdict


def _p(test: HypothesisTest | None, found: Contrast) -> str:
    """The p of the claim that the sentence has just made."""
    return "" if test is None else p_about(test, "they do", "they do not", found.alpha)


def _end_too(found: Contrast, end: Contrast) -> list[Clause]:
    """The comparison at the end of training beside that at equal skill; kept on every screen where the two differ."""
    if end.test is None:
        return []
    rank = 3 if end.verdict == found.verdict else 1
    condition = f", {end.condition}" if end.condition else ""
    if end.verdict not in ("supported", "rejected"):
        is_ = "is undecided" if end.verdict == "undecided" else "cannot be tested"
        said = f"whether it does {AT_THE_END}{condition} {is_}"
    else:
        does = "less" if end.verdict == "supported" else "more"
        size = does if end.reduction is None or end.contradicts_mean else reduction_in_words(end.reduction)
        said = f"{AT_THE_END}{condition} it drifts {size}"
    return [Clause(f"{said} ({end.evidence})" if end.evidence else said, rank)]


def _on_tasks_alone(end: Contrast) -> list[Clause]:
    """Names the tasks on which the verdict over all tasks holds by itself, where it does not hold on all of them."""
    if end.verdict not in ("supported", "rejected"):
        return []
    tests = {task: tested_claim(end.results, LESS, task) for task in end.results.study.tasks}
    found = {task: test for task, test in tests.items() if test is not None and test.verdict != "not testable"}
    alone = [task_title(task) for task, test in found.items() if test.verdict == end.verdict]
    if len(found) < 2 or len(alone) == len(found):
        return []
    if not alone:
        return [Clause("no task shows it by itself", 2)]
    return [Clause(f"by itself it is shown on {listed(alone)} only, of {counted(len(found), 'task')}", 2)]


def _target(end: Contrast) -> list[Clause]:
    """Says whether the study's target is met; nothing where the method could not be tested at all."""
    study, test = end.results.study, tested_claim(end.results, TARGET, ALL_TASKS)
    if test is None or study.target_reduction <= 0 or end.verdict not in ("supported", "rejected", "undecided"):
        return []
    target = f"the target of {chosen_percent(study.target_reduction)} less"
    if test.verdict == "not testable" or deciding_pvalue(test) is None:
        return [Clause(f"whether {target} is met cannot be tested", 4)]
    condition = f"{IF_LEARNT}, " if end.if_learnt else ""
    brackets = p_about(test, "it is met", "it is not met", end.alpha)
    said = {
        "supported": f"{condition}{target} is met",
        "rejected": f"{condition}{target} is not met",
        "undecided": f"whether {target} is met is undecided",
    }[test.verdict]
    return [Clause(f"{said} ({brackets})" if brackets else said, 4)]


def _tasks_apart(end: Contrast) -> list[Clause]:
    """Names the two tasks that lie farthest apart, where tasks go different ways or were shown to differ."""
    results, overall = end.results, reduction_of(end.results, ALL_TASKS)
    if overall is None or end.verdict in ("not testable", "not compared"):
        return []
    by_task = {
        task: found.reduction
        for task in (overall.tasks or results.study.tasks)
        if (found := reduction_of(results, task)) is not None and found.reduction is not None
    }
    if len(by_task) < 2:
        return []
    least, most = min(by_task, key=lambda task: by_task[task]), max(by_task, key=lambda task: by_task[task])
    test = tested_claim(results, INTERACTION, ALL_TASKS)
    shown = _is(test, "supported")
    if not shown and not by_task[least] < 0 < by_task[most]:
        return []
    brackets = "" if test is None else p_about(test, "tasks differ", "tasks do not differ", end.alpha)
    ends = f"from {reduction_in_words(by_task[least])} on {task_title(least)} to {reduction_in_words(by_task[most])} on {task_title(most)}"
    if shown:
        return [Clause(f"tasks differ, {ends} ({brackets})", 2)]
    not_shown = f"; {brackets}" if brackets else ""
    return [Clause(f"tasks point different ways, {ends} (which may be chance{not_shown})", 2)]


def _several(found: Sequence[Contrast], when: str) -> str:
    """Methods of one comparison by their verdict: `of 3 methods, 2 drift less than full fine-tuning (...), 1 is undecided (...)`."""
    said: list[str] = []
    for verdict, words in _GROUPS.items():
        those = sorted((each for each in found if each.verdict == verdict), key=lambda each: -abs(each.reduction or 0))
        if those:
            is_ = "is" if len(those) == 1 else "are"
            does = f"drift{'s' if len(those) == 1 else ''} {words} than {found[0].reference}"
            names = "; ".join(part for part in (first_named([_named(each) for each in those]), _p_of(those)) if part)
            said.append(f"{len(those)} {does if words in ('less', 'more') else f'{is_} {words}'} ({names})")
    learnt = f", {IF_LEARNT}" if any(each.if_learnt for each in found) else ""
    corrected = correction_in_words([each.test for each in found if each.test is not None])
    return f"of {counted(len(found), 'method')} {when}{learnt}, {', '.join(said)}{f'; corrected by {corrected}' if corrected else ''}"


_GROUPS = {
    "supported": "less",
    "rejected": "more",
    "undecided": "undecided",
    "not testable": "not testable",
    "not compared": "not compared",
}


def _named(found: Contrast) -> str:
    size = "" if found.contradicts_mean else found.size
    part = next((part for part in found.condition.split(", ") if part.startswith("on ")), "")
    return " ".join(word for word in (found.method, size, part) if word)


def _p_of(those: Sequence[Contrast]) -> str:
    """The p that bounds those of one verdict, with the claim that it is about; empty where nothing was tested."""
    tests = [each.test for each in those if each.test is not None]
    if not tests or tests[0].verdict == "not testable":
        return ""
    if len(tests) == 1:
        return p_about(tests[0], "it drifts less", "it drifts more", those[0].alpha)
    if tests[0].verdict == "rejected":
        return _bound([deciding_opposite_pvalue(test) for test in tests], "at most", "more")
    least = [smallest_possible_pvalue(test) for test in tests]
    if all(p is not None and p > those[0].alpha for p in least):
        return f"too few models: no p below {pvalue(min(p for p in least if p is not None))} could come out"
    bound = "at least" if tests[0].verdict == "undecided" else "at most"
    return _bound([deciding_pvalue(test) for test in tests], bound, "less")


def _bound(found: Sequence[float | None], bound: str, claim: str) -> str:
    values = [p for p in found if p is not None]
    if not values:
        return ""
    text = pvalue(min(values) if bound == "at least" else max(values))
    return f"each p {text if text[0] in '<>' else f'{bound} {text}'} for the claim to drift {claim}"
