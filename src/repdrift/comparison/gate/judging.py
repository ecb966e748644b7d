"""Judges a finished comparison by a gate: each gated number passes, fails, or cannot be judged, with the reason in words."""

from __future__ import annotations

from dataclasses import dataclass

from repdrift.comparison.gate.gated_numbers import Gated, gated_numbers
from repdrift.comparison.gate.limits import Gate
from repdrift.core.confidence import Interval
from repdrift.core.gate_words import beside_limit
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.gate import GateVerdict

ERROR_RATE = 0.025
"""The largest probability with which chance fails a gate whose numbers all lie at their limits: that of one end of a 95 % interval."""
FAILED, NOT_JUDGED = 3, 4
"""Exit codes of a gate."""


@dataclass(frozen=True)
class Judged:
    """One gated number of one model.

    what: its name in a sentence. value: the number. ends: its interval, of which all lower ends of a gate hold together. reason: why the verdict
    is what it is, in whole sentences. A missing number or end is None.
    """

    model: str
    what: str
    limit: float
    verdict: GateVerdict
    reason: str
    unit: str = ""
    value: float | None = None
    ends: Interval | None = None


@dataclass(frozen=True)
class GateReport:
    """The verdicts of a gate. together: the number of gated numbers whose lower ends hold together."""

    gate: Gate
    judged: list[Judged]
    together: int
    comparison: Comparison

    def of(self, verdict: GateVerdict) -> list[Judged]:
        """The numbers with this verdict."""
        return [one for one in self.judged if one.verdict == verdict]

    @property
    def verdict(self) -> GateVerdict:
        """The verdict on all: failed if one number failed; else not judged if one was not; else passed."""
        return "failed" if self.of("failed") else "not judged" if self.of("not judged") or not self.judged else "passed"

    @property
    def exit_code(self) -> int:
        """The exit code of the command, see docs/reference/exit_codes.md."""
        return {"passed": 0, "failed": FAILED, "not judged": NOT_JUDGED}[self.verdict]


def judge(result: Comparison, gate: Gate) -> GateReport:
    """Holds every model of a comparison against the limits of a gate.

    A number fails if its lower end lies above the limit. The lower ends of all numbers of all models hold together (Bonferroni): if no true
    value is above its limit, chance fails the gate with a probability of ERROR_RATE or less, as far as each interval keeps its level (docs/howto/ci.md has simulations). A
    number that is missing, or has no interval though it may exceed the limit, is not judged.
    """
    asked = [number for model in result.models for number in gated_numbers(result, model, gate)]
    level = 1 - ERROR_RATE / max(1, len(asked))
    return GateReport(gate, [_judged(number, level) for number in asked], len(asked), result)


def _judged(asked: Gated, level: float) -> Judged:
    if asked.value is None or asked.spread is None:
        verdict, reason = _without_interval(asked)
        return Judged(asked.model, asked.what, asked.limit, verdict, reason, asked.unit, asked.value)
    ends = asked.spread.ends(level)
    if asked.is_share:
        ends = Interval(max(0.0, ends.low), min(1.0, ends.high))
    verdict, reason = _by_ends(asked, asked.value, ends)
    return Judged(asked.model, asked.what, asked.limit, verdict, reason, asked.unit, asked.value, ends)


def _without_interval(asked: Gated) -> tuple[GateVerdict, str]:
    if asked.value is None:
        return "not judged", asked.missing
    if asked.hardly_moved and asked.value <= asked.limit:
        return "passed", f"It is not above the limit of {asked.limit:g}. It has no interval: {asked.missing}."
    return "not judged", f"It has no interval: {asked.missing}."


def _by_ends(asked: Gated, value: float, ends: Interval) -> tuple[GateVerdict, str]:
    limit = f"the limit of {asked.limit:g}"
    low, high = beside_limit(ends.low, asked.limit), beside_limit(ends.high, asked.limit)
    if ends.low > asked.limit:
        if asked.is_noise:
            return "not judged", f"It is above {limit}, but {asked.is_noise}"
        return "failed", f"It is at least {low}, above {limit}."
    if ends.high <= asked.limit:
        return "passed", f"It is {high} at most, not above {limit}."
    side = "above" if value > asked.limit else "below" if value < asked.limit else "at"
    return (
        "passed",
        f"It is not shown to be above {limit}, nor to keep it: {low} to {high}, and the number itself lies {side} the "
        "limit. More samples would tell.",
    )
