"""The folders of a study and the space on their disks, looked at before anything is trained. Nothing is written."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from repdrift.core.atomic import storage_errors
from repdrift.core.errors import ConfigError, StorageError
from repdrift.core.records.representation_set import METADATA_FILE
from repdrift.models import backbone_of, find_blocks, width_of
from repdrift.stores.disk import free_bytes
from repdrift.study.config import StudyConfig
from repdrift.study.inputs import StudyInputs
from repdrift.study.runs import (
    ANALYSIS_FOLDER,
    FIGURES_FOLDER,
    JOBS_FOLDER,
    OUTCOMES_FOLDER,
    REPRESENTATIONS_FOLDER,
    WEIGHTS_FOLDER,
    RunId,
    base_folder,
    identity_folder,
    set_folder,
)


@dataclass(frozen=True)
class TrainedBytes:
    """The bytes of the weights that a run saves, at least."""

    total: int

    def of_models(self, count: int) -> TrainedBytes:
        """The bytes of so many models of this size."""
        return TrainedBytes(self.total * count)


def require_folders(config: StudyConfig, runs: Sequence[RunId]) -> None:
    """Raises StorageError if the folders of a study cannot be made or written, ConfigError if two of them are one."""
    for folder in (config.results_dir, config.base_dir):
        _require_writable(folder)
    for run in runs:
        _require_names_fit(set_folder(config, run))
        _require_names_fit(base_folder(config, run.task))
    if config.base_dir.resolve() == config.results_dir.resolve():
        reserved = {
            REPRESENTATIONS_FOLDER,
            ANALYSIS_FOLDER,
            FIGURES_FOLDER,
            OUTCOMES_FOLDER,
            WEIGHTS_FOLDER,
            JOBS_FOLDER,
        }
        taken = sorted({run.task for run in runs} & reserved)
        if taken:
            raise ConfigError(
                f"results_dir and base_dir are one folder, {config.results_dir}, and in it {taken[0]!r} is a folder of the study. Give the task "
                "another name, or the study another base_dir."
            )


def require_room(
    inputs: StudyInputs,
    runs: Sequence[RunId],
    saved: Mapping[RunId, TrainedBytes],
    checkpoint_sets: Mapping[RunId, int] | None = None,
) -> None:
    """Raises StorageError if models and representations certainly do not fit on their disk.

    saved: for the runs that are to be trained, what they save. checkpoint_sets: the representation sets of their checkpoints. The estimate is low: files beside the weights, random changes,
    outcomes and results are left out.
    """
    needed: dict[Path, int] = {}
    results, base = _existing(inputs.config.results_dir), _existing(inputs.config.base_dir)
    each = {task: set_bytes(inputs, task) for task in {run.task for run in runs}}
    needed[results] = sum(size.total for size in saved.values()) + sum(
        each[run.task] for run in runs if not (set_folder(inputs.config, run) / METADATA_FILE).exists()
    )
    needed[results] += sum(count * each[run.task] for run, count in (checkpoint_sets or {}).items())
    with storage_errors(inputs.config.base_dir):
        if base.stat().st_dev == results.stat().st_dev:
            base = results
    for task, size in each.items():
        for folder in (base_folder(inputs.config, task), identity_folder(inputs.config, task)):
            needed[base] = needed.get(base, 0) + (0 if (folder / METADATA_FILE).exists() else size)
    for folder, total in needed.items():
        free = free_bytes(folder)
        if total > free:
            models = sum(size.total for size in saved.values())
            raise StorageError(
                f"the study takes at least {total:,} bytes ({total / 1e9:.2f} GB) in {folder}, of which trained models are {models:,}, and the "
                f"disk leaves {free:,} ({free / 1e9:.2f} GB). Free some space, choose another results_dir, or take fewer runs, checkpoints, "
                "layers or samples."
            )


def set_bytes(inputs: StudyInputs, task: str) -> int:
    """Bytes of the rows of one representation set of the base model, all its sites; 0 if the configuration does not tell.

    `adapter_out` is left out, since only some adapters have it.
    """
    options = inputs.config.extraction
    width, skeleton = width_of(inputs.model_config), inputs.skeleton
    if width is None or skeleton is None:
        return 0
    blocks = find_blocks(backbone_of(skeleton, options.stack), path=options.blocks, stack=options.stack)
    layers = len(blocks) if options.layers is None else len(options.layers)
    layers += 0 if inputs.base_sites is None else len(inputs.base_sites.taps)
    return set_rows(inputs, task) * width * layers * getattr(torch, options.dtype).itemsize


def set_rows(inputs: StudyInputs, task: str) -> int:
    """Rows of a representation set of the task: one for each sample, or for each token with pooling `tokens`."""
    samples = inputs.sample_set(task)
    return sum(samples.pooled_lengths) if inputs.config.extraction.pooling == "tokens" else len(samples)


def _require_writable(folder: Path) -> None:
    """Raises StorageError unless the folder, or the nearest one above it that is there, may be written."""
    with storage_errors(folder):
        there = _existing(folder)
        if not there.is_dir():
            raise StorageError(
                f"cannot write into {folder}: {there} is a file, and a folder is needed there. Move it away, or choose another folder."
            )
        if not os.access(there, os.W_OK | os.X_OK):
            raise StorageError(
                f"cannot write into {folder}: {there} does not allow it (permission, or a file system that is read only). Choose a folder "
                "that you may write to."
            )


def _require_names_fit(folder: Path) -> None:
    """Raises StorageError if the path of a folder, or one name in it, is too long for its file system."""
    with storage_errors(folder):
        there = _existing(folder)
        longest = os.pathconf(there, "PC_NAME_MAX")
        if any(len(os.fsencode(part)) > longest for part in folder.parts):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))


def _existing(path: Path) -> Path:
    """The path, or the nearest above it, that is there. Raises OSError if the system refuses to look, as for a name too long."""
    path = path.absolute()
    while not _is_there(path):
        path = path.parent
    return path


def _is_there(path: Path) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
