"""Numbers in two significant digits, for a screen that is read once."""

from __future__ import annotations

import math

from repdrift.core.words import percent_digits, short_number

_LEAST = 1e-6
"""A smaller spread is not written with its digits."""
_ROUNDING = 1e-12
"""Drifts up to this size are rounding of equal rows."""


def short_percent_range(low: float, high: float) -> str:
    """Returns the ends of an interval of shares in percent, in square brackets: `[-26, 0.6]`."""
    return f"[{percent_digits(low)}, {percent_digits(high)}]"


def with_spread(mean: float, spread: float | None, plus_minus: str) -> str:
    """Returns a mean with its spread in the same decimals, `0.448 ±0.012`, or the mean alone where there is no spread."""
    mean = 0.0 if abs(mean) <= _ROUNDING else mean
    if spread is None:
        return short_number(mean)
    if spread < _LEAST:
        return f"{short_number(mean)} {plus_minus}{short_number(spread)}"
    places = max(2, _places(spread, 1), min(_places(mean, 2), _places(spread, 3)))
    text = f"{mean:.{places}f}"
    return f"{text.removeprefix('-') if float(text) == 0 else text} {plus_minus}{spread:.{places}f}"


def _places(value: float, digits: int) -> int:
    """Returns the decimals that show so many significant digits."""
    if not value or not math.isfinite(value):
        return 0
    return max(0, digits - 1 - math.floor(math.log10(abs(value))))
