"""Numbers of tables: a mean and its spread in the same decimals, in as many significant digits as are asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

MOST_PLACES = 8
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Rounded:
    """A number and its spread as texts with the same decimals. spread: empty where there is none. tiny: below what the decimals show."""

    number: str
    spread: str = ""
    tiny: bool = False


def rounded(value: float, spread: float | None, digits: int) -> Rounded:
    """Returns a number with its spread. digits: significant digits of the number; more where the spread would else be rounded away.

    A number other than 0 that eight decimals do not show is `tiny`. Equal numbers have no spread to show; their cell's note says that they are equal.
    """
    if value and abs(value) < 0.5 * 10**-MOST_PLACES:
        return Rounded(f"{10**-MOST_PLACES:.{MOST_PLACES}f}", tiny=True)
    places = places_of(value, digits)
    if spread is not None and is_equal(value, spread):
        spread = None
    if spread is not None:
        places = max(places, places_of(spread, 1))
    places = min(MOST_PLACES, places)
    text = f"{value:.{places}f}"
    number = text.removeprefix("-") if float(text) == 0 else text
    return Rounded(number, "" if spread is None else f"{spread:.{places}f}")


def is_equal(value: float, spread: float) -> bool:
    """Tells whether numbers with this mean and spread are one number, whose mean may miss it in the last bits."""
    return spread <= _ROUNDING * abs(value)


def places_of(value: float, digits: int) -> int:
    """Returns the decimals that show so many significant digits of a number; those of 1 for 0."""
    if not value or not math.isfinite(value):
        return digits - 1
    first = math.floor(math.log10(abs(value)))
    places = max(0, digits - 1 - first)
    again = float(f"{value:.{places}f}")  # 0.0998 is 0.10 in two digits
    if again and math.floor(math.log10(abs(again))) > first:
        places = max(0, places - 1)
    return places
