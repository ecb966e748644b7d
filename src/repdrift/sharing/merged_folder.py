"""The folder of a merged study: records are copied, and large files are links to those of the studies that it was made from."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from repdrift.core.atomic import atomic_path, storage_errors, write_text
from repdrift.core.errors import StorageError
from repdrift.core.reading import files_below
from repdrift.core.records.merged import MERGE_FILE, MergedStudy
from repdrift.core.records.outcomes import RunOutcomes
from repdrift.core.records.representation_set import METADATA_FILE, RandomChange, SetMetadata
from repdrift.core.records.run import RUN_FILE, RunRecord
from repdrift.core.records.tuning import TRIALS_FOLDER, TuningRecord
from repdrift.outcomes.outcome_files import read_items, write_items
from repdrift.sharing.located_study import LocatedStudy
from repdrift.sharing.merge_checks import digests
from repdrift.sharing.merge_sources import MergeSource
from repdrift.study.config import StudyConfig
from repdrift.study.configuration_text import configuration_text
from repdrift.study.runs import (
    RANDOM_CHANGE_FOLDER,
    RunId,
    base_folder,
    first_tokens_folder,
    identity_folder,
    outcomes_folder,
    set_folder,
    weights_folder,
)
from repdrift.study.tuned_rates import tuning_folder
from repdrift.training import finished_runs

CONFIGURATION = "study.yaml"
_LINKED = (".pt", ".safetensors", ".bin", ".npz", ".gguf")
"""Ends of the names of large files."""
_UNFINISHED = (".partial", ".lock", "passed", "unfinished")


class MergedFolder:
    """The files of a merged study below one folder. Nothing is written to the studies that it is made from.

    config: has the folders as they will be below `folder`. made: the folder in which the files are made first.
    """

    def __init__(self, config: StudyConfig, folder: Path, made: Path) -> None:
        places = {"results_dir": config.results_dir, "base_dir": config.base_dir}
        moved = {name: made / place.relative_to(folder) for name, place in places.items()}
        self._text = configuration_text(config)
        self._config = config.model_copy(update=moved)
        self._folder = made

    def write(self, sources: Sequence[MergeSource], merged: MergedStudy) -> list[str]:
        """Makes the files; returns cautions on base sets that differ. The study file is written last.

        Raises StorageError if the folder cannot be written.
        """
        cautions = self._bases(sources)
        taken: set[tuple[str, str, int]] = set()
        for source in sources:
            models = [model for model in source.finals if model not in taken]
            taken.update(models)
            self._runs(source, models)
            self._trained(source, set(models))
        said = merged.model_copy(update={"cautions": [*merged.cautions, *cautions]})
        said.write(self._config.results_dir / MERGE_FILE)
        write_text(self._folder / CONFIGURATION, self._text)
        return cautions

    def _bases(self, sources: Sequence[MergeSource]) -> list[str]:
        files: dict[str, tuple[str, Mapping[str, str]]] = {}
        apart: list[str] = []
        for source in sources:
            located, config = _of(source)
            for task in located.results.study.tasks:
                at = base_folder(config, task)
                digest = SetMetadata.read(at / METADATA_FILE).files
                if task in files:
                    if files[task][1] != digest:
                        apart.append(
                            f"The base model's representations of task {task} were extracted in {files[task][0]} and again in {source.label}, and are not the same to "
                            f"the last bit. All models are held against those of {files[task][0]}: drifts of models of {source.label} hold the difference "
                            "between the two extractions too."
                        )
                    continue
                files[task] = (source.label, digest)
                _take(at, base_folder(self._config, task))
                if (again := identity_folder(config, task)).is_dir():
                    _take(again, identity_folder(self._config, task))
        return apart

    def _runs(self, source: MergeSource, models: Sequence[tuple[str, str, int]]) -> None:
        """The sets, outcomes and weights of these models, final and checkpoints."""
        _, config = _of(source)
        old_name = {new: old for old, new in source.renamed.items()}
        for task, method, seed in models:
            run, was = RunId(task, method, seed), RunId(task, old_name.get(method, method), seed)
            steps = [
                r.step
                for r in source.results.runs
                if (r.task, r.method, r.seed) == (task, method, seed) and r.status == "ok"
            ]
            there = set_folder(config, was).parent
            for step in steps:
                target = set_folder(self._config, run, step)
                _take(set_folder(config, was, step), target, _metadata_of(method))
                if (outcomes := outcomes_folder(config, was, step)).is_dir():
                    _take_outcomes(outcomes, outcomes_folder(self._config, run, step), method)
                if (weights := weights_folder(config, was, step)).is_dir():
                    _take(weights, weights_folder(self._config, run, step))
            if (tokens := first_tokens_folder(config, was)).is_dir():
                _take(tokens, first_tokens_folder(self._config, run))
            if (control := there / RANDOM_CHANGE_FOLDER).is_dir():
                _take(control, set_folder(self._config, run).parent / RANDOM_CHANGE_FOLDER, _metadata_of(method))

    def _trained(self, source: MergeSource, models: set[tuple[str, str, int]]) -> None:
        """The run folders whose models were measured, and the choices of learning rates."""
        located, config = _of(source)
        wanted = {(model, digest) for model, digest in digests(source).items() if model in models}
        for run in finished_runs(located.results_dir):
            record = run.record
            method = source.renamed.get(record.method, record.method)
            if ((record.task, method, record.seed), record.weights_digest) in wanted:
                _take(run.folder, self._free_name(run.folder.name), _run_of(method))
        old_name = {new: old for old, new in source.renamed.items()}
        for task, method in dict.fromkeys((task, method) for task, method, _ in source.finals):
            if (chosen := tuning_folder(config, task, old_name.get(method, method))).is_dir():
                _take(chosen, tuning_folder(self._config, task, method), _choice_of(method, self._config.model))

    def _free_name(self, name: str) -> Path:
        at, number = self._config.results_dir / name, 1
        while at.exists():
            number += 1
            at = self._config.results_dir / f"{name}_{number}"
        return at


Changed = Callable[[Path, Path], bool]
"""Writes a changed copy of a file; returns whether it did, else the file is taken as it is."""


def _take(source: Path, target: Path, changed: Changed | None = None) -> None:
    """Puts the files below `source` below `target`: large ones as links, others as copies. Records go last, so that none stands for absent files."""
    paths = [p for p in files_below(source) if not any(part.startswith(_UNFINISHED) or part.startswith(".") for part in p.relative_to(source).parts)]  # fmt: skip
    for path in sorted(paths, key=lambda p: (p.name in (METADATA_FILE, RUN_FILE), p)):
        to = target / path.relative_to(source)
        if changed is not None and changed(path, to):
            continue
        if path.suffix in _LINKED:
            _link(path, to)
        else:
            _copy(path, to)


def _copy(path: Path, to: Path) -> None:
    with atomic_path(to) as temporary, storage_errors(to):
        shutil.copyfile(path, temporary)


def _link(path: Path, to: Path) -> None:
    with storage_errors(to):
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            to.symlink_to(path.resolve())
        except OSError as error:
            if to.exists() or to.is_symlink():
                raise StorageError(f"{to} is there already. Name an empty folder: --output DIR") from error
            _copy(path, to)  # a file system without links


def _metadata_of(method: str) -> Changed:
    def changed(path: Path, to: Path) -> bool:
        if path.name != METADATA_FILE:
            return False
        said = SetMetadata.read(path)
        change: RandomChange | None = said.random_change
        if change is not None:
            if change.method == method:
                return False
            said.model_copy(update={"random_change": change.model_copy(update={"method": method})}).write(to)
            return True
        if said.method == method:
            return False
        said.model_copy(update={"method": method}).write(to)
        return True

    return changed


def _run_of(method: str) -> Changed:
    def changed(path: Path, to: Path) -> bool:
        if path.name != RUN_FILE or (record := RunRecord.read(path)).method == method:
            return False
        record.model_copy(update={"method": method}).write(to)
        return True

    return changed


def _choice_of(method: str, model: str) -> Changed:
    """Writes choices of learning rates with an arm's new name, and with the base model as the merged study calls it."""

    def changed(path: Path, to: Path) -> bool:
        if path.suffix != ".json" or path.parent.name == TRIALS_FOLDER:
            return False
        choice = TuningRecord.read(path)
        if (choice.method, choice.base_model) == (method, model):
            return False
        choice.model_copy(update={"method": method, "base_model": model}).write(to)
        return True

    return changed


def _take_outcomes(source: Path, target: Path, method: str) -> None:
    for path in files_below(source):
        if path.parent != source or path.suffix != ".json":
            continue
        record = RunOutcomes.read(path)
        items = read_items(source, record)
        if not items.empty:
            items = items.assign(method=method)
        write_items(target, record.model_copy(update={"method": method}), items)


def _of(source: MergeSource) -> tuple[LocatedStudy, StudyConfig]:
    """The source's place and its configuration with the old names of its arms; it has its sets at hand."""
    assert source.located is not None  # noqa: S101  the caller has looked
    assert source.located.config is not None  # noqa: S101
    return source.located, source.located.config
