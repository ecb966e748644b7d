"""The answers of an account in a few plain sentences, for a reader who reads nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from studies.account.cells import drift_cell, mean_of
from studies.account.facts import StudyFacts, measured_together
from studies.account.outcome_tables import RETRIEVAL
from studies.account.rates_tables import kinds_of, other_rate
from studies.account.weight_tables import intruders_answer

from repdrift.core.claim_parts import deciding_pvalue
from repdrift.core.hypotheses import ALIKE
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import (  # fmt: skip
    chosen_percent,
    counted,
    listed,
    markdown_text,
    p_equals,
    percent,
    percent_range,
    reduction_in_words,
    sentence_case,
    task_title,
)


def brief(study: StudyFacts, parts: Mapping[str, StudyFacts], rates: StudyFacts | None) -> list[str]:
    """Returns the sentences; none where there are no claims over several tasks.

    Each rests on numbers that stand with their controls in the tables: drift, less drift at the same score, the target, layers and tasks, forgetting, intruder dimensions, rates.
    """
    if not study.over_all():
        return []
    found = [_moved(study, parts), _less(study, parts, rates), _target(study), _places(study), *_where_measured(_forgotten, study, parts), *_where_measured(_intruders, study, parts), _rates(rates)]  # fmt: skip
    return [sentence for sentence in found if sentence]


def _where_measured(
    answer: Callable[[StudyFacts], str], study: StudyFacts, parts: Mapping[str, StudyFacts]
) -> list[str]:
    """The answer over all tasks; or, where it needs representations, one for each analysis that has them, under the names of its tasks."""
    if whole := answer(study):
        return [whole]
    return [f"{words}: {said}" for words, facts in measured_together(parts).items() if (said := answer(facts))]


def _arms(study: StudyFacts, arms: Sequence[str]) -> str:
    return listed([study.name(ALL_TASKS, arm) + study.only_on(ALL_TASKS, arm) for arm in arms])


def _reference(study: StudyFacts) -> str:
    return markdown_text(study.title(study.study.reference_method))


def _moved(study: StudyFacts, parts: Mapping[str, StudyFacts]) -> str:
    reference, layers = study.study.reference_method, study.data.layers
    said: list[str] = []
    random: list[float] = []
    for task, facts in parts.items():
        models = facts.models(task, reference)
        change = mean_of(facts.control("random_change", task, reference))
        if not models.seeds or models.drift is None:
            continue
        said.append(
            f"{drift_cell(models.drift)} on {task_title(task)} ({drift_cell(models.by_layer[0])} in layer {layers[0]}, {drift_cell(models.by_layer[-1])} in layer {layers[-1]})"
        )
        random += [] if change is None else [change]
    beside = f"; a random change of the weights as large gives at most {drift_cell(max(random))}" if random else ""
    return (
        f"{sentence_case(_reference(study))} moves the layers by a mean drift of {listed(said)}{beside}."
        if said
        else ""
    )


def _less(study: StudyFacts, parts: Mapping[str, StudyFacts], rates: StudyFacts | None) -> str:
    found = {arm: study.equal_skill(ALL_TASKS, arm) for arm in study.compared}
    tested = {arm: each for arm, each in found.items() if each is not None and each.test is not None and each.reduction is not None}  # fmt: skip
    shown = [arm for arm, each in tested.items() if each.test is not None and each.test.verdict == "supported"]
    whole = [arm for arm in shown if not study.frozen_layers(ALL_TASKS, arm)]
    said: list[str] = []
    if whole:
        reductions = [tested[arm].reduction or 0.0 for arm in whole]
        ps = [p for arm in whole if (test := tested[arm].test) is not None and (p := deciding_pvalue(test)) is not None]
        bound = f" (largest {p_equals(max(ps))})" if ps else ""
        alike = [arm for arm in whole if (test := study.test(ALIKE, ALL_TASKS, arm)) is not None and test.verdict == "supported"]  # fmt: skip
        said.append(f"At the same score {_arms(study, whole)} drift {percent_range(min(reductions), max(reductions))} less than {_reference(study)}{bound}")  # fmt: skip
        if alike == whole and study.study.equivalence_margin is not None:
            said.append(f"that is little: they are shown to drift alike within a factor of {study.study.equivalence_margin:g}")  # fmt: skip
        other = next((o for task in study.begun if (o := other_rate(parts.get(task, study), rates, task)) is not None), None)  # fmt: skip
        if other is not None:
            said.append(f"another rate that is as good within chance changes the drift of {_reference(study)} itself by {percent(abs(other.reduction))}")  # fmt: skip
    for arm in (arm for arm in shown if arm not in whole):
        frozen = f"{len(study.frozen_layers(ALL_TASKS, arm))} of {counted(len(study.data.layers), 'layer')}"
        said.append(f"{_arms(study, [arm])} drifts {reduction_in_words(tested[arm].reduction or 0.0)}, and {frozen} of it cannot move")  # fmt: skip
    rest = [arm for arm in tested if arm not in shown]
    if rest:
        said.append(f"whether {_arms(study, rest)} drifts less is not shown")
    return sentence_case(f"{'; '.join(said)}.") if said else ""


def _target(study: StudyFacts) -> str:
    target = chosen_percent(study.study.target_reduction)
    by_verdict: dict[str, list[str]] = {}
    for arm in study.compared:
        if (test := study.target(ALL_TASKS, arm)) is not None:
            by_verdict.setdefault(test.verdict, []).append(arm)
    title = study.study.measure_titles.get(study.study.primary_measure, study.study.primary_measure)
    words = {"supported": "reached by", "rejected": "contradicted for", "undecided": "undecided for"}
    said = [f"{words[v]} {_arms(study, by_verdict[v])}" for v in words if v in by_verdict]
    if not said:
        return ""
    reaching = {
        study.study.measure_titles.get(r.measure, r.measure)
        for r in study.data.results.other_measures
        if (r.task, r.layer) == (ALL_TASKS, None) and (r.comparison or "") in by_verdict.get("rejected", []) and (r.reduction or 0.0) >= study.study.target_reduction
    }  # fmt: skip
    more = f"; by {listed(sorted(reaching))}, which were not tested, some of these reach it" if reaching else ""
    return f"At least {target} less drift at the end of training, by {title}, is {listed(said)}{more}."


def _places(study: StudyFacts) -> str:
    layer = study.data.layers[0]
    more = [arm for arm in study.compared if (test := study.less(ALL_TASKS, arm, layer)) is not None and test.verdict == "rejected"]  # fmt: skip
    differ = [arm for arm in study.compared if (t := study.test("method_task_interaction", ALL_TASKS, arm)) is not None and t.verdict == "supported"]  # fmt: skip
    lowest = f"in the lowest layer {_arms(study, more)} drifts more than {_reference(study)}" if more else f"in the lowest layer no arm is shown to drift more than {_reference(study)}"  # fmt: skip
    tasks = f"reductions differ between the tasks for {_arms(study, differ)}" if differ else "no reduction is shown to differ between the tasks"  # fmt: skip
    return f"{sentence_case(lowest)}; {tasks}."


def _forgotten(study: StudyFacts) -> str:
    found = next((p for p in study.data.results.drift_predictors if p.outcome == RETRIEVAL), None)
    known = [
        c for c in (found.correlations if found else []) if c.correlation is not None and c.pvalue_max_t is not None
    ]
    if not known:
        return ""
    best = min(known, key=lambda c: c.pvalue_max_t or 0.0)
    p = best.pvalue_max_t or 0.0
    shown = "is shown" if p <= study.study.alpha else "is not shown"
    return f"That models which drift more have forgotten more (retrieval) {shown} among seeds of one arm: the strongest of {len(known)} measures has rank correlation {best.correlation:.2f} ({p_equals(p)})."


def _intruders(study: StudyFacts) -> str:
    said = intruders_answer(study, ALL_TASKS)
    return f"Intruder dimensions, beside those of {_reference(study)}: {said}." if said else ""


def _rates(rates: StudyFacts | None) -> str:
    if rates is None:
        return ""
    task, said = rates.study.tasks[0], []
    for words, arms in kinds_of(rates).items():
        drifts = [drift for arm in arms if (drift := rates.models(task, arm).drift) is not None]
        if len(drifts) == len(arms) > 1:
            said.append(f"of {markdown_text(words)} from {drift_cell(min(drifts))} to {drift_cell(max(drifts))}")
    return f"The learning rate alone changes the mean drift on {task_title(task)}: {'; '.join(said)}." if said else ""
