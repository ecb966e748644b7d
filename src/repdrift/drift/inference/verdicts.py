"""From the p-values of a test to a verdict, and to a sentence with the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from repdrift.core.records.claims import Correction, Hypothesis, HypothesisTest, Reduction, Verdict
from repdrift.core.words import counted, p_equals, pvalue, sentence_case

_OF_A_TEST = (
    "pvalue",
    "opposite_pvalue",
    "smallest_pvalue",
    "deciding_pvalue",
    "deciding_opposite_pvalue",
    "smallest_deciding_pvalue",
    "exact",
    "n_permutations",
)
"""Fields of a record that stay empty where nothing is tested."""


@dataclass(frozen=True)
class Corrected:
    """The p-values of one test, corrected over the tests of all layers, of all arms, or of both.

    unit: what `n_tests` counts. by: the correction that decides: `pvalue`, `opposite_pvalue` and `smallest_pvalue` are corrected by it, and by Holm over
    `n_arms` if there are several. max_t: None where the design has no such correction. n_tests: layers; 1 for a mean over
    layers. family: the corrected tests, in words.
    """

    by: Correction
    pvalue: float
    opposite_pvalue: float | None
    smallest_pvalue: float | None
    max_t: float | None
    holm: float
    benjamini_hochberg: float
    n_tests: int
    family: str
    n_arms: int = 1
    unit: str = "layer"

    @property
    def words(self) -> str:
        """The correction for a sentence: `max-T over 24 layers`, `Holm over 3 arms`."""
        layers, arms = counted(self.n_tests, self.unit), counted(self.n_arms, "arm")
        if self.n_arms == 1:
            return f"{self.by} over {layers}"
        if self.n_tests == 1:
            return f"Holm over {arms}"
        return (
            f"Holm over {layers} and {arms}" if self.by == "Holm" else f"{self.by} over {layers} and Holm over {arms}"
        )


@dataclass(frozen=True)
class Evidence:
    """The test of a claim and of its opposite.

    opposite_pvalue: None if the opposite claim is not tested; then nothing is rejected. smallest_pvalue: the
    smallest p of this design, whatever the data; None for a test that has none. corrected: None where there is no family.
    n_units: trained models. untestable: the reason, as a clause, why the claim says nothing of the methods, whatever the p; None: it does.
    """

    statistic: float
    pvalue: float
    opposite_pvalue: float | None
    smallest_pvalue: float | None
    exact: bool
    n_permutations: int | None
    n_units: int
    corrected: Corrected | None = None
    untestable: str | None = None

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


@dataclass(frozen=True)
class Statement:
    """The words of a test. Neither text has a full stop.

    claim: what is claimed and where, such as "LoRA drifts less on RTE". numbers: what was measured.
    """

    claim: str
    numbers: str


def is_testable(evidence: Evidence) -> bool:
    """Returns False if the models say nothing of the methods, or are so few that no result could: the smallest p is 0.5 or more."""
    if evidence.untestable is not None:
        return False
    return evidence.smallest_pvalue is None or evidence.smallest_pvalue < 0.5


def verdict(evidence: Evidence, alpha: float) -> Verdict:
    """Returns the verdict at level `alpha`. A claim is `rejected` only if the test of its opposite is significant."""
    if not is_testable(evidence):
        return "not testable"
    if evidence.deciding_pvalue <= alpha:
        return "supported"
    opposite = evidence.deciding_opposite_pvalue
    if opposite is not None and opposite <= alpha:
        return "rejected"
    return "undecided"


def decided(evidence: Evidence, statement: Statement, alpha: float) -> dict[str, Any]:
    """Returns the fields of a `HypothesisTest` that follow from the evidence."""
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
        "sentence": sentence(evidence, statement, alpha),
    }
    corrected = evidence.corrected
    if evidence.untestable is not None:
        fields |= dict.fromkeys(_OF_A_TEST)  # they would be read as evidence
    elif corrected is not None:
        fields |= {
            "correction": corrected.by,
            "n_arms": corrected.n_arms,
            "pvalue_max_t": corrected.max_t,
            "pvalue_holm": corrected.holm,
            "pvalue_bh": corrected.benjamini_hochberg,
            "family": corrected.family,
        }
    return fields


def sentence(evidence: Evidence, statement: Statement, alpha: float) -> str:
    """Returns the verdict on the claim with its p-value, then the numbers, then the smallest p that could have been."""
    claim, decision = statement.claim, verdict(evidence, alpha)
    if evidence.untestable is not None:
        return f"Whether {claim} is not testable as a property of the method: {evidence.untestable}. These models: {statement.numbers}."
    limit = _limit(evidence, alpha)
    opposite = evidence.deciding_opposite_pvalue
    if decision == "not testable":
        models = counted(evidence.n_units, "trained model")
        return f"Whether {claim} cannot be tested with {models}: {statement.numbers}.{limit}"
    if decision == "supported":
        said = f"{sentence_case(claim)} ({_p(evidence.deciding_pvalue, evidence)})"
    elif decision == "rejected" and opposite is not None:
        # The p that speaks here is that of the opposite claim, and it is named so.
        said = f"These models contradict that {claim} ({_p(opposite, evidence)}, for the opposite claim)"
    else:
        said = f"Whether {claim} is undecided ({_p(evidence.deciding_pvalue, evidence)})"
    return f"{said}: {statement.numbers}.{limit}"


def not_testable(
    hypothesis: Hypothesis,
    about: Reduction,
    n_units: int,
    statement: Statement,
    reason: str,
    *,
    test: str,
    margin: float | None = None,
) -> HypothesisTest:
    """Returns the record of a claim about two methods that has no meaning in these data: no p-value, and the reason.

    reason: a clause without its full stop.
    """
    return HypothesisTest(
        hypothesis=hypothesis,
        comparison=about.comparison,
        task=about.task,
        site=about.site,
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
        sentence=f"Whether {statement.claim} cannot be tested: {reason}. {statement.numbers[0].upper()}{statement.numbers[1:]}.",
    )


def _p(value: float, evidence: Evidence) -> str:
    corrected = evidence.corrected
    if corrected is None:
        return p_equals(value)
    return f"{p_equals(value)}, corrected by {corrected.words}"


def _limit(evidence: Evidence, alpha: float) -> str:
    smallest = evidence.smallest_deciding_pvalue
    if smallest is None:
        return ""
    after = " after correction" if evidence.corrected is not None else ""
    least = pvalue(smallest).replace("<", "below")
    if smallest > alpha:
        models = counted(evidence.n_units, "trained model")
        return f" No result of {models} could have reached {alpha:g}: the smallest possible p{after} is {least}."
    return f" The smallest p that this design can reach{after} is {least}."
