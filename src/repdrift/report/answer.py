"""The answer in plain words: less or not, by how much, more than noise or not, the target, and what the design could show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from repdrift.core.claim_parts import OVER, correction_in_words, interval_over, unreachable_pvalue, widest_claim
from repdrift.core.hypotheses import ABOVE_NOISE, ALIKE, INTERACTION, LESS, TARGET
from repdrift.core.records.claims import HypothesisTest, Reduction
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import (
    chosen_percent,
    counted,
    listed,
    method_title,
    p_equals,
    percent,
    percent_range,
    pvalue,
    reduction_in_words,
    sentence_case,
    short_number,
    task_title,
    whole_percent,
)
from repdrift.report.equal_skill import at_equal_skill, compared_at_equal_skill, without_equal_skill
from repdrift.report.points import Point, State, compared, part_of_all, tested
from repdrift.report.report_data import ReportData, smallest_deciding_pvalue
from repdrift.report.skill import learnt_tasks, rests_on_unknown

_MOST_PARTS = 8
"""Numbers that one sentence gives; of more, it gives those that are not as expected."""


def answer(data: ReportData) -> list[Point]:
    """The points of the answer, in the order in which a reader asks.

    If several methods are compared with the reference, each has one point; `details` has all that is asked of each. If no task
    has models of both methods, only the points that need no comparison are given.
    """
    if data.several_arms:
        points = [
            point
            for contrast in data.contrasts
            for point in (at_equal_skill(contrast) if compared_at_equal_skill(contrast) else None, _arm(contrast))
            if point is not None
        ]
        return [
            *points,
            *without_equal_skill(data.contrasts),
            *(point for point in (noise(data), random_change(data)) if point is not None),
        ]
    if not data.results.study.contrasted:
        only = sentence_case(method_title(data.results.study.reference_method))
        text = f"{only} is the only method of this study. Its drift is below."
        alone = Point("Which method drifts less?", "There is nothing to compare.", text, "open")
        return [point for point in (alone, noise(data), random_change(data)) if point is not None]
    return [*_about_contrast(data)]


def details(data: ReportData) -> list[tuple[str, list[Point]]]:
    """The points about each method against the reference, under a title; empty if there is one such method only."""
    if not data.several_arms:
        return []
    reference = method_title(data.results.study.reference_method)
    common = {noise(data).question, getattr(random_change(data), "question", "")}
    return [
        (
            f"{sentence_case(method_title(contrast.results.study.comparison_method))} against {reference}",
            [point for point in _about_contrast(contrast) if point.question not in common],
        )
        for contrast in data.contrasts
    ]


def _arm(data: ReportData) -> Point:
    """The verdict on one method of several in one line: less or not, by how much, p, and the target."""
    study = data.results.study
    name, reference = method_title(study.comparison_method), method_title(study.reference_method)
    question = f"Does {name} drift less than {reference} at the end of training?"
    less, target, overall = data.test(LESS, ALL_TASKS), data.test(TARGET, ALL_TASKS), data.reduction(ALL_TASKS)
    if less is None or overall is None:
        return Point(question, "Not known.", f"No task has final models of it and of {reference}.", "open")
    unsure = rests_on_unknown(data, (study.comparison_method, study.reference_method))
    said = [_size_in_short(data, overall), _p_in_short(less, study.alpha)]
    if target is not None:
        said.append(f"that it drifts at least {chosen_percent(study.target_reduction)} less is {target.verdict}")
    if less.pvalue is None:
        return compared(question, less, unsure=unsure)
    return replace(
        compared(question, less, unsure=unsure), text=sentence_case("; ".join(part for part in said if part)) + "."
    )


def _size_in_short(data: ReportData, overall: Reduction) -> str:
    if overall.reduction is None:
        return "a ratio is not defined, since the reference does not drift"
    size = reduction_in_words(overall.reduction)
    confidence = chosen_percent(data.results.study.confidence)
    interval = widest_claim(overall)
    ends = "no interval" if interval is None else f"{percent_range(interval.low, interval.high)} over {interval.over}"
    within = [task_title(task) for task in overall.tasks]
    where = f", on {listed(within)} alone" if within and len(within) < len(data.tasks) else ""
    return f"{size}{where} ({confidence} interval of the reduction {ends})" if interval else f"{size}{where} ({ends})"


def _p_in_short(test: HypothesisTest, alpha: float) -> str:
    value = test.deciding_opposite_pvalue if test.verdict == "rejected" else test.deciding_pvalue
    if value is None:
        return ""
    claim = " for the opposite claim" if test.verdict == "rejected" else ""
    correction = correction_in_words([test])
    least = test.smallest_deciding_pvalue
    short = (
        f" (no smaller p than {pvalue(least)} could come out)"
        if least is not None and least > alpha and test.verdict == "undecided"
        else ""
    )
    return f"{p_equals(value)}{claim}{', corrected by ' + correction if correction else ''}{short}"


def _about_contrast(data: ReportData) -> list[Point]:
    study = data.results.study
    less, target = data.test(LESS, ALL_TASKS), data.test(TARGET, ALL_TASKS)
    alike, interaction = data.test(ALIKE, ALL_TASKS), data.test(INTERACTION, ALL_TASKS)
    comparison, reference = method_title(study.comparison_method), method_title(study.reference_method)
    if less is None:
        text = "No task has final models of both methods, so they cannot be compared. The drift of each is below."
        unknown = Point(
            f"Does {comparison} drift less than {reference} at the end of training?", "Not known.", text, "open"
        )
        return [point for point in (unknown, noise(data), random_change(data)) if point is not None]
    unsure = rests_on_unknown(data, (study.comparison_method, study.reference_method))
    at_skill = at_equal_skill(data)
    at_end = compared(f"Does {comparison} drift less than {reference} at the end of training?", less, unsure=unsure)
    points = [
        *((at_skill, at_end) if compared_at_equal_skill(data) else (at_end, at_skill)),
        size(data),
        None if alike is None else compared("Are they alike?", alike, unsure=unsure),
        None if interaction is None else _same_on_all_tasks(interaction),
        noise(data),
        between_seeds(data),
        random_change(data),
        None
        if target is None
        else compared(f"Is the target of {chosen_percent(study.target_reduction)} less met?", target, unsure=unsure),
        design(data, less),
    ]
    return [point for point in points if point is not None]


def _same_on_all_tasks(interaction: HypothesisTest) -> Point:
    """The answer to a test whose claim is that the tasks differ: if the claim is supported, the answer is no.

    If the claim is not supported, that does not show that the tasks are alike.
    """
    question = "Is it the same on all tasks?"
    if interaction.verdict == "supported":
        return Point(question, "No.", interaction.sentence, "no")
    if interaction.verdict == "rejected":
        return Point(question, "Yes.", interaction.sentence, "yes")
    if interaction.verdict == "not testable":
        return tested(question, interaction)
    return Point(question, "No difference shown.", interaction.sentence, "open")


def size(data: ReportData) -> Point:
    """The size of the reduction over all tasks: estimate, lower bound, intervals, and range over layers."""
    study = data.results.study
    name = method_title(study.comparison_method)
    overall = data.reduction(ALL_TASKS)
    if overall is None or overall.reduction is None:
        text = f"{method_title(study.reference_method)} does not drift on average, so a ratio is not defined."
        return Point("By how much?", "Not defined.", text, "open")
    less = reduction_in_words(overall.reduction)
    tasks = overall.tasks or data.compared_tasks()
    text = (
        f"{name} drifts {less} on average over {counted(len(tasks), 'task')} and {counted(len(data.layers), 'layer')}"
    )
    confidence = f"{chosen_percent(1 - study.alpha)} confidence"
    if overall.reduction_low is None:
        text += f"; these models are too few, or differ too much, for a lower bound with {confidence}."
    else:
        text += f"; with {confidence} the reduction is at least {percent(overall.reduction_low)}."
    text += _intervals(overall, study.confidence)
    by_layer = [(layer, r.reduction) for layer in data.layers if (r := data.reduction(ALL_TASKS, layer)) is not None]
    known = [(value, layer) for layer, value in by_layer if value is not None]
    if len(known) > 1:
        (most, where), (least, elsewhere) = max(known), min(known)
        text += f" By layer: from {whole_percent(least)} (layer {elsewhere}) to {whole_percent(most)} (layer {where})."
        more = [layer for value, layer in known if value < 0]
        if more:
            text += f" In {len(more)} of {counted(len(known), 'layer')} it drifts more."
    if not learnt_tasks(data, (study.comparison_method, study.reference_method)):
        return Point("By how much?", f"{less}, in models that have not all learnt.", text, "open")
    return Point("By how much?", f"{less}.".capitalize(), text, "yes" if overall.reduction > 0 else "no")


def _intervals(overall: Reduction, confidence: float) -> str:
    """A sentence with every two-sided interval. It also says why the interval over models and samples is missing."""
    known = [(interval_over(overall, over), words) for over, words in OVER.items()]
    said = [f"{percent_range(i.low, i.high)} {words}" for i, words in known if i is not None]
    text = f" Two-sided {chosen_percent(confidence)} interval: {'; '.join(said)}." if said else ""
    if interval_over(overall, "models and samples") is None:
        why = f" ({'; '.join(overall.notes)})" if overall.notes else ""
        text += f" There is none over models and samples{why}." if said else f" There is no two-sided interval{why}."
    return text


def noise(data: ReportData) -> Point:
    """The drift compared with the noise of extraction, which a second extraction of the base model measures."""
    question = "Is the drift more than the noise of extraction?"
    checked = data.primary["above_noise"].dropna()
    if checked.empty:
        text = "There is no second extraction of the base model, so how large the noise is could not be measured."
        return Point(question, "Not known.", text, "open")
    above, total = int(checked.sum()), len(checked)
    text = f"{above} of {total} measured drifts (task, method, seed, layer) are larger than the difference between two extractions of the base model."
    unchecked = len(data.primary) - total
    if unchecked:
        text += f" For {unchecked} more the noise was not measured."
    short, state = part_of_all(above, total)
    return Point(question, short, f"{text} This is said of these models.{_of_methods(data)}", state)


def _of_methods(data: ReportData) -> str:
    """A sentence on the test of each method's drift against the noise, which is about new trainings too; empty where none was made."""
    said: list[str] = []
    for method in data.methods:
        test = data.test(ABOVE_NOISE, ALL_TASKS, method=method)
        if test is None or test.pvalue is None:
            continue
        least, name = unreachable_pvalue(test, data.results.study.alpha), method_title(method)
        if least is not None:
            said.append(f"{name} cannot be decided, since so few models allow no p below {pvalue(least)}")
        else:
            said.append(f"{name} {test.verdict} ({p_equals(test.pvalue)})")
    return f" As a claim about the method, not of these models alone: {'; '.join(said)}." if said else ""


def between_seeds(data: ReportData) -> Point:
    """The difference of the methods compared with the drift between two seeds of one method."""
    question = "Is the difference of the methods more than that of two seeds?"
    study = data.results.study
    larger: list[str] = []
    parts: list[str] = []
    unknown: list[str] = []
    tasks = learnt_tasks(data, (study.comparison_method, study.reference_method))
    if data.compared_tasks() and not tasks:
        text = (
            "On every task a model has not learnt, so a difference of the methods there is no property of the methods."
        )
        return Point(question, "Cannot be tested.", text, "open")
    for task in tasks:
        ceilings = [
            data.control_drift("seed_ceiling", task, m) for m in (study.reference_method, study.comparison_method)
        ]
        means = [data.mean_drift(task, m) for m in (study.reference_method, study.comparison_method)]
        known = [float(c.mean()) for c in ceilings if np.isfinite(c).all()]
        gap = abs(float((means[0] - means[1]).mean()))
        if not known or not np.isfinite(gap):
            unknown.append(task_title(task))
            continue
        if gap > max(known):
            larger.append(task_title(task))
        parts.append(f"{task_title(task)} {short_number(gap)} against {short_number(max(known))}")
    if not parts:
        return Point(
            question, "Not known.", "This needs two models of one method that differ only in their seed.", "open"
        )
    said = f"Difference of mean drift against drift between two seeds of one method: {'; '.join(parts)}."
    if unknown:
        said += f" Not known on {listed(unknown)}."
    if not larger:
        text = f"{said} A difference that two seeds of one method also reach is not a finding."
        return Point(question, "No.", text, "no")
    if len(larger) == len(parts):
        return Point(question, "Yes.", said, "yes")
    return Point(question, f"On {listed(larger)} only.", said, "open")


def random_change(data: ReportData) -> Point | None:
    """The drift compared with that of the base model moved at random by as much; None if that was not measured."""
    if not data.at_hand("random_change"):
        return None
    parts: list[str] = []
    not_more: list[str] = []
    unknown: list[str] = []
    for method in data.methods:
        for task in data.tasks:
            drift = float(data.mean_drift(task, method).mean())
            random = float(data.control_drift("random_change", task, method).mean())
            name = f"{method_title(method)} on {task_title(task)}"
            if np.isfinite([drift, random]).all():
                parts.append(f"{name} {short_number(drift)} against {short_number(random)}")
                not_more += [] if drift > random else [parts[-1]]
            else:
                unknown.append(name)
    question = "Is it more than a random change of the same size?"
    if not parts:
        return Point(question, "Not known.", "No task and method has both drifts in every layer.", "open")
    more = len(parts) - len(not_more)
    against = "the drift of the base model after a random change of its weights of the same size"
    if len(parts) <= _MOST_PARTS:
        text = f"Mean drift, against {against}: {'; '.join(parts)}."
    else:
        text = f"Mean drift is more than {against} for {more} of {len(parts)} pairs of method and task."
        text += f" Not for {'; '.join(not_more)}." if not_more else ""
    if unknown:
        text += f" Not known for {listed(unknown)}."
    if not_more:
        text += " If the random change drifts as much, the drift shows the size of the change, and not what was learnt."
    short, state = part_of_all(more, len(parts))
    return Point(question, short, f"{text} This is a comparison, not a test.", state)


def design(data: ReportData, less: HypothesisTest) -> Point:
    """The smallest p-values that the design can reach, and which of them are above alpha."""
    alpha = data.results.study.alpha
    limits: list[tuple[str, float]] = []
    over_arms = f", corrected by {correction_in_words([less])}" if less.n_arms > 1 else ""
    if (overall := _smallest(less)) is not None:
        limits.append((f"over all tasks ({counted(less.n_units, 'trained model')}{over_arms})", overall))
    single = [p for task in data.compared_tasks() if (t := data.test(LESS, task)) and (p := _smallest(t))]
    if single and len(data.tasks) > 1:
        limits.append(("in a single task", min(single)))
    layers = data.layer_tests(LESS)
    if (by_layer := smallest_deciding_pvalue(layers)) is not None:
        correction = correction_in_words(layers)
        where = "in a layer" + (f", corrected for {len(layers)} by {correction}" if correction else "")
        limits.append((where, by_layer))
    question = "What could this design have shown at all?"
    if not limits:
        return Point(question, "Not known.", "The analysis gives no smallest possible p-value.", "open")
    said = "; ".join(f"{where}: {pvalue(value)}" for where, value in limits)
    short_of = [where for where, value in limits if value > alpha]
    text = f"Smallest p-values that it can reach: {said}. Significance is p at most {alpha:g}."
    if short_of:
        text += f" So it could not have been significant {listed(short_of)}, however large the difference. More seeds would change that."
    short = (
        "Significance is in reach." if not short_of else "Part of it." if len(short_of) < len(limits) else "Nothing."
    )
    state: State = "yes" if not short_of else "open"
    return Point(question, short, text, state)


def _smallest(test: HypothesisTest) -> float | None:
    return test.smallest_pvalue if test.smallest_deciding_pvalue is None else test.smallest_deciding_pvalue
