"""One task trained twice from the same configuration, on two machines: how far rounding alone moves what is found."""

from __future__ import annotations

import numpy as np
from studies.account.cells import (
    MISSING,
    drift_cell,
    end_cell,
    name_cell,
    skill_cell,
    table,
    target_at_equal_skill,
    verdict_cell,
)
from studies.account.facts import StudyFacts

from repdrift.core.words import listed, markdown_text


def replication_table(here: StudyFacts, there: StudyFacts, task: str) -> str:
    """Drift, reductions and verdicts of both; last, by how much one seed's two models differ in mean drift, and by how much two seeds do."""
    rows: list[list[str]] = []
    for arm in here.study.methods:
        models = [facts.models(task, arm) for facts in (here, there)]
        of_reference = arm == here.study.reference_method
        rows.append(
            [
                name_cell(here.title(arm)),
                " / ".join(drift_cell(found.drift) for found in models),
                " / ".join(_score(facts, task, arm) for facts in (here, there)),
                *(
                    ["reference"] * 4
                    if of_reference
                    else [
                        " / ".join(cell(facts) for facts in (here, there))
                        for cell in (
                            lambda facts, arm=arm: end_cell(facts.reduction(task, arm)),
                            lambda facts, arm=arm: verdict_cell(facts.less(task, arm)),
                            lambda facts, arm=arm: skill_cell(facts.equal_skill(task, arm)),
                            lambda facts, arm=arm: _skill_verdict(facts, task, arm),
                        )
                    ]
                ),
                _apart(here, there, task, arm),
            ]
        )
    head = [
        "arm",
        "mean drift",
        "score",
        "at the end: less drift by",
        "drifts less?",
        "at equal skill: less drift by",
        "drifts less?",
        "difference of mean drift: the same seed on two machines; two seeds on this one",
    ]
    return table(head, rows)


def versions_in_words(here: StudyFacts, there: StudyFacts) -> str:
    """Says whether the libraries were the same, and which were not; and the processors, where the results name them."""
    ours, theirs = here.data.results.versions, there.data.results.versions
    names = [*ours, *(name for name in theirs if name not in ours)]
    others = [f"{name} ({ours.get(name, 'none')} and {theirs.get(name, 'none')})" for name in names if ours.get(name) != theirs.get(name)]  # fmt: skip
    same = f"The versions are the same but for {listed(others)}." if others else "The versions are the same."
    processors = [{t.processor for t in facts.data.results.trained if t.processor} for facts in (here, there)]
    named = " and ".join(listed(sorted(found)) for found in processors) if all(processors) else ""
    return f"{same} Processors: {markdown_text(named)}." if named else f"{same} The results do not name the processors."


def other_verdicts(here: StudyFacts, there: StudyFacts, task: str) -> list[str]:
    """Claims of the tables above whose verdict is not the same in both, in words; empty if all agree."""
    found: list[str] = []
    for arm in here.compared:
        pairs = {
            "at the end of training": (here.less(task, arm), there.less(task, arm)),
            "at equal skill": tuple(
                None if (skill := facts.equal_skill(task, arm)) is None else skill.test for facts in (here, there)
            ),
            "by the target": (here.target(task, arm), there.target(task, arm)),
        }
        for words, (ours, theirs) in pairs.items():
            if ours is not None and theirs is not None and ours.verdict != theirs.verdict:
                found.append(f"{here.title(arm)}, {words}: {verdict_cell(ours)} here, {verdict_cell(theirs)} there")
        mine, its = (
            target_at_equal_skill(facts.equal_skill(task, arm), facts.study.target_reduction) for facts in (here, there)
        )
        if MISSING not in (mine, its) and mine != its:
            found.append(f"{here.title(arm)}, by the target at equal skill: {mine} here, {its} there")
    return found


def _score(facts: StudyFacts, task: str, arm: str) -> str:
    found = facts.score(task, arm)
    return MISSING if found is None else found.text


def _skill_verdict(facts: StudyFacts, task: str, arm: str) -> str:
    found = facts.equal_skill(task, arm)
    return verdict_cell(found.test if found else None)


def _apart(here: StudyFacts, there: StudyFacts, task: str, arm: str) -> str:
    """The mean distance of one seed's mean drifts, and that of two seeds of these models: both of two draws, so that they can be set side by side."""
    ours, theirs = (facts.data.drift(task, arm).mean(axis=1, skipna=False).dropna() for facts in (here, there))
    common = [seed for seed in ours.index if seed in theirs.index]
    if not common:
        return MISSING
    same = float(np.mean([abs(ours[seed] - theirs[seed]) for seed in common]))
    values = ours.to_numpy(dtype=float)
    pairs = [abs(a - b) for at, a in enumerate(values) for b in values[at + 1 :]]
    return f"{drift_cell(same)}; {drift_cell(float(np.mean(pairs))) if pairs else MISSING}"
