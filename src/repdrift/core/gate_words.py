"""The verdict of a gate in words, for page, summary and terminal: what failed first, then what could not be judged, then the rest."""

from __future__ import annotations

from decimal import Decimal

from repdrift.core.records.gate import GatedNumber, GateResult, GateVerdict
from repdrift.core.worded_section import CaptionedTable, WordedSection

GATE_VERDICTS: dict[GateVerdict, str] = {"failed": "failed", "not judged": "could not be judged", "passed": "passed"}
_ORDER: tuple[GateVerdict, ...] = ("failed", "not judged", "passed")
_HEADER = ("model", "number", "value", "at least", "at most", "limit", "verdict", "why")


def gate_line(gate: GateResult) -> str:
    """The verdict in one sentence: `Gate failed: 2 of 6 numbers shown to be above the limit.`"""
    return f"Gate {GATE_VERDICTS[gate.verdict]}: {gate.counts}."


def gate_section(gate: GateResult) -> WordedSection:
    """Returns every gated number with its limit, interval, verdict and reason."""
    first = sorted(gate.numbers, key=lambda one: (_ORDER.index(one.verdict), -margin(one)))
    table = CaptionedTable("Gated numbers", "The numbers that failed stand first.", _HEADER, [_row(one) for one in first])  # fmt: skip
    return WordedSection("gate", f"Gate: {GATE_VERDICTS[gate.verdict]}", [gate_line(gate)], [table], notes=[gate.how])


def margin(one: GatedNumber) -> float:
    """Returns how far a number lies above its limit; minus infinity where there is none."""
    return float("-inf") if one.value is None else one.value - one.limit


def beside_limit(value: float, limit: float) -> str:
    """A number in two digits, or in as many more as it takes to see on which side of its limit it lies."""
    text = _plain(value, 2)
    for digits in range(3, 18):
        if (float(text) > limit) == (value > limit) and (float(text) < limit) == (value < limit):
            break
        text = _plain(value, digits)
    return text


def _plain(value: float, digits: int) -> str:
    """A number in so many significant digits, all of them written, without a power of ten."""
    return f"{Decimal(f'{value:#.{digits}g}'):f}" if value else "0"


def _row(one: GatedNumber) -> list[str]:
    value, low, high = ("none" if number is None else beside_limit(number, one.limit) for number in (one.value, one.low, one.high))  # fmt: skip
    unit = f" ({one.unit})" if one.unit else ""
    return [one.model, f"{one.what}{unit}", value, low, high, f"{one.limit:g}", GATE_VERDICTS[one.verdict], one.reason]
