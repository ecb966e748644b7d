"""Words of the results that figures and page share: measures, intervals, effects. Plain text; a page escapes it for itself."""

from __future__ import annotations

from repdrift.core.hypotheses import ALIKE, INTERACTION, METHOD_CLAIMS
from repdrift.core.words import percent, percent_digits, short_number

EFFECTS = {
    "difference": "difference of mean drifts",
    "ratio": "ratio of mean drifts",
    "log_ratio": "log of the ratio",
    "cliffs_delta": "Cliff's delta",
}


def estimate_text(hypothesis: str, value: float) -> str:
    """The estimate of a hypothesis with its unit: a reduction in percent, a distance of reductions in points, a ratio, a drift."""
    if hypothesis in METHOD_CLAIMS:
        return percent(value)
    if hypothesis == INTERACTION:
        return f"{percent_digits(value)} points"
    return f"{value:.2f}" if hypothesis == ALIKE else short_number(value)


def effect_text(name: str, value: float) -> str:
    """The estimate of an effect size as text."""
    return short_number(value) if name == "difference" else f"{value:.2f}"
