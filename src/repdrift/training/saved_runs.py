"""The finished runs in a results folder: found by what their run.json says, and held to the files that it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from repdrift.core.errors import DataError, ModelError, StorageError
from repdrift.core.fingerprint import unchanged_file_sha256
from repdrift.core.progress import say
from repdrift.core.reading import files_below, listed_folder, reading_errors, stands_there, why_absent
from repdrift.core.records.kept_records import read_kept
from repdrift.core.records.run import CHECKPOINT_FOLDER, MODEL_FOLDER, RUN_FILE, RunRecord
from repdrift.models import changed_files


@dataclass(frozen=True)
class FinishedRun:
    """A run whose folder holds a run.json. trained_now: trained by this call, not found on the disk."""

    folder: Path
    record: RunRecord
    trained_now: bool = False


def finished_runs(results_dir: Path) -> Iterator[FinishedRun]:
    """Find every finished run in `results_dir`, ordered by folder name.

    A run.json is read once in a process, until it is replaced; one that cannot be read is reported to the user and left out. Raises StorageError if `results_dir` cannot be listed.
    """
    for folder in listed_folder(results_dir) if stands_there(results_dir) else []:
        path = folder / RUN_FILE
        try:
            if stands_there(path):
                yield FinishedRun(folder, read_kept(RunRecord, path))
        except (DataError, StorageError) as error:
            say(f"left out, cannot be read: {error}")


def latest_finished(results_dir: Path, key: str, base_settings: Mapping[str, str]) -> FinishedRun | None:
    """The latest finished run of this key, from a base model of these settings; a run of an older version does not tell its own."""
    existing = [
        run
        for run in finished_runs(results_dir)
        if run.record.key == key and not changed_files(run.record.base_settings, base_settings)
    ]
    return max(existing, key=lambda run: run.record.started, default=None)


def model_files_sha256(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of the models that a run saved, by path below the run's folder."""
    parts = [folder / part for part in (MODEL_FOLDER, CHECKPOINT_FOLDER)]
    paths = [path for part in parts if part.is_dir() for path in files_below(part)]
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in paths}


def file_sizes(folder: Path, names: Iterable[str]) -> dict[str, int]:
    """Bytes of files, by their paths below `folder`."""
    sizes: dict[str, int] = {}
    for name in names:
        with reading_errors(folder / name, ModelError):
            sizes[name] = (folder / name).stat().st_size
    return sizes


def require_unchanged(run: FinishedRun, model_folder: Path) -> None:
    """Checks every file of a saved model, in `model_folder` below the run's folder, against the run's checksums.

    Files with a hidden name, such as those that a file manager leaves, take no part: no model is read from them. Raises
    ModelError that names the file that is absent, was changed, or was put there later. Records of older versions have no
    checksums but that of the final model's weights.
    """
    below = f"{model_folder.relative_to(run.folder).as_posix()}/"
    expected = {name: digest for name, digest in run.record.files.items() if name.startswith(below)}
    if not expected:
        return
    if not model_folder.is_dir():
        raise ModelError(
            f"{model_folder} {why_absent(model_folder)}: the model of {run.folder / RUN_FILE} is not there. "
            f"{restore_or_train(run.folder)}"
        )
    files = {path.relative_to(run.folder).as_posix(): path for path in files_below(model_folder)}
    found = {name: path for name, path in files.items() if name in expected or "/." not in name}
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            fault = "is missing"
        elif name not in expected:
            raise ModelError(
                f"{run.folder / name} was put there after training, as {run.folder / RUN_FILE} says, and may change what is loaded. "
                "Take the file out, and run the same command again."
            )
        elif _sha256(found[name]) != expected[name]:
            fault = "was changed or damaged after training"
        else:
            continue
        raise ModelError(
            f"{run.folder / name} {fault}, as {run.folder / RUN_FILE} says. {restore_or_train(run.folder)}"
        )


def _sha256(path: Path) -> str:
    with reading_errors(path, ModelError):
        return unchanged_file_sha256(path)


def require_whole(run: FinishedRun) -> None:
    """Raises ModelError, which names the file, unless every file that the run wrote is there with its size.

    Contents are not read.
    """
    for name in run.record.files:
        path = run.folder / name
        try:
            size = path.stat().st_size if path.is_file() else None
        except OSError:
            size = None
        expected = run.record.file_sizes.get(name)
        if size is None or size != (size if expected is None else expected):
            fault = "is missing" if size is None else f"has {size:,} bytes, expected {expected:,}"
            raise ModelError(f"{path} {fault}, as {run.folder / RUN_FILE} says. {restore_or_train(run.folder)}")


def restore_or_train(folder: Path) -> str:
    """Says what to do about a run whose files are not those that were written. Nothing that was trained is deleted."""
    return (
        f"Restore the file from a copy; if {RUN_FILE} is another run's, put the right one there. Without a copy, move {folder} away and run `repdrift train`, "
        "which trains the model again; the representations that were extracted before stay as they are."
    )
