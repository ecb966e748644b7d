"""The summary's section on which drift goes with the score and with forgetting."""

from __future__ import annotations

from repdrift.core.records.drift_predictors import DriftPredictors, MeasureCorrelation
from repdrift.core.records.results import DriftResults
from repdrift.core.words import chosen_percent, counted, markdown_text, pvalue
from repdrift.drift.summary.result_tables import markdown_table


def predictors_section(results: DriftResults) -> str:
    """Returns a sentence and a table for each outcome; empty if nothing is known of any."""
    known = [found for found in results.drift_predictors if found.n_units or found.n_left_out]
    if not known:
        return ""
    intro = (
        "Rank correlations over final models, within tasks and methods, so that no difference between methods or tasks enters them; "
        f"{chosen_percent(results.study.confidence)} intervals over models; p by pairing outcomes and models otherwise, and corrected over the "
        "measures by max-T. A correlation does not say what causes what."
    )
    return "\n\n".join([intro, *(_of_outcome(found) for found in known)])


def _of_outcome(found: DriftPredictors) -> str:
    text = markdown_text(found.sentence)
    if found.n_left_out:
        text += f" {counted(found.n_left_out, 'model')} more cannot count: alone in a group, or in one whose outcomes are all equal."
    if not found.correlations:
        return text
    header = [
        f"drift by, against {found.outcome}",
        "correlation",
        "interval",
        "p",
        "p, corrected over measures",
        "note",
    ]
    return f"{text}\n\n{markdown_table(header, [_row(each) for each in found.correlations])}"


def _row(each: MeasureCorrelation) -> list[str]:
    return [
        each.measure,
        "none" if each.correlation is None else f"{each.correlation:.2f}",
        "none" if each.low is None or each.high is None else f"{each.low:.2f} to {each.high:.2f}",
        pvalue(each.pvalue),
        pvalue(each.pvalue_max_t),
        each.missing or "",
    ]
