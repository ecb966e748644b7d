"""The parts of a test and of a reduction that a sentence is made of: the p that decides, its correction, the widest interval."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.records.claims import Correction, HypothesisTest, Interval, IntervalSource, Reduction
from repdrift.core.words import counted

OVER: dict[IntervalSource, str] = {
    "models and samples": "over models and samples",
    "models": "over trained models, for these samples",
    "samples": "over samples, for these trained models",
}
"""What an interval is over, from the widest claim to the narrowest."""


def correction_of(tests: Sequence[HypothesisTest]) -> Correction | None:
    """The correction that the verdicts of a family of tests rest on; None if they rest on the p-values as they are."""
    return next((test.correction for test in tests if test.correction is not None), None)


def correction_in_words(tests: Sequence[HypothesisTest]) -> str:
    """The corrections that the verdicts of a family of tests rest on: `max-T`, `max-T and Holm over 3 arms`; empty for none."""
    by, arms = correction_of(tests), max((test.n_arms for test in tests), default=1)
    over_arms = f"Holm over {counted(arms, 'arm')}" if arms > 1 else ""
    layers = any(test.layer is not None for test in tests)
    return " and ".join(part for part in (by if layers or not over_arms else "", over_arms) if part)


def deciding_pvalue(test: HypothesisTest) -> float | None:
    """The p-value that the verdict rests on. Results that lack this field have it in `pvalue`."""
    return test.pvalue if test.deciding_pvalue is None else test.deciding_pvalue


def deciding_opposite_pvalue(test: HypothesisTest) -> float | None:
    """The p-value of the opposite claim that a rejection rests on. Results that lack this field have it in `opposite_pvalue`."""
    return test.opposite_pvalue if test.deciding_opposite_pvalue is None else test.deciding_opposite_pvalue


def smallest_possible_pvalue(test: HypothesisTest) -> float | None:
    """The smallest value that the deciding p-value can take in this design; None if the results do not say."""
    return test.smallest_pvalue if test.smallest_deciding_pvalue is None else test.smallest_deciding_pvalue


def unreachable_pvalue(test: HypothesisTest, alpha: float) -> float | None:
    """The smallest p of an undecided test that no result of so few models could have brought down to alpha; None if one could have."""
    least = smallest_possible_pvalue(test)
    return least if test.verdict == "undecided" and least is not None and least > alpha else None


def interval_over(reduction: Reduction | None, over: str) -> Interval | None:
    """The interval of a reduction over `models`, `samples`, or `models and samples`; None if there is none."""
    return None if reduction is None else next((i for i in reduction.intervals if i.over == over), None)


def widest_claim(reduction: Reduction) -> Interval | None:
    """The interval with the widest claim: over models and samples, or else over models, or else over samples."""
    return next((found for over in OVER if (found := interval_over(reduction, over)) is not None), None)
