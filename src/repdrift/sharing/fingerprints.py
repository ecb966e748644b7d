"""The fingerprints of a study that was analysed: of its representation sets and trained models, read from their records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from repdrift.core.errors import DataError
from repdrift.core.reading import stands_there
from repdrift.core.records.export import RUNS_PART, RunFingerprint, SetFingerprint, StudyFingerprints
from repdrift.core.records.representation_set import METADATA_FILE, SetMetadata
from repdrift.core.records.run import RUN_FILE, RunRecord
from repdrift.core.shared_paths import shareable
from repdrift.core.words import counted
from repdrift.sharing.located_study import LocatedStudy
from repdrift.study.config import StudyConfig
from repdrift.study.runs import REPRESENTATIONS_FOLDER, base_folder, identity_folder
from repdrift.training import finished_runs


@dataclass
class StudyRecords:
    """The records behind an analysis. runs: run.json by its path in the archive. set_bytes, weight_bytes: on the disk, of what is not exported."""

    fingerprints: StudyFingerprints
    runs: dict[str, RunRecord] = field(default_factory=dict)
    sets: int = 0
    set_bytes: int = 0
    weight_bytes: int = 0


def study_records(study: LocatedStudy) -> StudyRecords:
    """Reads the records of the sets and runs of an analysis. What is not at hand is named in `fingerprints.missing`."""
    missing: list[str] = []
    metadata = _sets_of_runs(study, missing) + _base_sets(study.config, study.results.study.tasks, missing)
    found = StudyRecords(StudyFingerprints(base_digest=study.results.study.base_digest, sets=[], runs=[]))
    found.runs = _runs(study, {said.weights_digest for said in metadata}, missing)
    found.sets, found.set_bytes = len(metadata), sum(sum(said.file_sizes.values()) for said in metadata)
    found.weight_bytes = sum(sum(record.file_sizes.values()) for record in found.runs.values())
    found.fingerprints = StudyFingerprints(
        base_digest=study.results.study.base_digest,
        sets=[_set(said) for said in metadata],
        runs=[_run(record, name) for name, record in found.runs.items()],
        missing=missing,
    )
    return found


def _sets_of_runs(study: LocatedStudy, missing: list[str]) -> list[SetMetadata]:
    found: list[SetMetadata] = []
    absent = 0
    for run in study.results.runs:
        if run.status != "ok":
            continue
        name = f"{run.task}_{run.method}_seed{run.seed}"
        folder = study.results_dir / REPRESENTATIONS_FOLDER / name / f"step_{run.step:06d}"
        said = _metadata(folder, missing)
        absent += said is None
        if said is not None:
            found.append(said)
    if absent:
        missing.append(
            f"{counted(absent, 'representation set')} of trained models: not below {study.results_dir / REPRESENTATIONS_FOLDER}."
        )
    return found


def _base_sets(config: StudyConfig | None, tasks: Iterable[str], missing: list[str]) -> list[SetMetadata]:
    if config is None:
        missing.append("The base model's representation sets: where they lie is not known without the study file.")
        return []
    found: list[SetMetadata] = []
    for task in tasks:
        said = _metadata(base_folder(config, task), missing)
        if said is None:
            missing.append(f"The base model's representation set of task {task}: not in {base_folder(config, task)}.")
            continue
        found.append(said)
        if (again := _metadata(identity_folder(config, task), missing)) is not None:
            found.append(again)
    return found


def _metadata(folder: Path, missing: list[str]) -> SetMetadata | None:
    path = folder / METADATA_FILE
    if not stands_there(path):
        return None
    try:
        return SetMetadata.read(path)
    except DataError as error:
        missing.append(f"{path} cannot be read: {error}")
        return None


def _runs(study: LocatedStudy, measured: set[str], missing: list[str]) -> dict[str, RunRecord]:
    """The records of the trained models that were analysed, by path in the archive; a model is known by the digest of its weights."""
    analysed = {run.weights_digest for run in study.results.trained} or measured
    planned = [(run.task, run.method, run.seed) for run in study.results.runs if run.step == 0 and run.status == "ok"]
    found: dict[tuple[str, str, int], RunRecord] = {}
    for run in finished_runs(study.results_dir) if study.results_dir.is_dir() else ():
        record = run.record
        at = (record.task, record.method, record.seed)
        if at in planned and record.weights_digest in analysed:
            found[at] = record
    if absent := len(planned) - len(found):
        missing.append(f"{RUN_FILE} of {counted(absent, 'trained model')}: not below {study.results_dir}.")
    return {
        f"{RUNS_PART}/{task}_{method}_seed{seed}/{RUN_FILE}": found[task, method, seed]
        for task, method, seed in planned
        if (task, method, seed) in found
    }


def _set(said: SetMetadata) -> SetFingerprint:
    return shareable(
        SetFingerprint(
            task=said.task,
            method=said.method,
            seed=said.seed,
            step=said.step,
            key=said.key,
            weights_digest=said.weights_digest,
            base_weights_digest=said.base_weights_digest,
            settings=said.settings,
            sample_set_fingerprint=said.sample_set_fingerprint,
            samples=len(said.sample_ids),
            pooling=said.pooling,
            pool_over=said.pool_over,
            compute_dtype=said.compute_dtype,
            dtype=said.dtype,
            layers=said.layers,
            sites=said.sites,
        )
    )


def _run(record: RunRecord, name: str) -> RunFingerprint:
    return RunFingerprint(
        task=record.task,
        method=record.method,
        seed=record.seed,
        key=record.key,
        weights_digest=record.weights_digest,
        base_digest=record.base_digest,
        base_settings=record.base_settings,
        data_fingerprint=record.data_fingerprint,
        file=name,
    )
