"""The questions of a study with their answers by task, in one table; each answer has its numbers, its verdict and the control it is read beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from scipy.stats import spearmanr
from studies.account.cells import MISSING, drift_cell, mean_of, table, target_at_equal_skill
from studies.account.facts import LOWEST_LAYER, StudyFacts
from studies.account.likeness_tables import likeness_answer
from studies.account.outcome_tables import RETRIEVAL, retrieval_losses

from repdrift.core.claim_parts import deciding_pvalue
from repdrift.core.records.claims import HypothesisTest, Reduction
from repdrift.core.records.equal_skill import EqualSkill
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import chosen_percent, counted, listed, markdown_text, p_equals, percent, pvalue, task_title

_BELOW_SEEDS = "†"
"""Marks a difference that two seeds of one arm exceed."""
_SAID = {"supported": "yes", "rejected": "no", "undecided": "undecided"}


def short_answers(study: StudyFacts, parts: Mapping[str, StudyFacts], rates: StudyFacts | None) -> str:
    """Returns the table. A task has a column, all tasks together one where there are claims on them, and each question its control."""
    reference = study.title(study.study.reference_method)
    target = chosen_percent(study.study.target_reduction)
    rows: list[tuple[str, Callable[[StudyFacts, str], str], str]] = [
        (f"How far does {reference} move the layers?", _moved, "a random change of the weights of the same size, and two seeds"),
        (
            "Which arms drift less at the same score, at the rates that their trials chose?",
            lambda facts, task: _verdicts(facts, task, _at_equal_skill),
            f"{reference} at that score, seeds exchanged between the arms",
        ),
        (
            f"At least {target} less, at the end of training?",
            lambda facts, task: _verdicts(facts, task, _target_at_the_end),
            f"{chosen_percent(1 - study.study.target_reduction)} of the drift of {reference}",
        ),
        (
            f"At least {target} less, at the same score?",
            _target_at_equal_skill,
            f"{chosen_percent(1 - study.study.target_reduction)} of the drift of {reference} at that score, by the interval over models",
        ),
        ("In which layers do they drift less, at the end of training?", _layers, f"{reference}, corrected over layers and arms"),
        ("Which arms drift more in the lowest layer?", _lowest_layer, f"{reference}, every seed"),
        ("Do intruder dimensions appear under LoRA only?", _intruders, f"the share under {reference}"),
        (
            "Where do samples move in like directions: in two models of one arm, or in two of one seed?",
            likeness_answer,
            "pairs that have neither in common",
        ),
        (
            "Whose retrieval score falls less?",
            _lost,
            f"{reference} at its chosen rate, on the same questions; intervals not corrected for the number of arms",
        ),
        ("Does more drift go with a larger fall of it?", lambda facts, task: _told(facts, task, rates), "seeds of one arm among each other; then rates"),
        ("How much is the learning rate alone?", lambda _, task: _rates(rates, task), "the same arm, rows, steps and seeds"),
    ]  # fmt: skip
    tasks = [*parts, *([ALL_TASKS] if study.over_all() else [])]
    heads = [task_title(task) if task != ALL_TASKS else "all tasks" for task in tasks]
    lines = [
        [f"{question} *Compared with {control}.*", *(answer(parts.get(task, study), task) or MISSING for task in tasks)]
        for question, answer, control in rows
    ]
    return table(["question", *heads], [line for line in lines if set(line[1:]) != {MISSING}])


def _names(facts: StudyFacts, arms: Sequence[str]) -> str:
    return listed([markdown_text(facts.title(arm)) for arm in arms])


def _moved(facts: StudyFacts, task: str) -> str:
    reference = facts.study.reference_method
    models = facts.models(task, reference) if task != ALL_TASKS else None
    if models is None or not models.seeds:
        return ""
    layers, by_layer = facts.data.layers, models.by_layer
    seeds, random = (mean_of(facts.control(name, task, reference)) for name in ("seed_ceiling", "random_change"))
    beside = "" if random is None else f"; a random change {drift_cell(random)}"
    beside += "" if seeds is None else f"; from one seed's model to another's {drift_cell(seeds)}"
    return (
        f"mean drift {drift_cell(models.drift, models.spread)}, from {drift_cell(by_layer[0])} in layer {layers[0]} to "
        f"{drift_cell(by_layer[-1])} in layer {layers[-1]}{beside}"
    )


_Claim = tuple[HypothesisTest | None, Reduction | EqualSkill | None]
"""A test, and what its effect is told by."""


def _at_equal_skill(facts: StudyFacts, task: str, arm: str) -> _Claim:
    found = facts.equal_skill(task, arm)
    return (None, None) if found is None else (found.test, found)


def _target_at_the_end(facts: StudyFacts, task: str, arm: str) -> _Claim:
    return facts.target(task, arm), facts.reduction(task, arm)


def _verdicts(facts: StudyFacts, task: str, claim: Callable[[StudyFacts, str, str], _Claim]) -> str:
    """Arms by the verdict of a claim, each with its reduction, and the largest p-value of those that are shown."""
    sides: dict[str, list[str]] = {}
    shown: list[float] = []
    for arm in facts.compared:
        test, effect = claim(facts, task, arm)
        if test is None:
            continue
        reduction = None if effect is None else effect.reduction
        sides.setdefault(_SAID.get(test.verdict, test.verdict), []).append(
            markdown_text(facts.title(arm))
            + ("" if reduction is None else f" {percent(reduction)}")
            + (_BELOW_SEEDS if test.verdict == "supported" and _is_below_seeds(facts, task, arm) else "")
            + facts.only_on(task, arm)
        )
        if test.verdict == "supported" and (p := deciding_pvalue(test)) is not None:
            shown.append(p)
    bound = f" (largest p {pvalue(max(shown))})" if shown else ""
    order = [said for said in ("yes", "no", "undecided", *sides) if said in sides]
    return "; ".join(f"{said}{bound if said == 'yes' else ''}: {listed(sides[said])}" for said in dict.fromkeys(order))


def _is_below_seeds(facts: StudyFacts, task: str, arm: str) -> bool:
    found = facts.beside_seeds(task, arm) if task != ALL_TASKS else None
    return found is not None and found[0] <= found[1]


def _target_at_equal_skill(facts: StudyFacts, task: str) -> str:
    sides: dict[str, list[str]] = {}
    for arm in facts.compared:
        said = target_at_equal_skill(facts.equal_skill(task, arm), facts.study.target_reduction)
        if said != MISSING:
            named = markdown_text(facts.title(arm)) + facts.only_on(task, arm)
            sides.setdefault(_SAID[said.partition(":")[0]], []).append(named)
    return "; ".join(f"{said}: {listed(sides[said])}" for said in _SAID.values() if said in sides)


def _layers(facts: StudyFacts, task: str) -> str:
    """Of the claims by layer, which are over all tasks of an analysis: the layers in which they are supported, frozen ones apart."""
    if task != ALL_TASKS and facts.study.tasks != [task]:
        return ""
    said: list[str] = []
    for arm in facts.compared:
        frozen = [n for n in facts.data.layers if all(facts.is_frozen(t, arm, n) for t in facts.tasks_of(arm))]
        shown = [
            str(n)
            for n in facts.data.layers
            if n not in frozen and (test := facts.less(ALL_TASKS, arm, n)) is not None and test.verdict == "supported"
        ]
        if shown:
            said.append(f"{markdown_text(facts.title(arm))} in {listed(shown)}" + facts.only_on(task, arm))
    return "; ".join(said)


def _lowest_layer(facts: StudyFacts, task: str) -> str:
    sides: dict[str, list[str]] = {side: [] for side in LOWEST_LAYER}
    for arm in facts.compared if task != ALL_TASKS else []:
        if (side := facts.side_of_lowest_layer(task, arm)) is not None:
            sides[side].append(arm)
    return "; ".join(f"{side}: {_names(facts, arms)}" for side, arms in sides.items() if arms)


def _intruders(facts: StudyFacts, task: str) -> str:
    moved = facts.data.results.moved
    weights = moved.weights if moved else None
    if weights is None:
        return ""
    shares = [
        f"{markdown_text(facts.title(of.method))} {percent(of.intruder_share)}"
        for of in weights.over_seeds
        if (of.task, of.part) == (task, "all") and of.intruder_share is not None
    ]
    ps = [
        p
        for c in weights.contrasts
        if c.quantity == "intruder_share"
        and c.reference == facts.study.reference_method
        and (p := c.p if c.p_adjusted is None else c.p_adjusted) is not None
    ]
    if not shares:
        return ""
    return listed(shares) + (
        f"; smallest p against {facts.title(facts.study.reference_method)} {pvalue(min(ps))}" if ps else ""
    )


def _lost(facts: StudyFacts, task: str) -> str:
    reference, losses = facts.study.reference_method, retrieval_losses(facts, task)
    outcomes = facts.data.results.outcomes
    sides: dict[str, list[str]] = {"less": [], "more": [], "the difference may be chance": []}
    for d in outcomes.differences if outcomes else []:
        if (d.task, d.reference, d.outcome) == (task, reference, RETRIEVAL) and d.method in losses:
            side = "less" if (d.low or 0) > 0 else "more" if (d.high or 0) < 0 else "the difference may be chance"
            sides[side].append(f"{markdown_text(facts.title(d.method))} {losses[d.method]:.2f}")
    if reference not in losses:
        return ""
    said = "; ".join(f"{side}: {listed(arms)}" for side, arms in sides.items() if arms)
    return f"{markdown_text(facts.title(reference))} falls by {losses[reference]:.2f}; {said}"


def _told(facts: StudyFacts, task: str, rates: StudyFacts | None) -> str:
    found = next((p for p in facts.data.results.drift_predictors if p.outcome == RETRIEVAL), None)
    known = [c for c in found.correlations if c.correlation is not None and c.pvalue_max_t is not None] if found else []
    order = order_of_means(rates, task) if rates is not None and task in rates.begun else None
    at_rates = f"among arms at other rates the means have rank correlation {order:.2f}" if order is not None else ""
    if not known or (task != ALL_TASKS and len(facts.begun) > 1):
        return at_rates  # an analysis of several tasks tells it for all of them together
    best = min(known, key=lambda c: c.pvalue_max_t or 0.0)
    p = best.pvalue_max_t or 0.0
    said = "yes" if p <= facts.study.alpha else "undecided"
    within = (
        f"{said}: of {len(known)} measures the strongest has rank correlation {best.correlation:.2f}, {p_equals(p)}"
    )
    return f"among seeds {within}; {at_rates}" if at_rates else within


def order_of_means(rates: StudyFacts, task: str) -> float | None:
    """The rank correlation of mean drift with the fall of retrieval over the arms of a study; None for fewer than three arms."""
    losses = retrieval_losses(rates, task)
    pairs = [(drift, losses[arm]) for arm in losses if (drift := rates.models(task, arm).drift) is not None]
    drifts, falls = [drift for drift, _ in pairs], [fall for _, fall in pairs]
    return float(spearmanr(drifts, falls)[0]) if len(pairs) > 2 else None


def _rates(rates: StudyFacts | None, task: str) -> str:
    if rates is None or task not in rates.begun:
        return ""
    kinds: dict[str, list[str]] = {}
    for arm in rates.study.methods:
        kinds.setdefault(rates.study.method_words.get(arm, arm), []).append(arm)
    losses = retrieval_losses(rates, task)
    said: list[str] = []
    for words, arms in kinds.items():
        drifts = [drift_cell(rates.models(task, arm).drift) for arm in arms]
        falls = (
            f"; retrieval falls by {listed([f'{losses[arm]:.2f}' for arm in arms])}"
            if all(a in losses for a in arms)
            else ""
        )
        said.append(f"{markdown_text(words)}, from the lowest rate to the highest: drift {listed(drifts)}{falls}")
    return ". ".join(said) + f" ({counted(len(rates.study.seeds), 'model')} each, no test)"
