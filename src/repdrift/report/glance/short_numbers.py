"""Numbers in two significant digits, for a screen that is read once."""

from __future__ import annotations

import math

from repdrift.core.words import times

_NEARLY_ALL = 0.995
_ROUNDING = 1e-12
"""Drifts up to this size are rounding of equal rows."""


def short_percent(share: float) -> str:
    """Returns a share in percent, in two significant digits: `12 %`, `0.6 %`; never 100 % for a little less than all."""
    return f"{_percent_digits(share)} %"


def short_percent_range(low: float, high: float) -> str:
    """Returns the ends of an interval of shares in percent, in square brackets: `[-26, 0.6]`."""
    return f"[{_percent_digits(low)}, {_percent_digits(high)}]"


def less_or_more(reduction: float) -> str:
    """Returns a reduction, 1 - a / b, as what a does: `12 % less`, `12 % more`, `3.4 times as much`."""
    if reduction <= -1:
        return f"{times(1 - reduction)} times as much"
    return f"{short_percent(abs(reduction))} {'less' if reduction >= 0 else 'more'}"


def _percent_digits(share: float) -> str:
    value = 100 * share
    if _NEARLY_ALL <= share < 1:
        return f"{min(value, 99.9):.1f}" if value <= 99.95 else "> 99.9"
    if abs(value) >= 99.5:
        return f"{value:,.0f}"
    if value and abs(value) < 0.01:
        return "0.00"
    text = f"{value:.2g}"
    return "0" if float(text) == 0 else text


def with_spread(mean: float, spread: float | None, plus_minus: str) -> str:
    """Returns a mean with its spread, `0.448 ±0.012`, or the mean alone where there is no spread. Tiny means are in powers of ten."""
    mean = 0.0 if abs(mean) <= _ROUNDING else mean
    if mean and abs(mean) < 5e-5:
        return f"{mean:.1e}" if spread is None else f"{mean:.1e} {plus_minus}{spread:.0e}"
    places = min(6, max(_places(mean, 2), 2, 0 if not spread else _places(spread, 1)))
    text = f"{mean:.{places}f}"
    return text if spread is None else f"{text} {plus_minus}{spread:.{places}f}"


def _places(value: float, digits: int) -> int:
    """Returns the decimals that show so many significant digits."""
    if not value or not math.isfinite(value):
        return 0
    return max(0, digits - 1 - math.floor(math.log10(abs(value))))
