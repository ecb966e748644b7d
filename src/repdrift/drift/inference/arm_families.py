"""Corrections over arms: where several methods are compared with the reference, their tests of one claim are one family.

Each arm is tested against the reference by itself: labels are exchanged between these two, never among all arms. A
maximum over arms under a joint relabelling would hold under the complete null only. Where one arm differs, or spreads
more, exchanging its models with those of the others gives the others a null distribution that is not theirs (Huang, Xu,
Calian and Hsu 2006; Westfall and Young 1993 call what is lacking subset pivotality). So the arms' own
p-values, already corrected over layers within an arm, are put together by Holm's procedure, which assumes nothing of how
the arms depend on one another (Holm 1979). The benchmark calibration simulates both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repdrift.core.records.claims import Hypothesis, HypothesisTest, LayerCluster, Reduction
from repdrift.core.words import counted, p_equals
from repdrift.drift.inference.dunnett_over_arms import LogDrifts, dunnett_over_arms
from repdrift.drift.inference.verdicts import Corrected, Evidence, Statement, decided, is_testable
from repdrift.statistics import benjamini_hochberg, holm_over_families


@dataclass(frozen=True)
class Draft:
    """A test of one contrast before its correction over arms. fields: those of the record that no p-value enters.

    log_drifts: what Dunnett's test over the arms takes; None where drift is not tested as its logarithm. dunnett: its p for this arm.
    """

    fields: dict[str, Any]
    evidence: Evidence
    statement: Statement
    log_drifts: LogDrifts | None = None
    dunnett: float | None = None

    def record(self, alpha: float) -> HypothesisTest:
        """Returns the test with its verdict at level `alpha`."""
        found = HypothesisTest(**self.fields, **decided(self.evidence, self.statement, alpha))
        if self.dunnett is None:
            return found
        sentence = f"{found.sentence} Dunnett's test over the arms gives {p_equals(self.dunnett)}; it decides nothing."
        return found.model_copy(update={"pvalue_dunnett": self.dunnett, "sentence": sentence})

    @property
    def family(self) -> tuple[object, ...]:
        """The claim and where it is made; the same for the tests of all arms that are corrected together."""
        return self.fields["hypothesis"], self.fields["task"], self.fields["layer"] is None


def about(hypothesis: Hypothesis, found: Reduction) -> dict[str, Any]:
    """Returns the fields that say which claim a test is of, and where: those of the reduction that it is about."""
    return {
        "hypothesis": hypothesis,
        "comparison": found.comparison,
        "task": found.task,
        "site": found.site,
        "layer": found.layer,
        "measure": found.measure,
    }


def corrected_over_arms(arms: Sequence[Sequence[Draft | HypothesisTest]]) -> list[list[Draft | HypothesisTest]]:
    """Correct the tests of every claim over the arms by Holm. Returns them in the order in which they came.

    arms: the tests of each contrast. Tests of layers, already corrected over the layers of their arm, form one family of
    arms and layers. Records of claims without a meaning, and tests whose design leaves nothing to reject, are no part of a
    family. A claim that is tested for one arm alone stays as it is.
    """
    found = [list(tests) for tests in arms]
    families: dict[tuple[object, ...], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for arm, tests in enumerate(found):
        for position, test in enumerate(tests):
            if isinstance(test, Draft) and is_testable(test.evidence):
                families[test.family][arm].append(position)
    for (hypothesis, *_), places in families.items():
        if len(places) < 2:
            continue
        drafts = [[found[arm][position] for position in positions] for arm, positions in places.items()]
        evidence = _corrected([[d.evidence for d in of_arm if isinstance(d, Draft)] for of_arm in drafts], hypothesis)
        for (arm, positions), of_arm in zip(places.items(), evidence, strict=True):
            for position, changed in zip(positions, of_arm, strict=True):
                found[arm][position] = replace(found[arm][position], evidence=changed)  # pyright: ignore[reportArgumentType]
        _add_dunnett(found, places)
    return found


def _add_dunnett(found: list[list[Draft | HypothesisTest]], places: Mapping[int, Sequence[int]]) -> None:
    """Adds the p of Dunnett's test to the tests of one claim, where every arm has one of log drift."""
    drafts = {(arm, at): found[arm][at] for arm, positions in places.items() for at in positions}
    logs = [draft.log_drifts for draft in drafts.values() if isinstance(draft, Draft) and draft.log_drifts is not None]
    if len(drafts) != len(places) or len(logs) != len(places) or (pvalues := dunnett_over_arms(logs)) is None:
        return
    for ((arm, at), draft), pvalue in zip(drafts.items(), pvalues, strict=True):
        found[arm][at] = replace(draft, dunnett=pvalue)  # pyright: ignore[reportArgumentType]


def clusters_over_arms(arms: Sequence[Sequence[LayerCluster]]) -> list[list[LayerCluster]]:
    """Correct the clusters of one claim over the arms by Holm. arms: one list for each arm whose layers were searched.

    An arm without a cluster counts, with p = 1.
    """
    if len(arms) < 2:
        return [list(arm) for arm in arms]
    pvalues = holm_over_families([[c.pvalue for c in arm] or [1.0] for arm in arms])
    known = [min((c.smallest_pvalue for c in arm), default=None) for arm in arms]
    present = [smallest for smallest in known if smallest is not None]
    # An arm without a cluster could have had one; its smallest p is not known, and taken as small as the others'.
    least = [[min(present) if smallest is None else smallest] for smallest in known] if present else [[1.0]] * len(arms)
    smallest = holm_over_families(least)
    return [
        [
            c.model_copy(update={"pvalue": float(p), "smallest_pvalue": float(of_arm[0])})
            for c, p in zip(arm, values, strict=False)
        ]
        for arm, values, of_arm in zip(arms, pvalues, smallest, strict=True)
    ]


def _corrected(arms: Sequence[Sequence[Evidence]], hypothesis: object) -> list[list[Evidence]]:
    """Returns the evidence of every arm for one claim with its p-values corrected over the arms."""
    deciding = holm_over_families([[e.deciding_pvalue for e in arm] for arm in arms])
    opposite = _over_families([[e.deciding_opposite_pvalue for e in arm] for arm in arms])
    smallest = _over_families([[e.smallest_deciding_pvalue for e in arm] for arm in arms])
    by_holm = holm_over_families([[e.pvalue if e.corrected is None else e.corrected.holm for e in arm] for arm in arms])
    by_bh = np.split(
        benjamini_hochberg([e.pvalue for arm in arms for e in arm]), np.cumsum([len(arm) for arm in arms])[:-1]
    )
    found: list[list[Evidence]] = []
    for a, arm in enumerate(arms):
        changed: list[Evidence] = []
        for i, evidence in enumerate(arm):
            before = evidence.corrected
            over = (
                f"{len(arms)} arms" if before is None else f"{len(arms)} arms x {counted(before.n_tests, before.unit)}"
            )
            corrected = Corrected(
                by="Holm" if before is None else before.by,
                pvalue=float(deciding[a][i]),
                opposite_pvalue=None if opposite is None else float(opposite[a][i]),
                smallest_pvalue=None if smallest is None else float(smallest[a][i]),
                max_t=float(deciding[a][i]) if before is not None and before.by == "max-T" else None,
                holm=float(by_holm[a][i]),
                benjamini_hochberg=float(by_bh[a][i]),
                n_tests=1 if before is None else before.n_tests,
                family=f"{over}, {hypothesis}",
                n_arms=len(arms),
                unit="layer" if before is None else before.unit,
            )
            changed.append(replace(evidence, corrected=corrected))
        found.append(changed)
    return found


def _over_families(arms: Sequence[Sequence[float | None]]) -> list[NDArray[np.float64]] | None:
    """Returns `holm_over_families` of these p-values; None if some are not known."""
    known = [[value for value in arm if value is not None] for arm in arms]
    complete = all(len(values) == len(arm) for values, arm in zip(known, arms, strict=True))
    return holm_over_families(known) if complete else None
