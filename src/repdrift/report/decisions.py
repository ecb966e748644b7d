"""On which p-value the verdict by layer rests, how small it could have been, and the interval that claims most."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.records.results import HypothesisTest, Interval, Reduction
from repdrift.report.wording import OVER


def deciding_field(tests: Sequence[HypothesisTest]) -> str:
    """The field of a family of tests that their verdicts rest on: max-T where there is one, else Holm, else the p itself."""
    for field in ("pvalue_max_t", "pvalue_holm"):
        if any(getattr(test, field) is not None for test in tests):
            return field
    return "pvalue"


def deciding_pvalue(test: HypothesisTest) -> float | None:
    """The p that the verdict of one test rests on."""
    pvalue = getattr(test, deciding_field([test]))
    return None if pvalue is None else float(pvalue)


def smallest_deciding_pvalue(tests: Sequence[HypothesisTest]) -> float | None:
    """The smallest value that the deciding p of a family could have taken, None if it is not known.

    Max-T compares with the largest statistic of every arrangement, so that its least value is the design's own; Holm
    multiplies the least of m by m.
    """
    known = [test.smallest_pvalue for test in tests if test.smallest_pvalue is not None]
    if not known:
        return None
    return min(known) if deciding_field(tests) != "pvalue_holm" else min(1.0, min(known) * len(tests))


def layers_with(tests: Sequence[HypothesisTest], verdict: str) -> list[int]:
    """Layers of the tests that have this verdict, ascending."""
    return sorted(test.layer for test in tests if test.layer is not None and test.verdict == verdict)


def interval_over(reduction: Reduction | None, over: str) -> Interval | None:
    """The interval of a reduction over `models`, `samples`, or `models and samples`, if there is one."""
    return None if reduction is None else next((i for i in reduction.intervals if i.over == over), None)


def widest_claim(reduction: Reduction) -> Interval | None:
    """The interval over the most that is thought of as drawn anew: models and samples, else models, else samples."""
    return next((found for over in OVER if (found := interval_over(reduction, over)) is not None), None)
