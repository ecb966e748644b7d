"""What the number of trained models allows: over all tasks, in a single task, by layer after correction."""

from __future__ import annotations

from repdrift.core.hypotheses import LESS
from repdrift.core.records.results import HypothesisTest
from repdrift.report.answer.point import Point, State
from repdrift.report.decisions import correction_of, smallest_deciding_pvalue
from repdrift.report.tables import ReportData
from repdrift.report.wording import counted, listed


def design(data: ReportData, less: HypothesisTest) -> Point:
    """The smallest p-values in reach, and which of them are above alpha."""
    alpha = data.results.study.alpha
    limits: list[tuple[str, float]] = []
    if less.smallest_pvalue is not None:
        limits.append((f"over all tasks ({counted(less.n_units, 'trained model')})", less.smallest_pvalue))
    single = [t.smallest_pvalue for task in data.compared_tasks() if (t := data.test(LESS, task)) and t.smallest_pvalue]
    if single and len(data.tasks) > 1:
        limits.append(("in a single task", min(single)))
    layers = data.layer_tests(LESS)
    if (by_layer := smallest_deciding_pvalue(layers)) is not None:
        correction = correction_of(layers)
        where = "in a layer" + (f", corrected for {len(layers)} by {correction}" if correction else "")
        limits.append((where, by_layer))
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
