"""Tables of an account on the weights: new directions in the changed matrices, and how large the changes are."""

from __future__ import annotations

from collections.abc import Sequence

from studies.account.cells import MISSING, table
from studies.account.facts import StudyFacts

from repdrift.core.records.results import ALL_TASKS
from repdrift.core.records.weights import WeightContrast, WeightsOverSeeds
from repdrift.core.words import listed, markdown_text, number, percent, pvalue, signed_digits, task_title

SHARE = "intruder_share"


def intruders_table(facts: StudyFacts, task: str) -> str:
    """Share of intruder dimensions among the leading singular vectors of the changed matrices, and the size and rank of the change."""
    found = _weights(facts)
    if found is None:
        return "The weights of these models were not described."
    rows = [
        [
            facts.name(task, of.method),
            _with_spread(of.intruder_share, of.intruder_share_sd),
            _where(found.over_seeds, of),
            number(of.relative_change, missing=MISSING),
            MISSING if of.rank_90 is None else f"{of.rank_90:.0f}",
            str(len(of.seeds)),
        ]
        for of in found.over_seeds
        if (of.task, of.part) == (task, "all")
    ]
    return table(["arm", "intruders", "where they are", "relative change", "rank for 90 %", "models"], rows)


def contrasts_table(facts: StudyFacts) -> str:
    """The difference of each arm's share of intruders from that of the reference, in the matrices that all models of both changed."""
    rows = [
        [
            facts.name(ALL_TASKS, c.method, c.tasks),
            f"{signed_digits(100 * c.estimate)} points" if c.estimate else "none",
            MISSING if c.low is None or c.high is None else f"{100 * c.low:.2f} to {100 * c.high:.2f}",
            pvalue(_p(c), missing=MISSING),
            listed([task_title(name) for name in c.tasks]),
            f"{c.models} and {c.reference_models}",
        ]
        for c in _contrasts(facts)
        if c.estimate is not None
    ]
    reference = markdown_text(facts.title(facts.study.reference_method))
    return table(["arm", f"more than {reference} by", "interval", "p", "tasks", "models of both"], rows)


def intruder_notes(facts: StudyFacts) -> list[str]:
    """What the analysis says of these numbers."""
    found = _weights(facts)
    return [] if found is None else [markdown_text(note) for note in found.notes]


def intruders_answer(facts: StudyFacts, task: str) -> str:
    """Of one task the shares of all arms; over all tasks which arms have more than the reference, and of which that is not shown."""
    if task != ALL_TASKS:
        found = _weights(facts)
        shares = [
            f"{facts.name(task, of.method)} {percent(of.intruder_share)}"
            for of in (found.over_seeds if found else [])
            if (of.task, of.part) == (task, "all") and of.intruder_share is not None
        ]
        return f"of all matrices that it changed: {listed(shares)}" if shares else ""
    more: list[str] = []
    same: list[str] = []
    for c in _contrasts(facts):
        p = _p(c)
        if c.estimate is None or p is None:
            continue
        arm = facts.name(ALL_TASKS, c.method, c.tasks)
        if p <= facts.study.alpha and c.estimate > 0:
            more.append(f"{arm} (by {100 * c.estimate:.2g} points, p {_sign(pvalue(p))})")
        else:
            same.append(f"{arm} (p {_sign(pvalue(p))})")
    if not (more or same):
        return ""
    said = {"more, in matrices that both changed": more, "not shown to have more": same}
    return "; ".join(f"{words}: {listed(arms)}" for words, arms in said.items() if arms)


def _sign(p: str) -> str:
    return p if p[0] in "<>" else f"= {p}"


def _weights(facts: StudyFacts):
    moved = facts.data.results.moved
    return moved.weights if moved else None


def _contrasts(facts: StudyFacts) -> list[WeightContrast]:
    found = _weights(facts)
    reference = facts.study.reference_method
    return [c for c in (found.contrasts if found else []) if (c.reference, c.quantity) == (reference, SHARE)]


def _p(found: WeightContrast) -> float | None:
    return found.p if found.p_adjusted is None else found.p_adjusted


def _where(all_of: Sequence[WeightsOverSeeds], of: WeightsOverSeeds) -> str:
    """The kinds of matrices in which an arm has intruders, with their shares."""
    kinds = [
        f"{markdown_text(each.group or '')} {percent(each.intruder_share)}"
        for each in all_of
        if (each.task, each.method, each.part) == (of.task, of.method, "kind") and each.intruder_share
    ]
    return listed(kinds) or "nowhere"


def _with_spread(share: float | None, spread: float | None) -> str:
    return percent(share, missing=MISSING) + (f" ± {percent(spread)}" if spread is not None else "")
