"""Rows of the page's tables of claims: tests, effects, clusters, ranks, associations. A missing number is None."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from repdrift.core.claim_parts import (
    OVER,
    correction_in_words,
    deciding_pvalue,
    interval_over,
    unreachable_pvalue,
)
from repdrift.core.hypotheses import ABOVE_NOISE, ABOVE_SEEDS, HYPOTHESES, METHOD_CLAIMS, claim
from repdrift.core.records.claims import HypothesisTest, Interval, LayerRank, LayerRanking, MixedModel, Reduction
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import layer_ranges, pvalue, sentence_case
from repdrift.report.report_data import ReportData, layers_with, smallest_deciding_pvalue
from repdrift.report.wording import EFFECTS, effect_text, estimate_text


@dataclass(frozen=True)
class ClaimRow:
    """One test as the page shows it. A text is None if there is no number."""

    test: HypothesisTest
    claim: str
    estimate: str | None
    ends: str | None
    over: str | None
    corrected: float | None
    correction: str | None
    verdict: str
    """In words; one that no result of so few models could have changed says so."""


@dataclass(frozen=True)
class LayerTable:
    """Tests of one claim over all tasks, one for each layer. correction: in words, empty for none. reductions: empty if the
    claim is not about a reduction.
    """

    title: str
    correction: str
    smallest: float | None
    rows: list[ClaimRow]
    reductions: list[Reduction | None]


@dataclass(frozen=True)
class FloorRow:
    """The layers in which a method's drift is above a floor, after correction. tested: number of layers with a test."""

    method: str
    floor: str
    supported: list[int]
    layers: str
    """Which they are; where so few models allow no small p, that is said."""
    tested: int


@dataclass(frozen=True)
class EffectRow:
    """One effect size of a method against the reference on a task, in words."""

    comparison: str
    task: str
    name: str
    estimate: str | None
    ends: str | None
    missing: str | None


def claims(data: ReportData) -> list[ClaimRow]:
    """Every test of a mean over layers, sorted by hypothesis."""
    order = {name: position for position, name in enumerate(HYPOTHESES)}
    overall = [test for test in data.results.tests if test.layer is None]
    return [_row(data, test) for test in sorted(overall, key=lambda test: order.get(test.hypothesis, len(order)))]


def layer_tables(data: ReportData) -> list[LayerTable]:
    """The tests by layer: a table for each claim and contrast, or for each method if the claim is about one method."""
    tables: list[LayerTable] = []
    for hypothesis in HYPOTHESES:
        about = [(contrast, None) for contrast in data.contrasts] + [(data, method) for method in data.methods]
        for view, method in about:
            tests = view.layer_tests(hypothesis, method)
            if tests:
                tables.append(_layer_table(view, hypothesis, method, tests))
    return tables


def floors(data: ReportData) -> list[FloorRow]:
    """The layers in which each method drifts more than the noise, and more than its own seeds do."""
    rows: list[FloorRow] = []
    for hypothesis, floor in ((ABOVE_NOISE, "noise of extraction"), (ABOVE_SEEDS, "drift between seeds")):
        for method in data.methods:
            tests = data.layer_tests(hypothesis, method)
            found = layers_with(tests, "supported")
            least, alpha = smallest_deciding_pvalue(tests), data.results.study.alpha
            which = layer_ranges(found)
            if not found and least is not None and least > alpha:
                which = f"none could be: so few models allow no p below {pvalue(least)}"
            rows.append(FloorRow(method, floor, found, which, len(tests)))
    return rows if any(row.tested for row in rows) else []


def effects(data: ReportData) -> list[EffectRow]:
    """Effect sizes of the mean over layers, task by task."""
    return [
        EffectRow(
            r.comparison or data.results.study.comparison_method,
            r.task,
            EFFECTS.get(effect.name, effect.name),
            None if effect.estimate is None else effect_text(effect.name, effect.estimate),
            None if effect.low is None or effect.high is None else _ends(effect.name, effect.low, effect.high),
            effect.missing,
        )
        for r in data.results.reductions
        if r.layer is None
        for effect in r.effects
    ]


def mixed_models(data: ReportData) -> list[tuple[str, MixedModel]]:
    """The mixed model of each contrast, with the name of its method."""
    return [
        (contrast.results.study.comparison_method, model)
        for contrast in data.contrasts
        if (model := contrast.results.mixed_model) is not None
    ]


def reductions(data: ReportData) -> list[tuple[Reduction, list[Interval | None]]]:
    """Reductions of the mean over layers. Each has its three intervals, in the order of OVER; None for a missing one."""
    found = [r for r in data.results.reductions if r.layer is None]
    return [(r, [interval_over(r, over) for over in OVER]) for r in found]


def top_ranks(ranking: LayerRanking, most: int = 5) -> list[LayerRank]:
    """The layers that drift most, sorted by rank: the first `most`, and all others that may be the largest."""
    by_rank = sorted(ranking.layers, key=lambda layer: layer.rank)
    return [layer for position, layer in enumerate(by_rank) if position < most or layer.may_be_largest]


def _layer_table(data: ReportData, hypothesis: str, method: str | None, tests: Sequence[HypothesisTest]) -> LayerTable:
    return LayerTable(
        claim(hypothesis, data.results.study, method),
        correction_in_words(tests),
        smallest_deciding_pvalue(tests),
        [_row(data, test) for test in tests],
        [data.reduction(ALL_TASKS, test.layer) for test in tests] if hypothesis in METHOD_CLAIMS else [],
    )


def _row(data: ReportData, test: HypothesisTest) -> ClaimRow:
    said = claim(test.hypothesis, data.results.study, test.method, test.comparison)
    return ClaimRow(
        test,
        sentence_case(said),
        None if test.estimate is None else estimate_text(test.hypothesis, test.estimate),
        None if test.interval is None else _interval(test),
        None if test.interval is None else test.interval.over,
        None if test.correction is None else deciding_pvalue(test),
        correction_in_words([test]) or None,
        _verdict(test, data.results.study.alpha),
    )


def _verdict(test: HypothesisTest, alpha: float) -> str:
    least = unreachable_pvalue(test, alpha)
    return test.verdict if least is None else f"undecided: so few models allow no p below {pvalue(least)}"


def _interval(test: HypothesisTest) -> str | None:
    if test.interval is None:
        return None
    low, high = (estimate_text(test.hypothesis, end) for end in (test.interval.low, test.interval.high))
    return f"{low} to {high}"


def _ends(name: str, low: float, high: float) -> str:
    return f"{effect_text(name, low)} to {effect_text(name, high)}"
