"""What is said about the figure of drift reduction."""

from __future__ import annotations

from repdrift.core.records.results import ALL_TASKS, Interval
from repdrift.report.decisions import interval_over, widest_claim
from repdrift.report.figures._intervals import BOUNDS
from repdrift.report.tables import ReportData
from repdrift.report.wording import OVER, listed, method_title, task_title


def caption(data: ReportData) -> str:
    """How to read it."""
    study = data.results.study
    intervals = (
        f"Lines at the marks, and bands by layer: two-sided {100 * study.confidence:g} % intervals, each for what it is over. Over samples "
        "holds for these trained models alone; over models, for these samples; over both claims most. "
        if any(r.intervals for r in data.results.reductions)
        else ""
    )
    without: dict[tuple[str, str], list[str]] = {}
    for r in data.results.reductions:
        if r.layer is None and r.reduction is not None and len(r.intervals) < len(OVER):
            lacking = listed([f"over {over}" for over in OVER if interval_over(r, over) is None])
            why = "; ".join(r.notes) or "the analysis does not say why"
            without.setdefault((lacking, why), []).append(task_title(r.task))
    absent = "".join(f"{listed(tasks)}: none {lacking} ({why}). " for (lacking, why), tasks in without.items())
    absent = f"Intervals that are missing: {absent}" if absent else ""
    return (
        f"Reduction = 1 - drift of {method_title(study.comparison_method)} / drift of {method_title(study.reference_method)}. Large marks: "
        f"from means over seeds; small grey points: pairs of equal seed. {intervals}Dotted tick: the one-sided "
        f"{100 * (1 - study.alpha):g} % lower bound over trained models, absent where their number cannot give one. An estimate above the "
        f"dashed line meets the target; it is shown only if that bound lies above the line too. {absent}Ratios are unstable where the "
        f"reference hardly drifts (lowest layers): triangles at {BOUNDS[0]:g} % stand for values below, and where it does not drift at all "
        "none is drawn."
    )


def _ends(interval: Interval) -> str:
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f} % over {interval.over}"


def describe(data: ReportData) -> str:
    """Every estimate with its bound, and the layers of the largest and the smallest reduction."""
    parts: list[str] = []
    for task in dict.fromkeys([*data.compared_tasks(), ALL_TASKS]):
        r = data.reduction(task)
        if r is None or r.reduction is None:
            parts.append(f"{task_title(task)} not defined")
            continue
        low = "no lower bound" if r.reduction_low is None else f"lower bound {100 * r.reduction_low:.1f} %"
        widest = widest_claim(r)
        ends = "no interval" if widest is None else _ends(widest)
        parts.append(f"{task_title(task)} {100 * r.reduction:.1f} % ({low}; {ends})")
    text = f"Drift reduction: {'; '.join(parts)}."
    by_layer = [(layer, r.reduction) for layer in data.layers if (r := data.reduction(ALL_TASKS, layer)) is not None]
    known = [(value, layer) for layer, value in by_layer if value is not None]
    if known:
        (most, where), (least, elsewhere) = max(known), min(known)
        text += (
            f" By layer it is largest in layer {where} ({100 * most:.1f} %) and smallest in layer {elsewhere} "
            f"({100 * least:.1f} %)."
        )
    return text
