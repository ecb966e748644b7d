"""Tables of an account on which models changed alike: those of one arm, those of one seed, or neither."""

from __future__ import annotations

from statistics import fmean

from studies.account.cells import MISSING, table
from studies.account.facts import StudyFacts

from repdrift.core.likeness_matrices import common_layers, likeness_matrix
from repdrift.core.records.likeness import ChangeLikeness, LikenessOf
from repdrift.core.words import layers_named, p_equals, task_title
from repdrift.drift.likeness.measuring import contrasts_of, matrix_of

_KINDS: dict[LikenessOf, str] = {
    "weights": "cosine of the changes of the weights",
    "directions": "cosine of the directions of the samples",
}
ONE_ARM, ONE_SEED, NEITHER = (True, False), (False, True), (False, False)
"""Whether two models have one arm, and whether they have one seed."""


def likeness_table(facts: StudyFacts, task: str) -> str:
    """The mean likeness of pairs of models of one task, by what the two have in common, each with its p against pairs that have neither."""
    found = likeness_of(facts)
    if found is None:
        return "This was not measured."
    rows: list[list[str]] = []
    for of, title in _KINDS.items():
        means, tests = means_by_pairs(found, of, task), _pvalues(found, of, task)
        over = f", mean over {layers_named(common_layers(found.directions))}" if of == "directions" else ""
        cells = [_cell(means.get(pairs), tests.get(pairs)) for pairs in (ONE_ARM, ONE_SEED, NEITHER)]
        rows.append([f"{title}{over}", *cells])
    return table(["of two models", "one arm, other seeds", "one seed, other arms", "neither in common"], rows)


def likeness_answer(facts: StudyFacts, task: str) -> str:
    """The mean likeness of directions in one sentence; empty where there is none."""
    found = likeness_of(facts)
    means = {} if found is None else means_by_pairs(found, "directions", task)
    if not {ONE_ARM, ONE_SEED, NEITHER} <= means.keys():
        return ""
    nearer = "of one seed" if means[ONE_SEED] > means[ONE_ARM] else "of one arm"
    over = layers_named(common_layers(found.directions)) if found is not None else ""
    return (
        f"the mean is larger for two {nearer} (not tested): cosine {means[ONE_SEED]:.2f} between arms of one seed, {means[ONE_ARM]:.2f} between seeds of one arm, "
        f"{means[NEITHER]:.2f} between others, in {over}"
    )


def likeness_of(facts: StudyFacts) -> ChangeLikeness | None:
    """The likenesses in the results; None if they were not measured."""
    moved = facts.data.results.moved
    return None if moved is None or moved.likeness is None or not moved.likeness.pairs else moved.likeness


def means_by_pairs(found: ChangeLikeness, of: LikenessOf, task: str) -> dict[tuple[bool, bool], float]:
    """The mean likeness over the pairs of models of one task, by what they have in common."""
    values: dict[tuple[bool, bool], list[float]] = {}
    for (i, j), value in likeness_matrix(found, of).values.items():
        one, other = found.models[i], found.models[j]
        if value is not None and one.task == other.task == task:
            values.setdefault((one.method == other.method, one.seed == other.seed), []).append(value)
    return {pairs: fmean(of_pairs) for pairs, of_pairs in values.items()}


def _pvalues(found: ChangeLikeness, of: LikenessOf, task: str) -> dict[tuple[bool, bool], float | None]:
    """The p of the test whether models of one arm, or of one seed, are more alike than those that have neither in common."""
    values = matrix_of(likeness_matrix(found, of).values, len(found.models))
    tested = {c.label: c.pvalue for c in contrasts_of(of, values, found.models) if c.within == task_title(task)}
    return {ONE_ARM: tested.get("method"), ONE_SEED: tested.get("seed")}


def _cell(value: float | None, pvalue: float | None) -> str:
    if value is None:
        return MISSING
    return f"{value:.2f}" if pvalue is None else f"{value:.2f} ({p_equals(pvalue)})"
