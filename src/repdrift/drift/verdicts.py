"""From p-values to a verdict and a plain sentence with its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from repdrift.statistics import PermutationResult

Hypothesis = Literal["comparison_drifts_less", "reduction_exceeds_target"]
HYPOTHESES: tuple[Hypothesis, ...] = ("comparison_drifts_less", "reduction_exceeds_target")
Verdict = Literal["supported", "rejected", "undecided", "not testable"]


@dataclass(frozen=True)
class Question:
    """One claim, where it is made, and the two mean drifts that it is about."""

    hypothesis: Hypothesis
    where: str
    """`on mrpc`, `over all tasks, layer 3`."""
    reference_method: str
    comparison_method: str
    reference_drift: float
    comparison_drift: float
    target_reduction: float
    alpha: float

    @property
    def claim(self) -> str:
        """What the comparison method is said to do."""
        if self.hypothesis == "comparison_drifts_less":
            return "drifts less"
        return f"drifts at least {100 * self.target_reduction:g} % less"


@dataclass(frozen=True)
class Evidence:
    """The test of a claim and of its opposite; for one of several layers, the p-values corrected over them by Holm."""

    less: PermutationResult
    more: PermutationResult
    layers: int = 1
    less_corrected: float | None = None
    more_corrected: float | None = None

    @property
    def deciding_pvalue(self) -> float:
        """The p that the verdict rests on: corrected, where there is a correction."""
        return self.less.pvalue if self.less_corrected is None else self.less_corrected

    @property
    def opposite_pvalue(self) -> float:
        """The same of the opposite claim."""
        return self.more.pvalue if self.more_corrected is None else self.more_corrected

    @property
    def smallest_deciding_pvalue(self) -> float:
        """The least value that `deciding_pvalue` can take: Holm multiplies the least of m by m."""
        return min(1.0, self.less.smallest_pvalue * self.layers)


def verdict(evidence: Evidence, alpha: float) -> Verdict:
    """`rejected` needs evidence of its own: the opposite claim tested at the same level."""
    if evidence.less.smallest_pvalue >= 0.5:
        return "not testable"
    if evidence.deciding_pvalue <= alpha:
        return "supported"
    if evidence.opposite_pvalue <= alpha:
        return "rejected"
    return "undecided"


def sentence(question: Question, evidence: Evidence) -> str:
    """The drifts, the outcome with its p, and the least p that the design could have reached."""
    q, decision = question, verdict(evidence, question.alpha)
    units = f"{evidence.less.n_units} trained models"
    if decision == "not testable":
        return f"{_found(q)}. Whether it {q.claim} cannot be tested with {units}{_limit(q, evidence)}."
    outcome = {
        "supported": f"That it {q.claim} is supported ({_p(evidence.less.pvalue, evidence.less_corrected, evidence)})",
        # The p that speaks here is the opposite claim's, and it is named as that.
        "rejected": f"That it {q.claim} is contradicted by these models "
        f"(p = {evidence.less.pvalue:.3g}; of the opposite, {_p(evidence.more.pvalue, evidence.more_corrected, evidence)})",
        "undecided": f"Whether it {q.claim} is undecided ({_p(evidence.less.pvalue, evidence.less_corrected, evidence)})",
    }[decision]
    return f"{_found(q)}. {outcome}{_limit(q, evidence)}."


def _found(q: Question) -> str:
    if q.reference_drift > 0:
        share = 100 * (1 - q.comparison_drift / q.reference_drift)
        change = f"{abs(share):.1f} % {'less' if share >= 0 else 'more'}"
    else:
        change = "not comparable as a ratio"
    return (
        f"{q.comparison_method} drifts {q.comparison_drift:.4f} against {q.reference_drift:.4f} of {q.reference_method} "
        f"{q.where} ({change})"
    )


def _p(raw: float, corrected: float | None, evidence: Evidence) -> str:
    if corrected is None:
        return f"p = {raw:.3g}"
    return f"p = {raw:.3g}, {corrected:.3g} corrected for {evidence.layers} layers"


def _limit(q: Question, evidence: Evidence) -> str:
    smallest = evidence.smallest_deciding_pvalue
    after = " after correction" if evidence.less_corrected is not None else ""
    if smallest > q.alpha:
        return (
            f"; with {evidence.less.n_units} trained models no result could have reached {q.alpha:g}{after}, "
            f"the smallest possible p is {smallest:.3g}"
        )
    return f"; smallest p that this design can reach{after}: {smallest:.2g}"
