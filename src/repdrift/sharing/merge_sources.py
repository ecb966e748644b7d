"""The studies that are to be merged, each with what the merge must know of it, wherever that lies."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repdrift.core.errors import ConfigError, RepdriftError
from repdrift.core.reading import stands_there
from repdrift.core.records.export import ANALYSIS_PART, FINGERPRINTS_FILE, SetFingerprint, StudyFingerprints
from repdrift.core.records.representation_set import BASE_METHOD, RANDOM_CHANGE_METHOD
from repdrift.core.records.results import RESULTS_FILE, DriftResults
from repdrift.core.records.trained_run import TrainedRun
from repdrift.sharing.archive_reading import is_archive, open_export
from repdrift.sharing.fingerprints import study_records
from repdrift.sharing.located_study import LocatedStudy, configuration_of, locate_study
from repdrift.study.config import StudyConfig

ModelId = tuple[str, str, int, int]
"""Task, method, seed and step of a trained model."""


@dataclass(frozen=True)
class MergeSource:
    """One study of a merge. label: A, B, ... tables: the folder of its results and tables.

    located: where its sets lie; None for an archive. no_sets: why the representations cannot be measured anew; None if all are at hand.
    renamed: its arms' names that change. All other fields have the new names already.
    """

    label: str
    where: str
    results: DriftResults
    tables: Path
    sets: Mapping[ModelId, SetFingerprint]
    bases: Mapping[str, SetFingerprint]
    config: StudyConfig | None
    located: LocatedStudy | None
    no_sets: str | None
    renamed: Mapping[str, str]

    @property
    def named(self) -> str:
        """The source in messages: `A (study.yaml)`."""
        return f"{self.label} ({self.where})"

    @property
    def trained(self) -> dict[tuple[str, str, int], TrainedRun]:
        """The training of the final models, as far as the results tell."""
        return {(run.task, run.method, run.seed): run for run in self.results.trained}

    @property
    def tasks(self) -> list[str]:
        """The tasks that were analysed, which may be fewer than those of the study file."""
        return self.results.study.tasks

    @property
    def finals(self) -> list[tuple[str, str, int]]:
        """Final models that were measured: task, method and seed."""
        return [(r.task, r.method, r.seed) for r in self.results.runs if r.status == "ok" and r.step == 0]


def read_sources(names: list[str], renames: Mapping[str, Mapping[str, str]], held: ExitStack) -> list[MergeSource]:
    """Reads the studies, labelled A, B, ... in their order. renames: by label, the old and new names of arms. held: keeps unpacked archives until it is closed.

    Raises ConfigError for fewer than two studies, or renames of what is not there, and as `locate_study` and `open_export` do.
    """
    if len(names) < 2:
        raise ConfigError(f"expected two studies or more to merge, got {len(names)}: repdrift merge A B --output DIR")
    labels = [_label(index) for index in range(len(names))]
    for label in renames:
        if label not in labels:
            raise ConfigError(
                f"--rename {label}:...: the studies are called {', '.join(labels)}, in the order of the command"
            )
    return [_source(label, name, renames.get(label, {}), held) for label, name in zip(labels, names, strict=True)]


def _label(index: int) -> str:
    return chr(ord("A") + index) if index < 26 else f"S{index + 1}"


def _source(label: str, where: str, renamed: Mapping[str, str], held: ExitStack) -> MergeSource:
    path = Path(where).expanduser()
    source = _archived(label, where, path, held) if is_archive(path) else _on_disk(label, where)
    for old, new in renamed.items():
        if old not in source.results.study.methods:
            raise ConfigError(
                f"--rename {label}:{old}={new}: {source.named} has no arm {old!r}; it has {', '.join(source.results.study.methods)}"
            )
        if new in source.results.study.methods:
            raise ConfigError(f"--rename {label}:{old}={new}: {source.named} has an arm {new!r} already")
    return _renamed(source, renamed) if renamed else source


def _archived(label: str, where: str, path: Path, held: ExitStack) -> MergeSource:
    archive = held.enter_context(open_export(path))
    results = DriftResults.parse(archive.read(f"{ANALYSIS_PART}/{RESULTS_FILE}"), f"{where}: {RESULTS_FILE}")
    prints = StudyFingerprints.parse(archive.read(FINGERPRINTS_FILE), f"{where}: {FINGERPRINTS_FILE}")
    folder = Path(held.enter_context(_unpacked_folder()))
    archive.unpack(folder, below=f"{ANALYSIS_PART}/")
    return MergeSource(
        label, where, results, folder / ANALYSIS_PART, *_by_model(prints), configuration_of(results), None,
        "it is an exported study, which holds no representation sets", {},
    )  # fmt: skip


def _unpacked_folder() -> Any:
    import tempfile

    return tempfile.TemporaryDirectory(prefix="repdrift-merge-")


def _on_disk(label: str, where: str) -> MergeSource:
    located = locate_study(where)
    exported = Path(where).expanduser() / FINGERPRINTS_FILE
    prints = StudyFingerprints.read(exported) if stands_there(exported) else study_records(located).fingerprints
    sets, bases = _by_model(prints)
    why: str | None = None
    finals = [(r.task, r.method, r.seed, r.step) for r in located.results.runs if r.status == "ok"]
    if stands_there(exported):
        why = "it is an unpacked export, which holds no representation sets"
    elif located.config is None:
        why = "its study file is not known; name that in place of the folder"
    elif lacking := [model for model in finals if model not in sets]:
        why = f"the representation set of {_words(lacking[0])} is not below {located.results_dir}"
    elif absent := [task for task in located.results.study.tasks if task not in bases]:
        why = f"the base model's set of task {absent[0]} is not in {located.config.base_dir}; a study file names the folder (base_dir)"
    return MergeSource(
        label, where, located.results, located.analysis_dir, sets, bases, located.config, located, why, {}
    )


def _by_model(prints: StudyFingerprints) -> tuple[dict[ModelId, SetFingerprint], dict[str, SetFingerprint]]:
    bases: dict[str, SetFingerprint] = {}
    for of in prints.sets:
        if of.method == BASE_METHOD:
            bases.setdefault(of.task, of)  # the second one is that of the identity control
    sets = {
        (of.task, of.method, of.seed, of.step): of
        for of in prints.sets
        if of.method not in (BASE_METHOD, RANDOM_CHANGE_METHOD) and of.seed is not None
    }
    return sets, bases


def _renamed(source: MergeSource, names: Mapping[str, str]) -> MergeSource:
    """The source with other names for some of its arms."""

    def new(name: str) -> str:
        return names.get(name, name)

    study = source.results.study
    info = study.model_copy(
        update={
            "methods": [new(name) for name in study.methods],
            "reference_method": new(study.reference_method),
            "comparison_method": new(study.comparison_method),
            "comparison_methods": [new(name) for name in study.comparison_methods],
            "method_words": {new(name): words for name, words in study.method_words.items()},
        }
    )
    results = source.results.model_copy(
        update={
            "study": info,
            "runs": [run.model_copy(update={"method": new(run.method)}) for run in source.results.runs],
            "trained": [run.model_copy(update={"method": new(run.method)}) for run in source.results.trained],
        }
    )
    sets = {
        (task, new(method), seed, step): of.model_copy(update={"method": new(method)})
        for (task, method, seed, step), of in source.sets.items()
    }
    config = None if source.config is None else config_with_names(source.config, names, source.named)
    return MergeSource(
        source.label, source.where, results, source.tables, sets, source.bases, config, source.located, source.no_sets, dict(names)
    )  # fmt: skip


def config_with_names(config: StudyConfig, names: Mapping[str, str], where: str) -> StudyConfig:
    """Returns a study with other names for some of its arms. Raises ConfigError if an arm cannot have its name."""
    content = config.model_dump(mode="json", exclude_unset=True)
    entries = content.get("methods", list(config.method_names))
    content["methods"] = [_renamed_entry(entry, names) for entry in entries]
    content["reference"] = names.get(config.reference, config.reference)
    for section, key in (("training", "methods"), ("tune", "learning_rates")):
        if (part := content.get(section)) and part.get(key):
            part[key] = {names.get(name, name): value for name, value in part[key].items()}
    for own in (content.get("tune") or {}).get("tasks", {}).values():
        if rates_by_arm := own.get("learning_rates"):
            own["learning_rates"] = {names.get(name, name): rates for name, rates in rates_by_arm.items()}
    if content.get("tune", ...) is None:
        del content["tune"]
    try:
        return StudyConfig.model_validate(content)
    except (ValueError, RepdriftError) as error:
        raise ConfigError(f"{where}: its arms cannot be renamed so: {error}") from error


def _renamed_entry(entry: Any, names: Mapping[str, str]) -> Any:
    if isinstance(entry, str):
        return {"name": names[entry], "kind": entry} if entry in names else entry
    return {**entry, "name": names.get(entry["name"], entry["name"])}


def _words(model: ModelId) -> str:
    task, method, seed, step = model
    return f"{task}, {method}, seed {seed}" + (f", step {step}" if step else "")
