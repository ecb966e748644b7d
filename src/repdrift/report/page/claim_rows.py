"""Rows of the charts of claims: each test of a method against the reference, by task and by layer, with effect, interval and p."""

from __future__ import annotations

import pandas as pd

from repdrift.core.claim_parts import OVER, correction_in_words, deciding_pvalue
from repdrift.core.hypotheses import ALIKE, LESS, METHOD_CLAIMS, TARGET
from repdrift.core.records.claims import HypothesisTest
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import chosen_percent, counted, method_title, sentence_case, task_title
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.report_data import ReportData

COLUMNS = [
    "claim", "task", "layer", "arm", "effect", "low", "high", "over", "p", "corrected", "uncorrected", "smallest", "verdict", "margin", "models", "note",
]  # fmt: skip
SHOWN = {
    "claim": "claim", "arm": "method", "effect": "reduction, %", "low": "low, %", "high": "high, %", "over": "interval", "p": "p of the claim", "corrected": "corrected",
    "uncorrected": "p without correction", "smallest": "smallest p that could come out", "verdict": "verdict", "models": "trained models", "note": "in words",
}  # fmt: skip
VERDICTS = {"supported": "supported", "undecided": "not decided", "rejected": "the opposite is shown", "not testable": "cannot be tested"}  # fmt: skip


def claims_about_methods(data: ReportData) -> dict[str, str]:
    """The claims that are tested of every compared method, by name, each in words that leave the method out."""
    study = data.results.study
    reference = method_title(study.reference_method)
    words = {
        LESS: f"drifts less than {reference}",
        TARGET: f"drifts at least {chosen_percent(study.target_reduction)} less than {reference}",
    }
    if study.equivalence_margin is not None:
        words[ALIKE] = f"drifts as {reference} within a factor of {study.equivalence_margin:g}"
    return words


def layer_claims(data: ReportData) -> pd.DataFrame:
    """One row for each claim, compared method and layer, over all tasks; no row where nothing is compared."""
    found = [
        _row(data, words, contrast, test, contrast.layer_tests(name))
        for name, words in claims_about_methods(data).items()
        if name in METHOD_CLAIMS
        for contrast in _contrasts(data)
        for test in contrast.layer_tests(name)
    ]
    return pd.DataFrame(found, columns=COLUMNS)


def task_claims(data: ReportData) -> pd.DataFrame:
    """One row for each claim, compared method and task, and for all tasks together; of the mean over layers."""
    names = [*data.tasks, *([ALL_TASKS] if len(data.tasks) > 1 else [])]
    found = [
        _row(data, words, contrast, test, [test])
        for name, words in claims_about_methods(data).items()
        for contrast in _contrasts(data)
        for task in names
        if (test := contrast.test(name, task)) is not None
    ]
    return pd.DataFrame(found, columns=COLUMNS)


def _contrasts(data: ReportData) -> list[ReportData]:
    return data.contrasts if data.results.study.contrasted else []


def _row(
    data: ReportData, words: str, contrast: ReportData, test: HypothesisTest, family: list[HypothesisTest]
) -> dict[str, object]:
    tasks = {**task_titles(data), ALL_TASKS: task_title(ALL_TASKS)}
    turned = test.hypothesis == ALIKE  # its estimate is the ratio of drifts
    numbers = [None if value is None else 100 * (1 - value if turned else value) for value in _numbers(test)]
    effect, low, high = (numbers[0], numbers[2], numbers[1]) if turned else numbers
    corrected = correction_in_words(family)
    layers = f" over {counted(len(family), 'layer')}" if corrected and test.layer is not None else ""
    return {
        "claim": words, "task": tasks[test.task], "layer": test.layer, "arm": arm_titles(data)[contrast.results.study.comparison_method], "effect": effect, "low": low, "high": high,
        "over": "none" if test.interval is None else OVER[test.interval.over], "p": deciding_pvalue(test), "corrected": f"{corrected}{layers}" or "no", "uncorrected": test.pvalue,
        "smallest": test.smallest_pvalue if test.smallest_deciding_pvalue is None else test.smallest_deciding_pvalue, "verdict": VERDICTS[test.verdict],
        "margin": 100 * data.results.study.target_reduction if test.hypothesis == TARGET else 0.0, "models": test.n_units, "note": sentence_case(test.sentence),
    }  # fmt: skip


def _numbers(test: HypothesisTest) -> list[float | None]:
    interval = test.interval
    return [test.estimate, *((None, None) if interval is None else (interval.low, interval.high))]
