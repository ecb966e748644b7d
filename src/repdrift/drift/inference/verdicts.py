"""From p-values to a verdict and a plain sentence with its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from repdrift.core.records.results import Correction, Hypothesis, HypothesisTest, Reduction

Verdict = Literal["supported", "rejected", "undecided", "not testable"]


@dataclass(frozen=True)
class Corrected:
    """The p-values of one layer's test, corrected over the tests of all layers.

    by: the correction that decides: `pvalue`, `opposite_pvalue` and `smallest_pvalue` are corrected by it. max_t: None
    where the design has no such correction. family: the corrected tests, in words.
    """

    by: Correction
    pvalue: float
    opposite_pvalue: float
    smallest_pvalue: float | None
    max_t: float | None
    holm: float
    benjamini_hochberg: float
    n_tests: int
    family: str


@dataclass(frozen=True)
class Evidence:
    """The test of a claim and of its opposite.

    opposite_pvalue: None where the opposite claim is not tested, so that nothing is rejected. smallest_pvalue: the
    smallest p of this design, whatever the data; None for a test that has none. corrected: None where there is no family.
    n_units: trained models.
    """

    statistic: float
    pvalue: float
    opposite_pvalue: float | None
    smallest_pvalue: float | None
    exact: bool
    n_permutations: int | None
    n_units: int
    corrected: Corrected | None = None

    @property
    def deciding_pvalue(self) -> float:
        """The p that the verdict rests on: corrected where there is a correction."""
        return self.pvalue if self.corrected is None else self.corrected.pvalue

    @property
    def deciding_opposite_pvalue(self) -> float | None:
        """The p of the opposite claim that a rejection rests on."""
        return self.opposite_pvalue if self.corrected is None else self.corrected.opposite_pvalue

    @property
    def smallest_deciding_pvalue(self) -> float | None:
        """The smallest value that `deciding_pvalue` can take."""
        return self.smallest_pvalue if self.corrected is None else self.corrected.smallest_pvalue


def verdict(evidence: Evidence, alpha: float) -> Verdict:
    """`rejected` needs evidence of its own: the opposite claim tested at the same level."""
    if evidence.smallest_pvalue is not None and evidence.smallest_pvalue >= 0.5:
        return "not testable"
    if evidence.deciding_pvalue <= alpha:
        return "supported"
    opposite = evidence.deciding_opposite_pvalue
    if opposite is not None and opposite <= alpha:
        return "rejected"
    return "undecided"


def decided(evidence: Evidence, found: str, claim: str, alpha: float) -> dict[str, Any]:
    """The fields of a `HypothesisTest` that follow from the evidence; found and claim as in `sentence`."""
    fields: dict[str, Any] = {
        "statistic": evidence.statistic,
        "pvalue": evidence.pvalue,
        "opposite_pvalue": evidence.opposite_pvalue,
        "smallest_pvalue": evidence.smallest_pvalue,
        "deciding_pvalue": evidence.deciding_pvalue,
        "deciding_opposite_pvalue": evidence.deciding_opposite_pvalue,
        "smallest_deciding_pvalue": evidence.smallest_deciding_pvalue,
        "exact": evidence.exact,
        "n_permutations": evidence.n_permutations,
        "n_units": evidence.n_units,
        "verdict": verdict(evidence, alpha),
        "sentence": sentence(found, claim, evidence, alpha),
    }
    corrected = evidence.corrected
    if corrected is not None:
        fields |= {
            "correction": corrected.by,
            "pvalue_max_t": corrected.max_t,
            "pvalue_holm": corrected.holm,
            "pvalue_bh": corrected.benjamini_hochberg,
            "family": corrected.family,
        }
    return fields


def sentence(found: str, claim: str, evidence: Evidence, alpha: float) -> str:
    """What was found, the outcome of the claim with its p, and the least p that the design could have reached.

    found: a sentence without its full stop. claim: continues `Whether` and `That`, such as "it drifts less".
    """
    decision = verdict(evidence, alpha)
    counted = f"{evidence.n_units} trained model" + ("s" if evidence.n_units != 1 else "")
    limit = _limit(evidence, alpha, counted)
    if decision == "not testable":
        return f"{found}. Whether {claim} cannot be tested with {counted}{limit}."
    p = _p(evidence.pvalue, evidence.deciding_pvalue, evidence.corrected)
    if decision == "supported":
        return f"{found}. That {claim} is supported ({p}){limit}."
    opposite, deciding_opposite = evidence.opposite_pvalue, evidence.deciding_opposite_pvalue
    if decision == "rejected" and opposite is not None and deciding_opposite is not None:
        # The p that speaks here is the opposite claim's, and it is named as that.
        of_opposite = _p(opposite, deciding_opposite, evidence.corrected)
        said = f"p = {evidence.pvalue:.3g}; of the opposite, {of_opposite}"
        return f"{found}. That {claim} is contradicted by these models ({said}){limit}."
    return f"{found}. Whether {claim} is undecided ({p}){limit}."


def not_testable(
    hypothesis: Hypothesis,
    about: Reduction,
    n_units: int,
    found: str,
    claim: str,
    reason: str,
    *,
    test: str,
    margin: float | None = None,
) -> HypothesisTest:
    """The record of a claim that has no meaning in these data, whatever a test of them would give: no p, and why.

    found, claim: as for `sentence`. reason: a clause without its full stop.
    """
    return HypothesisTest(
        hypothesis=hypothesis,
        task=about.task,
        layer=about.layer,
        measure=about.measure,
        test=test,
        margin=margin,
        statistic=None,
        pvalue=None,
        smallest_pvalue=None,
        exact=None,
        n_permutations=None,
        n_units=n_units,
        verdict="not testable",
        sentence=f"{found}. Whether {claim} cannot be tested: {reason}.",
    )


def digits(drift: float) -> str:
    """A drift in as many digits as a small one needs."""
    return f"{drift:.4f}" if drift == 0 or abs(drift) >= 1e-3 else f"{drift:.1e}"


def _p(raw: float, deciding: float, corrected: Corrected | None) -> str:
    return (
        f"p = {raw:.3g}"
        if corrected is None
        else f"p = {raw:.3g}, {deciding:.3g} corrected for {corrected.n_tests} layers"
    )


def _limit(evidence: Evidence, alpha: float, counted: str) -> str:
    smallest = evidence.smallest_deciding_pvalue
    if smallest is None:
        return ""
    after = " after correction" if evidence.corrected is not None else ""
    if smallest > alpha:
        return (
            f"; with {counted} no result could have reached {alpha:g}{after}, the smallest possible p is {smallest:.3g}"
        )
    return f"; smallest p that this design can reach{after}: {smallest:.2g}"
