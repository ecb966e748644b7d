"""By how much the methods differ, with what is known of how sure that is."""

from __future__ import annotations

from repdrift.core.records.results import ALL_TASKS, Reduction
from repdrift.report.answer.point import Point
from repdrift.report.decisions import interval_over
from repdrift.report.tables import ReportData
from repdrift.report.wording import OVER, counted, method_title


def size(data: ReportData) -> Point:
    """The reduction over all tasks: its estimate, lower bound and intervals, and its range over layers."""
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
    text += _intervals(overall, study.confidence)
    by_layer = [(layer, r.reduction) for layer in data.layers if (r := data.reduction(ALL_TASKS, layer)) is not None]
    known = [(value, layer) for layer, value in by_layer if value is not None]
    if len(known) > 1:
        (most, where), (least, elsewhere) = max(known), min(known)
        text += f" By layer: from {100 * least:.0f} % (layer {elsewhere}) to {100 * most:.0f} % (layer {where})."
        more = [layer for value, layer in known if value < 0]
        if more:
            text += f" In {len(more)} of {counted(len(known), 'layer')} it drifts more."
    return Point("By how much?", f"{less}.".capitalize(), text, "yes" if share > 0 else "no")


def _intervals(overall: Reduction, confidence: float) -> str:
    """Every two-sided interval with what it is over, and why one over models and samples is not there."""
    known = [(interval_over(overall, over), words) for over, words in OVER.items()]
    said = [f"{100 * i.low:.1f} % to {100 * i.high:.1f} % {words}" for i, words in known if i is not None]
    text = f" Two-sided {100 * confidence:g} % interval: {'; '.join(said)}." if said else ""
    if interval_over(overall, "models and samples") is None:
        why = f" ({'; '.join(overall.notes)})" if overall.notes else ""
        text += f" There is none over models and samples{why}." if said else f" There is no two-sided interval{why}."
    return text
