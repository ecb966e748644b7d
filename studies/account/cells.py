"""Cells of an account's tables: numbers with their intervals, p-values and verdicts, each missing one with the reason."""

from __future__ import annotations

import re
from collections.abc import Sequence

from repdrift.core.claim_parts import deciding_pvalue, unreachable_pvalue, widest_claim
from repdrift.core.records.claims import HypothesisTest, Interval, Reduction
from repdrift.core.records.equal_skill import EqualSkill
from repdrift.core.words import (
    markdown_text,
    p_equals,
    percent,
    percent_range,
    pvalue,
    reduction_in_words,
    reduction_range,
    short_drift,
)

MISSING = "-"
FROZEN = "frozen"
"""In place of a number for a layer below all that an arm changes: what is trained leaves it no choice."""


_BAR = re.compile(r"(?<!\\)\|")
_MOST_LAYERS = 12
"""Layers up to which a table has a column for each."""
_SOME_LAYERS = 7


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table in Markdown. Bars are escaped but for those that a name's cell has escaped before."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_BAR.sub(r"\|", cell) for cell in line) + " |" for line in lines)


def name_cell(text: str) -> str:
    """A name from the results, as text in a table."""
    return markdown_text(text)


def drift_cell(value: float | None, spread: float | None = None) -> str:
    """A drift, with its standard deviation over seeds where there is one."""
    if value is None:
        return MISSING
    return short_drift(value) + (f" ± {short_drift(spread)}" if spread is not None else "")


def mean_of(values: Sequence[float | None]) -> float | None:
    """The mean of a drift over layers; None if one is missing, since the mean of the rest is another number."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def reduction_cell(reduction: float | None, interval: Interval | None) -> str:
    """A reduction in percent with its interval: below 0 the arm drifts more."""
    if reduction is None:
        return MISSING
    if reduction <= -1:  # in percent it would be read as a share of what is left
        ends = f" ({reduction_range(interval.low, interval.high)})" if interval else " (no interval)"
        return reduction_in_words(reduction) + ends
    return percent(reduction) + (f" ({percent_range(interval.low, interval.high)})" if interval else " (no interval)")


def end_cell(found: Reduction | None) -> str:
    """The reduction at the end of training with its widest interval."""
    return MISSING if found is None else reduction_cell(found.reduction, widest_claim(found))


def skill_cell(found: EqualSkill | None) -> str:
    """The reduction at equal skill with its interval over models."""
    return MISSING if found is None or found.test is None else reduction_cell(found.reduction, found.interval)


def verdict_cell(test: HypothesisTest | None, alpha: float = 0.05) -> str:
    """The verdict with the p-value that it rests on: that of the opposite claim, where the claim is rejected.

    Where no result of so few models could have decided, that is said in place of a p, which could not have been small.
    """
    if test is None:
        return MISSING
    if (least := unreachable_pvalue(test, alpha)) is not None:
        return f"undecided: so few models allow no p below {pvalue(least)}"
    p = deciding_pvalue(test)
    if test.verdict == "rejected":
        opposite = test.opposite_pvalue if test.deciding_opposite_pvalue is None else test.deciding_opposite_pvalue
        return f"rejected ({p_equals(opposite)} for the opposite)" if opposite is not None else "rejected"
    return test.verdict if test.verdict == "not testable" or p is None else f"{test.verdict} ({p_equals(p)})"


def target_at_equal_skill(found: EqualSkill | None, target: float) -> str:
    """How the interval of the reduction at equal skill lies to the target: above, below, or around it."""
    if found is None or found.test is None or found.interval is None:
        return MISSING
    if found.interval.low > target:
        return "supported: the interval lies above it"
    return (
        "rejected: the interval lies below it" if found.interval.high < target else "undecided: the interval holds it"
    )


def some_layers(layers: Sequence[int]) -> list[int]:
    """Returns the places of the layers that a table has columns for: all of a few, or as many evenly from the first to the last."""
    if len(layers) <= _MOST_LAYERS:
        return list(range(len(layers)))
    return sorted({round(n * (len(layers) - 1) / (_SOME_LAYERS - 1)) for n in range(_SOME_LAYERS)})
