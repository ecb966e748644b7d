"""From p-values to a verdict and a plain sentence with its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from repdrift.core.records.results import Hypothesis, HypothesisTest, Reduction

Verdict = Literal["supported", "rejected", "undecided", "not testable"]


@dataclass(frozen=True)
class Evidence:
    """The test of a claim and of its opposite; for one of several layers, the p-values corrected over them too.

    smallest: the least p of this design, whatever the data; None for a test that has none. smallest_corrected: the same after correction. opposite: None
    where the opposite is not tested: then nothing is rejected. n_units: trained models.
    """

    statistic: float
    pvalue: float
    smallest: float | None
    opposite: float | None
    exact: bool
    n_permutations: int
    n_units: int
    layers: int = 1
    corrected: float | None = None
    opposite_corrected: float | None = None
    smallest_corrected: float | None = None

    @property
    def deciding_pvalue(self) -> float:
        """The p that the verdict rests on: corrected, where there is a correction."""
        return self.pvalue if self.corrected is None else self.corrected

    @property
    def opposite_pvalue(self) -> float | None:
        """The same of the opposite claim."""
        return self.opposite if self.opposite_corrected is None else self.opposite_corrected

    @property
    def smallest_deciding_pvalue(self) -> float | None:
        """The least value that `deciding_pvalue` can take."""
        return self.smallest if self.smallest_corrected is None else self.smallest_corrected


def verdict(evidence: Evidence, alpha: float) -> Verdict:
    """`rejected` needs evidence of its own: the opposite claim tested at the same level."""
    if evidence.smallest is not None and evidence.smallest >= 0.5:
        return "not testable"
    if evidence.deciding_pvalue <= alpha:
        return "supported"
    opposite = evidence.opposite_pvalue
    if opposite is not None and opposite <= alpha:
        return "rejected"
    return "undecided"


def decided(evidence: Evidence, found: str, claim: str, alpha: float) -> dict[str, Any]:
    """The fields of a `HypothesisTest` that follow from the evidence; found and claim as in `sentence`."""
    return {
        "statistic": evidence.statistic,
        "pvalue": evidence.pvalue,
        "opposite_pvalue": evidence.opposite,
        "smallest_pvalue": evidence.smallest,
        "exact": evidence.exact,
        "n_permutations": evidence.n_permutations,
        "n_units": evidence.n_units,
        "verdict": verdict(evidence, alpha),
        "sentence": sentence(found, claim, evidence, alpha),
    }


def sentence(found: str, claim: str, evidence: Evidence, alpha: float) -> str:
    """What was found, the outcome of the claim with its p, and the least p that the design could have reached.

    found: a sentence without its full stop. claim: continues `Whether` and `That`, such as "it drifts less".
    """
    decision = verdict(evidence, alpha)
    counted = f"{evidence.n_units} trained model" + ("s" if evidence.n_units != 1 else "")
    limit = _limit(evidence, alpha, counted)
    if decision == "not testable":
        return f"{found}. Whether {claim} cannot be tested with {counted}{limit}."
    p = _p(evidence.pvalue, evidence.corrected, evidence.layers)
    if decision == "supported":
        return f"{found}. That {claim} is supported ({p}){limit}."
    if decision == "rejected" and evidence.opposite is not None:
        # The p that speaks here is the opposite claim's, and it is named as that.
        opposite = _p(evidence.opposite, evidence.opposite_corrected, evidence.layers)
        said = f"p = {evidence.pvalue:.3g}; of the opposite, {opposite}"
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


def _p(raw: float, corrected: float | None, layers: int) -> str:
    return f"p = {raw:.3g}" if corrected is None else f"p = {raw:.3g}, {corrected:.3g} corrected for {layers} layers"


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
