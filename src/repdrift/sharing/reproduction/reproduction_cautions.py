"""Sentences that change how the numbers of a reproduction are read."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.records.reproduction import ReproducedModel
from repdrift.core.words import listed, method_title, task_title
from repdrift.sharing.reproduction.published import PublishedStudy


def reproduction_cautions(study: PublishedStudy, models: Sequence[ReproducedModel]) -> list[str]:
    """Returns them: models that were found and not trained, other libraries, another processor or one that is not known, models that could not be drawn."""
    found = [
        *(f"{_name(model)}: {model.reason}" for model in models if model.reason),
        *learnt_only_once(models),
        *_not_trained_now(models),
        *_other_versions(models),
        *_other_processors(models),
    ]
    finals = [run for run in study.results.runs if run.step == 0 and run.status == "ok"]
    if len(finals) > len(study.models):
        found.append(
            f"{len(finals) - len(study.models)} of {len(finals)} models could not be drawn: the results do not tell how they were trained, they were trained with other settings than "
            "the study says, or their drift is not known in every layer."
        )
    return found


def learnt_only_once(models: Sequence[ReproducedModel]) -> list[str]:
    """Names the models of which the published one has learnt its task and the other has not, or the other way round."""
    return [f"{_name(model)}: {model.learnt_otherwise}" for model in models if model.learnt_otherwise]


def _name(model: ReproducedModel) -> str:
    return f"{task_title(model.task)}, {method_title(model.method)}, seed {model.seed}"


def _not_trained_now(models: Sequence[ReproducedModel]) -> list[str]:
    there = [_name(model) for model in models if not model.trained_now]
    if not there:
        return []
    return [
        f"Not trained by this command, but found in its folder, where an earlier start of it leaves models: {'; '.join(there)}. In a folder that somebody else filled that shows nothing."
    ]


def _other_versions(models: Sequence[ReproducedModel]) -> list[str]:
    pairs: dict[str, set[tuple[str, str]]] = {}
    for model in models:
        for name in {**model.versions_published, **model.versions_again} if model.versions_again else ():
            both = (model.versions_again.get(name, "absent"), model.versions_published.get(name, "absent"))
            if both[0] != both[1]:
                pairs.setdefault(name, set()).add(both)
    others = [f"{name} {here} (published: {then})" for name, both in pairs.items() for here, then in sorted(both)]
    return (
        [f"Other versions than those that the published models were trained with: {listed(others)}."] if others else []
    )


def _other_processors(models: Sequence[ReproducedModel]) -> list[str]:
    measured = [model for model in models if model.drift_again]
    if all(model.processor_published == model.processor_again is not None for model in measured):
        return []
    known = sorted({model.processor_published or "not told by the results" for model in measured})
    here = sorted({model.processor_again or "not known" for model in measured})
    return [
        f"The processor is {listed(here)}; published: {listed(known)}. On another one sums are added up in another order, and training lets the differences grow."
    ]
