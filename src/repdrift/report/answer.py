"""The answer in plain words: less or not, by how much, more than noise or not, the target, and what the design could show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from repdrift.core.records.results import HypothesisTest
from repdrift.report.tables import ReportData
from repdrift.report.wording import ALL_TASKS, LESS, TARGET, counted, listed, method_title, small

State = Literal["yes", "no", "open"]
_STATES: dict[str, State] = {"supported": "yes", "rejected": "no", "undecided": "open", "not testable": "open"}
_SHORT = {"supported": "Yes.", "rejected": "No.", "undecided": "Undecided.", "not testable": "Cannot be tested."}


@dataclass(frozen=True)
class Point:
    """One question with its answer. `state` says which way it went."""

    question: str
    short: str
    text: str
    state: State


def answer(data: ReportData) -> list[Point]:
    """The points in the order in which one asks; without a comparison of methods only what can be said."""
    study = data.results.study
    less, target = data.test(LESS, ALL_TASKS), data.test(TARGET, ALL_TASKS)
    comparison, reference = method_title(study.comparison_method), method_title(study.reference_method)
    if less is None:
        text = "No task has final models of both methods, so they cannot be compared. The drift of each is below."
        return [Point(f"Does {comparison} drift less than {reference}?", "Not known.", text, "open"), _noise(data)]
    points = [
        _tested(f"Does {comparison} drift less than {reference}?", less),
        _size(data),
        _noise(data),
        _between_seeds(data),
    ]
    if target is not None:
        points.append(_tested(f"Is the target of {100 * study.target_reduction:g} % less met?", target))
    return [*points, _design(data, less)]


def _tested(question: str, test: HypothesisTest) -> Point:
    return Point(question, _SHORT[test.verdict], test.sentence, _STATES[test.verdict])


def _size(data: ReportData) -> Point:
    study = data.results.study
    name = method_title(study.comparison_method)
    overall = data.reduction(ALL_TASKS)
    if overall is None or overall.reduction is None:
        text = f"{method_title(study.reference_method)} does not drift on average, so that a ratio is not defined."
        return Point("By how much?", "Not defined.", text, "open")
    share = 100 * overall.reduction
    less = f"{abs(share):.1f} % {'less' if share >= 0 else 'more'}"
    text = f"{name} drifts {less} on average over {counted(len(data.compared_tasks()), 'task')} and {counted(len(data.layers), 'layer')}"
    confidence = f"{100 * (1 - study.alpha):g} % confidence"
    if overall.reduction_low is None:
        text += f"; these models are too few, or differ too much, for a lower bound with {confidence}."
    else:
        text += f"; with {confidence} the reduction is at least {100 * overall.reduction_low:.1f} %."
    by_layer = [(layer, r.reduction) for layer in data.layers if (r := data.reduction(ALL_TASKS, layer)) is not None]
    known = [(value, layer) for layer, value in by_layer if value is not None]
    if len(known) > 1:
        (most, where), (least, elsewhere) = max(known), min(known)
        text += f" By layer: from {100 * least:.0f} % (layer {elsewhere}) to {100 * most:.0f} % (layer {where})."
        more = [layer for value, layer in known if value < 0]
        if more:
            text += f" In {len(more)} of {counted(len(known), 'layer')} it drifts more."
    return Point("By how much?", f"{less}.".capitalize(), text, "yes" if share > 0 else "no")


def _noise(data: ReportData) -> Point:
    question = "Is the drift more than the noise of extraction?"
    checked = data.primary["above_noise"].dropna()
    if checked.empty:
        text = "There is no second extraction of the base model, so how large the noise is could not be measured."
        return Point(question, "Not known.", text, "open")
    above, total = int(checked.sum()), len(checked)
    text = f"{above} of {total} measured drifts (task, method, seed, layer) lie above what extracting the base model twice gives."
    unchecked = len(data.primary) - total
    if unchecked:
        text += f" For {unchecked} more there is nothing to compare with."
    short, state = ("Yes.", "yes") if above == total else ("No.", "no") if above == 0 else ("In part.", "open")
    return Point(question, short, text, state)  # pyright: ignore[reportArgumentType]


def _between_seeds(data: ReportData) -> Point:
    question = "Is the difference of the methods more than that of two seeds?"
    study = data.results.study
    larger: list[str] = []
    parts: list[str] = []
    unknown: list[str] = []
    for task in data.compared_tasks():
        ceilings = [
            data.control_drift("seed_ceiling", task, m) for m in (study.reference_method, study.comparison_method)
        ]
        means = [data.mean_drift(task, m) for m in (study.reference_method, study.comparison_method)]
        known = [float(c.mean()) for c in ceilings if np.isfinite(c).all()]
        gap = abs(float((means[0] - means[1]).mean()))
        if not known or not np.isfinite(gap):
            unknown.append(task)
            continue
        if gap > max(known):
            larger.append(task)
        parts.append(f"{task} {small(gap)} against {small(max(known))}")
    if not parts:
        return Point(
            question, "Not known.", "It takes two models of one method that differ in their seed alone.", "open"
        )
    compared = f"Difference of mean drift against drift between two seeds of one method: {'; '.join(parts)}."
    if unknown:
        compared += f" Not known on {listed(unknown)}."
    if not larger:
        text = f"{compared} A difference that two seeds of one method reach too is not a finding."
        return Point(question, "No.", text, "no")
    if len(larger) == len(parts):
        return Point(question, "Yes.", compared, "yes")
    return Point(question, f"On {listed(larger)} only.", compared, "open")


def _design(data: ReportData, less: HypothesisTest) -> Point:
    """What the number of trained models allows: over all tasks, in a single task, by layer after correction."""
    alpha = data.results.study.alpha
    limits: list[tuple[str, float]] = []
    if less.smallest_pvalue is not None:
        limits.append((f"over all tasks ({counted(less.n_units, 'trained model')})", less.smallest_pvalue))
    single = [t.smallest_pvalue for task in data.compared_tasks() if (t := data.test(LESS, task)) and t.smallest_pvalue]
    if single and len(data.tasks) > 1:
        limits.append(("in a single task", min(single)))
    layers = [t.smallest_pvalue for t in data.layer_tests(LESS) if t.smallest_pvalue is not None]
    if layers:
        where = f"in a layer, corrected for {len(layers)} by Holm"
        limits.append((where, min(1.0, min(layers) * len(layers))))
    question = "What could this design have shown at all?"
    if not limits:
        return Point(question, "Not known.", "The analysis gives no smallest reachable p-value.", "open")
    said = "; ".join(f"{where}: {value:.2g}" for where, value in limits)
    short_of = [where for where, value in limits if value > alpha]
    text = f"Smallest p-value that it can reach {said}. Significance is p at most {alpha:g}."
    if short_of:
        text += f" So it could not have been significant {listed(short_of)}, however large the difference; more seeds would change that."
    short = (
        "Significance is in reach." if not short_of else "Part of it." if len(short_of) < len(limits) else "Nothing."
    )
    state: State = "yes" if not short_of else "open"
    return Point(question, short, text, state)
