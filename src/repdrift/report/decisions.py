"""The p-value that a verdict rests on, as the results say it, and the interval that claims most."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.records.results import Correction, HypothesisTest, Interval, Reduction
from repdrift.report.wording import OVER


def correction_of(tests: Sequence[HypothesisTest]) -> Correction | None:
    """The correction that the verdicts of a family of tests rest on; None if they rest on the p-values as they are."""
    return next((test.correction for test in tests if test.correction is not None), None)


def deciding_pvalue(test: HypothesisTest) -> float | None:
    """The p-value that the verdict rests on; `pvalue` in results that are older than that field."""
    return test.pvalue if test.deciding_pvalue is None else test.deciding_pvalue


def smallest_deciding_pvalue(tests: Sequence[HypothesisTest]) -> float | None:
    """The smallest value that a deciding p-value of the family could have taken; None if the results do not say."""
    return min((t.smallest_deciding_pvalue for t in tests if t.smallest_deciding_pvalue is not None), default=None)


def layers_with(tests: Sequence[HypothesisTest], verdict: str) -> list[int]:
    """Layers of the tests that have this verdict, ascending."""
    return sorted(test.layer for test in tests if test.layer is not None and test.verdict == verdict)


def interval_over(reduction: Reduction | None, over: str) -> Interval | None:
    """The interval of a reduction over `models`, `samples`, or `models and samples`, if there is one."""
    return None if reduction is None else next((i for i in reduction.intervals if i.over == over), None)


def widest_claim(reduction: Reduction) -> Interval | None:
    """The interval over the most that is thought of as drawn anew: models and samples, else models, else samples."""
    return next((found for over in OVER if (found := interval_over(reduction, over)) is not None), None)
