"""Checks that studies may become one; every fault is named, with what was expected, what was found, where, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repdrift.core.errors import SampleSetMismatchError
from repdrift.core.words import listed
from repdrift.sharing.merge_sources import MergeSource
from repdrift.study.config import StudyConfig
from repdrift.study.tune_section import TuneSection

_OF_STUDY: dict[str, str] = {
    "base_digest": "weights of the base model",
    "n_layers": "number of layers",
    "pooling": "pooling",
    "pool_over": "tokens that the pooling takes",
    "compute_dtype": "floating-point type in which models ran",
    "measures": "measures",
    "primary_measure": "primary measure",
    "reference_method": "reference arm",
    "target_reduction": "target reduction",
    "equivalence_margin": "equivalence margin",
    "alpha": "level alpha",
    "confidence": "confidence of intervals",
    "replicates": "bootstrap replicates",
}
"""Fields of `StudyInfo` that must agree, in words."""
_ONE_BASE = "Only studies of one base model can be one."
_EXTRACT = "Extract one of them again with the other's settings."
_STEPS = {
    "base_digest": _ONE_BASE,
    "n_layers": _ONE_BASE,
    "pooling": _EXTRACT,
    "pool_over": _EXTRACT,
    "compute_dtype": _EXTRACT,
}
"""What to do where they differ; else the analysis is made again."""
_SHOWN_ALONE = frozenset({"sample_texts"})
"""Options of an analysis that change no number."""
_MEASURED = frozenset({"max_length_used", "steps", "null_threshold"})
"""Entries of a run's hyperparameters that training found."""
_MOST = 12


@dataclass(frozen=True)
class _Part:
    """A part of a configuration that must agree. of: its entries that change numbers. step: what to do where they differ."""

    name: str
    of: Callable[[StudyConfig], Mapping[str, Any]]
    step: str


_ONE_WAY = "Arms whose rates were chosen in different ways are not set side by side."


def _way_of_tuning(config: StudyConfig, tune: TuneSection) -> dict[str, Any]:
    """Returns how rates were chosen, for all arms and tasks alike. Which rates and how many were tried is compared by task and arm: studies may have different ones."""
    content = tune.model_dump(mode="json", exclude={"learning_rates", "trials", "tasks"})
    return {**content, "seed": tune.trial_seed(config.seeds)}


_ANEW = "Evaluate and analyse one of them again with the other's settings."
_PARTS = (
    _Part("extraction", lambda c: c.extraction.for_key(), "Extract one of them again with the other's settings."),
    _Part(
        "analysis",
        lambda c: c.analysis.model_dump(mode="json", exclude=set(_SHOWN_ALONE)),
        "Analyse one of them again with the other's settings.",
    ),
    _Part("outcomes", lambda c: c.chosen_outcomes(), _ANEW),
    _Part("general_text", lambda c: {} if c.general_text is None else c.general_text.model_dump(mode="json"), _ANEW),
    _Part(
        "tune",
        lambda c: {} if c.tune is None else _way_of_tuning(c, c.tune),
        _ONE_WAY,
    ),
)


def require_mergeable(sources: Sequence[MergeSource]) -> list[str]:
    """Checks that the studies may become one; returns cautions: sentences on differences that are allowed but change how numbers are read.

    Raises SampleSetMismatchError that lists every fault.
    """
    first, *others = sources
    faults: list[str] = []
    cautions: list[str] = []
    for other in others:
        faults += _settings(first, other) + _configurations(first, other) + _base_files(first, other)
    for index, one in enumerate(sources):
        for other in sources[index + 1 :]:
            faults += _samples(one, other) + _arms(one, other) + _training_rows(one, other) + _models(one, other)
    if faults:
        shown = faults[:_MOST] + ([f"and {len(faults) - _MOST} more"] if len(faults) > _MOST else [])
        lines = "\n".join(f"  - {fault}" for fault in shown)
        raise SampleSetMismatchError(f"these studies cannot be merged: {len(faults)} reason(s)\n{lines}")
    for other in others:
        cautions += _versions(first, other) + _same_bases(first, other)
    return cautions


def _differs(one: MergeSource, other: MergeSource, what: str, left: Any, right: Any, step: str) -> str:
    return f"{what}: expected as in {one.named}, {_short(left)}; got in {other.named} {_short(right)}. {step}"


def _settings(one: MergeSource, other: MergeSource) -> list[str]:
    a, b = _of_study(one), _of_study(other)
    return [
        _differs(one, other, words, a[name], b[name], _STEPS.get(name, "Analyse one of them again with the other's settings."))
        for name, words in _OF_STUDY.items()
        if a[name] != b[name]
    ] + _unknown_base(one, other, a["base_digest"], b["base_digest"])  # fmt: skip


def _unknown_base(one: MergeSource, other: MergeSource, left: Any, right: Any) -> list[str]:
    if left is not None or right is not None:
        return []
    return [
        f"weights of the base model: neither {one.named} nor {other.named} tells which they are, so that they may be of two models. Analyse both "
        "again beside their representation sets."
    ]


def _of_study(source: MergeSource) -> dict[str, Any]:
    """The settings of a study; what results of an older version do not tell is taken from the records of its sets."""
    found = {name: getattr(source.results.study, name) for name in _OF_STUDY}
    sets = list(source.sets.values())
    if found["base_digest"] is None:
        of_base = {of.weights_digest for of in source.bases.values()} | {of.base_weights_digest for of in sets}
        of_base |= {run.base_digest for run in source.results.trained}
        known = sorted({digest for digest in of_base if digest})
        found["base_digest"] = known[0] if len(known) == 1 else (known or None)
    if found["compute_dtype"] is None:
        dtypes = sorted({of.compute_dtype for of in sets})
        found["compute_dtype"] = dtypes[0] if len(dtypes) == 1 else (dtypes or None)
    return found


def _configurations(one: MergeSource, other: MergeSource) -> list[str]:
    """Differences of the configurations, where both are known, beyond what `_settings` names."""
    if one.config is None or other.config is None:
        return []
    a, b = one.config, other.config
    return [
        _differs(
            one, other, f"{part.name}.{name}", left.get(name, "not given"), right.get(name, "not given"), part.step
        )
        for part in _PARTS
        for left, right in ((part.of(a), part.of(b)),)
        for name in sorted(left.keys() | right.keys())
        if left.get(name) != right.get(name) and name not in _OF_STUDY
    ] + _rates_tried(one, a, other, b)


def _rates_tried(one: MergeSource, a: StudyConfig, other: MergeSource, b: StudyConfig) -> list[str]:
    """Other numbers of trials on a task that both studies have, and arms of one name for which other learning rates were tried there.

    On tasks that only one of them has, its arms are set beside each other and beside no other study's.
    """
    faults: list[str] = []
    for task in one.tasks:
        ours, theirs = a.tuning_on(task), b.tuning_on(task) if task in other.tasks else None
        if ours is None or theirs is None:
            continue
        if ours.n_trials != theirs.n_trials:
            faults.append(_differs(one, other, f"tune.trials on {task}", ours.n_trials, theirs.n_trials, _ONE_WAY))
        mine, its = _rates_of_arms(a, ours, task), _rates_of_arms(b, theirs, task)
        faults += [
            _differs(one, other, f"learning rates that arm {name!r} tried on {task}", mine[name], its[name], _ONE_WAY)
            for name in mine
            if name in its and mine[name] != its[name]
        ]
    return faults


def _rates_of_arms(config: StudyConfig, tune: TuneSection, task: str) -> dict[str, list[float]]:
    """The rates that each arm of a study tries on a task, or the ends of its range."""
    return {name: tune.rates(name, config.arm(task, name).tuning.usual_rates) for name in config.method_names}


def _base_files(one: MergeSource, other: MergeSource) -> list[str]:
    """Differences of the base model's configuration and tokenizer files, as far as both recorded them."""
    ours, theirs = _base_settings(one), _base_settings(other)
    return [
        _differs(one, other, f"{name} of the base model", ours[name][:16], theirs[name][:16], "Restore the file, and make one of the studies anew.")
        for name in sorted(ours.keys() & theirs.keys())
        if ours[name] != theirs[name]
    ]  # fmt: skip


def _base_settings(source: MergeSource) -> dict[str, str]:
    found: dict[str, str] = {}
    for of in [*source.bases.values(), *source.sets.values()]:
        found |= {name.removeprefix("base/"): d for name, d in of.settings.items() if name.startswith("base/")}
    return found


def _samples(one: MergeSource, other: MergeSource) -> list[str]:
    ours, theirs = _fingerprints(one), _fingerprints(other)
    faults = [
        _differs(
            one,
            other,
            f"sample set of task {task} (rows, tokenizer, max_length, number of samples)",
            sorted(ours[task]),
            sorted(theirs[task]),
            "Extract one of them again from the other's data.",
        )
        for task in sorted(ours.keys() & theirs.keys())
        if ours[task] != theirs[task]
    ]
    mine, its = ({of.dtype for of in source.sets.values()} for source in (one, other))
    if mine and its and mine != its:
        step = "Extract one of them again with the other's settings."
        faults.append(_differs(one, other, "number format of the sets", sorted(mine), sorted(its), step))
    return faults


def _fingerprints(source: MergeSource) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for run in source.results.runs:
        if run.status == "ok":
            found.setdefault(run.task, set()).add(run.sample_set_fingerprint or "not recorded")
    return found


def _arms(one: MergeSource, other: MergeSource) -> list[str]:
    """Arms of one name that were trained otherwise, and arms of two names that were trained alike."""
    faults: list[str] = []
    ours, theirs = _hyperparameters(one), _hyperparameters(other)
    for (task, method), here in ours.items():
        there = theirs.get((task, method))
        if there is not None and (apart := _apart(here, there)):
            named = "; ".join(
                f"{name} {_short(here.get(name))} in {one.label}, {_short(there.get(name))} in {other.label}"
                for name in apart
            )
            faults.append(
                f"arm {method!r} on task {task} means other settings in {one.named} than in {other.named}: {named}. Give one of them another name: "
                f"--rename {other.label}:{method}={method}_{other.label.lower()}"
            )  # fmt: skip
        for (of_task, name), settings in theirs.items():
            if of_task == task and name != method and (task, name) not in ours and not _apart(here, settings):
                faults.append(
                    f"arm {method!r} of {one.named} and arm {name!r} of {other.named} were trained alike on {task}: as two arms they would be compared with "
                    f"each other. Join them: --rename {other.label}:{name}={method}"
                )
    for source in (one, other):
        unknown = [model for model in source.finals if (model[0], model[1]) not in _hyperparameters(source)]
        shared = [model for model in unknown if model[1] in {m for _, m, _ in (other if source is one else one).finals}]
        if shared:
            task, method, seed = shared[0]
            faults.append(
                f"arm {method!r}: how {task}, {method}, seed {seed} was trained is not known in {source.named}; expected its run folder when it was analysed, or its "
                "study file. Name the study file, or analyse it again beside its runs."
            )
    return list(dict.fromkeys(faults))


def _hyperparameters(source: MergeSource) -> dict[tuple[str, str], dict[str, Any]]:
    """The settings of every arm on every task: those that its runs record, or those of the study file."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for (task, method, _), run in source.trained.items():
        settings = {k: v for k, v in run.hyperparameters.items() if k not in _MEASURED}
        if run.tuning is not None:
            settings |= {"kind of tuning": run.tuning.kind, "options of tuning": run.tuning.options}
        found.setdefault((task, method), settings)
    if source.config is not None:
        for task, method, _ in source.finals:
            if (task, method) not in found:
                found[task, method] = source.config.hyperparameters(task, method)
    return found


def _apart(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    kind = ("kind of tuning", "options of tuning")
    names = a.keys() | b.keys()
    if not all(name in a and name in b for name in kind):
        names = names - set(kind)  # one of them was read off a study file, which has no such entries
    return sorted(name for name in names if a.get(name) != b.get(name))


def _training_rows(one: MergeSource, other: MergeSource) -> list[str]:
    ours, theirs = _rows(one), _rows(other)
    return [
        _differs(
            one,
            other,
            f"training rows of task {task}",
            [digest[:16] for digest in sorted(ours[task, limit])],
            [digest[:16] for digest in sorted(theirs[task, limit])],
            "Models that were trained on other rows are not set side by side: train one of them again.",
        )
        for task, limit in sorted(ours.keys() & theirs.keys(), key=str)
        if ours[task, limit] != theirs[task, limit]
    ]


def _rows(source: MergeSource) -> dict[tuple[str, Any], set[str]]:
    found: dict[tuple[str, Any], set[str]] = {}
    for run in source.trained.values():
        found.setdefault((run.task, run.hyperparameters.get("max_train_samples")), set()).add(run.data_fingerprint)
    return found


def _models(one: MergeSource, other: MergeSource) -> list[str]:
    """Models of one task, arm and seed that are in both and not the same."""
    faults: list[str] = []
    ours, theirs = digests(one), digests(other)
    for model in one.finals:
        if model not in other.finals:
            continue
        task, method, seed = model
        left, right = ours.get(model), theirs.get(model)
        if left is None or right is None:
            faults.append(
                f"{task}, {method}, seed {seed} is in both {one.named} and {other.named}, and whether it is one model is not known, since its weights' "
                "digest is not recorded. Take it out of one of the studies."
            )
        elif left != right:
            faults.append(
                f"{task}, {method}, seed {seed} was trained twice, with other weights in {one.named} ({left[:16]}) than in {other.named} ({right[:16]}): one seed counts "
                f"once. Take seed {seed} out of one of the study files and analyse that again, or train other seeds."
            )
    return faults


def digests(source: MergeSource) -> dict[tuple[str, str, int], str]:
    """The digests of the weights of the final models, as far as they are known."""
    of_runs = {model: run.weights_digest for model, run in source.trained.items()}
    return of_runs | {(t, m, s): of.weights_digest for (t, m, s, step), of in source.sets.items() if step == 0}


def _versions(one: MergeSource, other: MergeSource) -> list[str]:
    a, b = one.results.versions, other.results.versions
    apart = [f"{name} ({a[name]} and {b[name]})" for name in sorted(a.keys() & b.keys()) if a[name] != b[name]]
    found = (
        [f"The parts {one.label} and {other.label} were analysed with other versions of {listed(apart)}."]
        if apart
        else []
    )
    devices = [sorted({run.device.split(":")[0] for run in source.results.trained}) for source in (one, other)]
    if all(devices) and devices[0] != devices[1]:
        found.append(
            f"The models of {one.label} were trained on {listed(devices[0])}, those of {other.label} on {listed(devices[1])}: differences between arms that stand in "
            "only one of them may come from that."
        )
    return found


def _same_bases(one: MergeSource, other: MergeSource) -> list[str]:
    """A caution for tasks whose base sets are of the same model and samples, and were made with other settings that the keys hold."""
    shared = sorted(one.bases.keys() & other.bases.keys())
    apart = [task for task in shared if one.bases[task].key != other.bases[task].key]
    if not apart:
        return []
    return [
        f"The base model's sets of {listed(apart)} have other keys in {one.label} than in {other.label}; all models are held against those of {one.label}."
    ]


def _short(value: Any) -> str:
    text = "not set" if value is None else str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
